"""A service with `bridge`: `python -m ... PORT RATE`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as context_api
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind

import bridge
from tests.interop.services.chain import serve

bridge.init(
    "http://ours@127.0.0.1:9/1",
    traces_sample_rate=float(sys.argv[2]) if sys.argv[2] != "off" else None,
    release="bridge-service@1",
    transport=lambda envelope: None,
)
tracer = trace.get_tracer("service")


@contextmanager
def handle(received: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Continue as an instrumentation does, and send from a span of Sentry's API."""
    token = context_api.attach(propagate.extract(received))
    try:
        with tracer.start_as_current_span("GET /", kind=SpanKind.SERVER) as server, bridge.start_span("call") as span:
            sent: dict[str, str] = {}
            propagate.inject(sent)
            yield {
                "trace_id": server.trace_id,
                "parent_span_id": server.parent_span_id,
                "sampled": server.sampled,
                "sending_span_id": span.span_id,
                "sent": sent,
            }
    finally:
        context_api.detach(token)


if __name__ == "__main__":
    serve(handle)
