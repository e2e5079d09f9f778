"""Which requests get headers, and the carriers that they are written to."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import propagate, trace
from opentelemetry.propagators.textmap import Setter
from opentelemetry.trace import SpanKind

import bridge
from bridge.testing import capture

OWN = "http://public@127.0.0.1:9/1"
ELSEWHERE, TO_OURSELVES = "http://127.0.0.1:8/stock", "http://127.0.0.1:9/api/1/envelope/"


@pytest.mark.parametrize("attribute", ["url.full", "http.url"])
@pytest.mark.parametrize(("url", "traced"), [(ELSEWHERE, True), (TO_OURSELVES, False)])
def test_requests_to_our_own_dsn_are_never_traced(attribute: str, url: str, traced: bool) -> None:
    """Whoever makes them, with an instrumentation of whatever age: no span, no header."""
    with capture(dsn=OWN) as sent:
        with bridge.start_span("root"):
            tracer = trace.get_tracer("t")
            with tracer.start_as_current_span("POST", kind=SpanKind.CLIENT, attributes={attribute: url}) as span:
                headers: dict[str, str] = {}
                propagate.inject(headers)
                assert span.is_recording() is traced
        assert sent.tree() == (["root", ["POST"]] if traced else ["root"])
    assert ("sentry-trace" in headers) is traced
    assert "sentry" not in headers.get("tracestate", "") or traced


class Append(Setter[list[tuple[str, bytes]]]):
    """How a Kafka client's headers are written."""

    def set(self, carrier: list[tuple[str, bytes]], key: str, value: str) -> None:
        carrier.append((key, value.encode()))


def test_message_metadata_as_pairs() -> None:
    """A list of pairs is written once, and read again by the names in it."""
    with capture():
        with bridge.start_span("publish") as span:
            metadata: list[tuple[str, bytes]] = [("other", b"1")]
            propagate.inject(metadata, setter=Append())
            once = list(metadata)
            propagate.inject(metadata, setter=Append())
        assert metadata == once
        names = [name for name, _ in metadata]
        assert sorted(names) == ["baggage", "other", "sentry-trace", "traceparent", "tracestate"]
        with bridge.continue_trace(metadata), bridge.start_span("process") as process:
            assert (process.trace_id, process.parent_span_id) == (span.trace_id, span.span_id)


@pytest.mark.parametrize("carrier", [None, 1, "text", object(), [1, 2], [("a",)], {1: "x", None: "y"}])
def test_any_carrier_at_all(carrier: Any) -> None:
    """What is no carrier does no harm, neither read nor written."""

    class Nowhere(Setter[Any]):
        def set(self, carrier: Any, key: str, value: str) -> None:
            pass

    with capture(), bridge.start_span("root"):
        propagate.inject(carrier, setter=Nowhere())
        assert not trace.get_current_span(propagate.extract(carrier)).get_span_context().is_valid
