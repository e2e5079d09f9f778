"""A service with OpenTelemetry alone, as it comes: `python -m ... PORT RATE`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as context_api
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind

from tests.interop.services.chain import serve

rate = 0.0 if sys.argv[2] == "off" else float(sys.argv[2])
trace.set_tracer_provider(TracerProvider(ParentBased(TraceIdRatioBased(rate))))
tracer = trace.get_tracer("service")


@contextmanager
def handle(received: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Continue as an instrumentation does."""
    parent = trace.get_current_span(context := propagate.extract(received)).get_span_context()
    token = context_api.attach(context)
    try:
        with tracer.start_as_current_span("GET /", kind=SpanKind.SERVER) as server:
            sent: dict[str, str] = {}
            propagate.inject(sent)
            own = server.get_span_context()
            yield {
                "trace_id": f"{own.trace_id:032x}",
                "parent_span_id": f"{parent.span_id:016x}" if parent.is_valid else None,
                "sampled": bool(own.trace_flags.sampled),
                "sending_span_id": f"{own.span_id:016x}",
                "sent": sent,
            }
    finally:
        context_api.detach(token)


if __name__ == "__main__":
    serve(handle)
