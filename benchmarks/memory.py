"""Claim: a finished span that waits for its root holds a fifth of what OpenTelemetry's batch queue holds for one.

`python benchmarks/memory.py`. Python's own allocations (tracemalloc), in bytes a span, in processes of their own.
"""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from typing import Any

from harness import in_own_process
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import bridge

SPANS = 5000
GOALS = {0: 450, 4: 750}


def work(tracer: Any, spans: int, attributes: int) -> None:
    """Make children of the current span."""
    for number in range(spans):
        with tracer.start_as_current_span("child") as span:
            for key in range(attributes):
                span.set_attribute(f"key{key}", number if key % 2 else f"value {number}")


def bytes_a_span(tracer: Any, attributes: int) -> float:
    """Return what a finished child holds while its root is open."""
    with tracer.start_as_current_span("root"):
        work(tracer, 200, attributes)
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        work(tracer, SPANS, attributes)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return (after - before) / SPANS


def measure(name: str, attributes: int) -> None:
    """Print the bytes of one neighbour."""
    if name == "bridge":
        client = bridge.init(
            "http://public@127.0.0.1:9/1", traces_sample_rate=1.0, max_spans=100_000, transport=lambda envelope: None
        )
        tracer: Any = client.tracer_provider.get_tracer("t")
    else:
        # What a batch processor's queue holds: finished spans, here without its bound of 2048.
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
        tracer = provider.get_tracer("t")
    print(json.dumps(bytes_a_span(tracer, attributes)))


def main() -> None:
    """Print the table."""
    print(f"{'bytes of a finished span':30} {'bridge':>8} {'bare SDK':>9} {'ratio':>6} {'goal':>6}")
    for attributes, goal in GOALS.items():
        ours, theirs = (in_own_process(__file__, name, str(attributes)) for name in ("bridge", "bare"))
        verdict = "met" if ours <= goal else "MISSED"
        print(f"{attributes} attributes{'':18} {ours:8.0f} {theirs:9.0f} {ours / theirs:6.2f} {goal:6} {verdict}")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        measure(sys.argv[1], int(sys.argv[2]))
    else:
        main()
