"""A program that has a vendor's tracing and the bridge: `python program.py VENDOR first|second RATE`.

It serves requests, each with a span by OpenTelemetry's tracer, one by the vendor's own API and one by `bridge`, and
writes as JSON what Sentry got, what the vendor got and what the doctor says.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

REQUESTS = 40
Exported = Callable[[], list[str]]
OwnSpan = Callable[[], AbstractContextManager[Any]]


class Vendor:
    """What a vendor's set-up gives: the names of the spans that it exports, and a span by its own API."""

    def __init__(self, exported: Exported, own_span: OwnSpan = nullcontext) -> None:
        self.exported = exported
        self.own_span = own_span


def in_memory() -> tuple[Any, Exported]:
    """Return an exporter, and what tells the names of what it got."""
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    return exporter, lambda: [span.name for span in exporter.get_finished_spans()]


def langfuse(**options: Any) -> Vendor:
    from langfuse import Langfuse

    exporter, exported = in_memory()
    client = Langfuse(
        public_key="pk",
        secret_key="sk",
        base_url="http://127.0.0.1:9",
        span_exporter=exporter,
        should_export_span=lambda span: True,
        **options,
    )

    def exported_now() -> list[str]:
        client.flush()
        return exported()

    return Vendor(exported_now, lambda: client.start_as_current_observation(name="own"))


def langfuse_isolated() -> Vendor:
    from opentelemetry.sdk.trace import TracerProvider

    return langfuse(tracer_provider=TracerProvider())


def phoenix() -> Vendor:
    import phoenix.otel

    provider = phoenix.otel.register(endpoint="http://127.0.0.1:9/v1/traces", protocol="http/protobuf", verbose=False)
    exporter, exported = in_memory()
    provider._default_processor.span_exporter = exporter
    return Vendor(exported, lambda: provider.get_tracer("openinference").start_as_current_span("own"))


def logfire() -> Vendor:
    import logfire
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    exporter, exported = in_memory()
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[SimpleSpanProcessor(exporter)])
    return Vendor(exported, lambda: logfire.span("own"))


def temporal() -> Vendor:
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from temporalio.contrib.opentelemetry import create_tracer_provider

    exporter, exported = in_memory()
    provider = create_tracer_provider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return Vendor(exported, lambda: provider.get_tracer("temporal").start_as_current_span("own"))


def ddtrace() -> Vendor:
    import ddtrace
    from ddtrace.trace import TraceFilter, tracer

    names: list[str] = []

    class Collect(TraceFilter):
        def process_trace(self, trace: Any) -> Any:
            names.extend(span.name for span in trace)

    tracer.configure(trace_processors=[Collect()])
    ddtrace.patch(httpx=True)
    return Vendor(lambda: names, lambda: tracer.trace("own"))


def init(rate: float) -> Any:
    import bridge
    from bridge.testing.transport import CapturingTransport

    sent = CapturingTransport()
    bridge.init("http://key@127.0.0.1:9/1", transport=sent, traces_sample_rate=rate)
    return sent


def serve(tracer: Any, vendor: Vendor) -> list[dict[str, str]]:
    """Handle a request; returns the headers at its root and in its innermost span."""
    import bridge

    with tracer.start_as_current_span("request"):
        outer = bridge.trace_headers()
        with vendor.own_span(), bridge.start_span("ours"), tracer.start_as_current_span("native"):
            return [outer, bridge.trace_headers()]


def main(name: str, place: str, rate: float) -> None:
    logging.disable()
    make = globals()[name]
    if place == "first":
        vendor = make()
        sent = init(rate)
    else:
        sent = init(rate)
        vendor = make()

    from opentelemetry import trace

    import bridge
    from bridge._internal.doctor.diagnosis import diagnose

    tracer = trace.get_tracer("app")
    headers = []
    for _ in range(REQUESTS):
        with bridge.isolation_scope():
            headers.append(serve(tracer, vendor))
    bridge.flush()
    found = {
        "transactions": [
            (one["transaction"], sorted(span["description"] for span in one["spans"])) for one in sent.transactions
        ],
        "headers": headers,
        "exported": vendor.exported(),
        "problems": [problem.code for problem in bridge.check_setup()],
        "all_problems": [problem.code for problem in diagnose()],
        "account": [getattr(bridge.get_client().accounting(), name) for name in ("started", "delivered", "pending")],
    }
    print(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # what a vendor's threads still try to send goes nowhere


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
