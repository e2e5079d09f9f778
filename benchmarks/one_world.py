"""What one world costs beside sentry-sdk alone, and beside the bridge alone: interleaved, best of several rounds.

    python benchmarks/one_world.py

Each side is a process of its own, as sentry-sdk cannot be un-imported; the processes take turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 3
KINDS = ("plain", "world", "bridge")
GOALS = {
    "sentry-sdk child": ("plain", 2.5),
    "new_scope": ("plain", 2.5),
    "transaction and 10 children": ("plain", 1.25),
    "native child below a transaction": ("bridge", 1.1),
}
"""What a ratio is to, and what it should be at most."""
ABSOLUTE_GOALS = {"get_current_span": 0.5, "end of a native root": 50.0}
"""Microseconds."""


def best(work: Callable[[], Any], times: int) -> float:
    """Return microseconds a call, the best of five."""
    found = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(times):
            work()
        found = min(found, (time.perf_counter() - start) / times)
    return found * 1e6


def measure(kind: str) -> dict[str, float]:
    """Measure one side, in this process."""
    import bridge

    if kind == "bridge":
        bridge.init("https://k@o1.ingest.example.com/1", traces_sample_rate=1.0, transport=lambda envelope: None)
        tracer = bridge.get_client().tracer
        figures = {}
        with bridge.start_span("root"):
            figures["native child below a transaction"] = best(lambda: tracer.start_span("child").end(), 500)
        return figures
    return _measure_with_sentry_sdk(kind)


def _measure_with_sentry_sdk(kind: str) -> dict[str, float]:
    import sentry_sdk
    from sentry_sdk.transport import Transport

    import bridge

    class Nowhere(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            """Keep nothing."""

    sentry_sdk.init(
        dsn="https://k@o1.ingest.example.com/1",
        traces_sample_rate=1.0,
        transport=Nowhere({}),
        default_integrations=False,
        auto_enabling_integrations=False,
        _experiments={"max_spans": 100_000},
    )
    if kind == "world":
        bridge.init()

    def child() -> None:
        with sentry_sdk.start_span(op="function", name="child"):
            pass

    def scope() -> None:
        with sentry_sdk.new_scope():
            pass

    def whole() -> None:
        with sentry_sdk.start_transaction(name="root", op="task"):
            for _ in range(10):
                child()

    figures = {"new_scope": best(scope, 2000), "transaction and 10 children": best(whole, 50)}
    with sentry_sdk.start_transaction(name="root"):
        figures["sentry-sdk child"] = best(child, 500)
        figures["get_current_span"] = best(sentry_sdk.get_current_span, 5000)
        if kind == "world":
            tracer = bridge.get_client().tracer
            figures["native child below a transaction"] = best(lambda: tracer.start_span("child").end(), 500)
    if kind == "world":
        roots = [bridge.get_client().tracer.start_span("root") for _ in range(200)]
        start = time.perf_counter()
        for root in roots:
            root.end()
        figures["end of a native root"] = (time.perf_counter() - start) / len(roots) * 1e6
        bridge.flush()
    return figures


def main() -> None:
    """Print the table."""
    found: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    for _ in range(ROUNDS):
        for kind in KINDS:
            done = subprocess.run([sys.executable, __file__, kind], capture_output=True, text=True, check=True)
            for name, figure in json.loads(done.stdout.splitlines()[-1]).items():
                found[kind][name] = min(figure, found[kind].get(name, float("inf")))
    print("| | us | beside | ratio | goal |\n|---|---:|---|---:|---:|")
    for name, (beside, most) in GOALS.items():
        ratio = found["world"][name] / found[beside][name]
        print(f"| {name} | {found['world'][name]:.1f} | {beside} {found[beside][name]:.1f} | {ratio:.2f} | {most} |")
    for name, goal in ABSOLUTE_GOALS.items():
        print(f"| {name} | {found['world'][name]:.2f} | | | {goal} us |")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        main()
