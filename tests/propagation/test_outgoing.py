"""Which requests get headers, and the carriers that they are written to."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import propagate, trace
from opentelemetry.propagators.textmap import Getter, Setter, default_setter
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


T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"
INCOMING = {
    "sentry-trace": f"{T}-{S}-1",
    "baggage": f"other=kept,sentry-trace_id={T},sentry-sample_rate=0.5,sentry-sample_rand=0.25,sentry-sampled=true",
    "traceparent": f"00-{T}-{S}-01",
}


def test_what_came_in_and_is_sent_on_says_who_sends_it() -> None:
    """A proxy that sends on all headers of its request, or a job that is tried again, is the parent of what follows."""
    with capture(), bridge.continue_trace(INCOMING), bridge.start_span("job"), bridge.start_span("try again") as span:
        carrier = {"x-other": "1", **INCOMING}
        propagate.inject(carrier)
        once = dict(carrier)
        propagate.inject(carrier)
    assert carrier == once
    assert carrier["sentry-trace"] == f"{T}-{span.span_id}-1"
    assert carrier["traceparent"] == f"00-{T}-{span.span_id}-01"
    assert sorted(carrier["baggage"].split(",")) == sorted(INCOMING["baggage"].split(","))
    assert carrier["x-other"] == "1"


def test_what_came_in_is_sent_on_as_it_is_where_ours_does_not_go() -> None:
    """Headers that the user sends on to a place outside the targets are the user's."""
    with capture(trace_propagation_targets=[]), bridge.continue_trace(INCOMING), bridge.start_span("job"):
        carrier = dict(INCOMING)
        propagate.inject(carrier)
    assert carrier == INCOMING


@pytest.mark.parametrize("carrier", [{"Sentry-Trace": INCOMING["sentry-trace"]}, [("sentry-trace", f"{T}-{S}-1")]])
def test_what_came_in_under_another_name_is_not_written_twice(carrier: Any) -> None:
    """A carrier that would hold two of them is left alone."""
    before = carrier.copy()
    with capture(), bridge.continue_trace(INCOMING), bridge.start_span("job"):
        propagate.inject(carrier, setter=Append() if isinstance(carrier, list) else default_setter)
    assert carrier == before


class Metadata:
    """What grpc.aio has for metadata: keys and values, and no `Mapping`."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def keys(self) -> Any:
        return self.values.keys()

    def __getitem__(self, key: str) -> str:
        return self.values[key]

    def __setitem__(self, key: str, value: str) -> None:
        self.values[key] = value


def test_metadata_that_are_no_mapping_keep_what_is_in_them() -> None:
    """The user's own baggage stays in metadata of any kind, and they are read as well as written."""
    with capture(), bridge.start_span("root") as span:
        metadata = Metadata({"baggage": "mine=1"})
        propagate.inject(metadata)  # type: ignore[arg-type]
        assert metadata["baggage"].endswith(",mine=1")
        found = propagate.extract(metadata, getter=Nothing())
        assert trace.get_current_span(found).get_span_context().span_id == int(span.span_id, 16)


class Request:
    """A request object, as frameworks hand it to propagators."""

    def __init__(self, headers: Any) -> None:
        self.headers = headers


def test_a_request_is_read_by_its_headers() -> None:
    """A carrier whose getter finds nothing on it, and which has headers, is read by those; a job of Celery's is one."""
    with capture(), bridge.start_span("root"):
        for name in ("sentry-trace", "traceparent"):
            found = propagate.extract(Request({name: INCOMING[name]}), getter=Nothing())
            assert trace.get_current_span(found).get_span_context().span_id == int(S, 16)
        assert not propagate.extract(Request(None), getter=Nothing())


class Nothing(Getter[Any]):
    """A getter that finds nothing."""

    def get(self, carrier: Any, key: str) -> list[str] | None:
        return None

    def keys(self, carrier: Any) -> list[str]:
        return []


def test_the_context_of_a_request_that_brought_nothing_is_false() -> None:
    """Instrumentations ask `extract(...) or None`: a job that is run in place is a child of whoever runs it."""
    with capture() as sent:
        with bridge.start_span("request"):
            assert propagate.extract({"baggage": "customer=7"})
            parent = propagate.extract({}) or None
            with trace.get_tracer("t").start_as_current_span("job", context=parent, kind=SpanKind.CONSUMER):
                pass
        assert sent.tree() == ["request", ["job"]]
        assert not propagate.extract({"baggage": "sentry-release=1"}, context=None)
        assert propagate.extract({}, context=propagate.extract({"baggage": "customer=7"}))
