"""SentryPropagator by itself, and as a member of a composite that a program put together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry import baggage, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import bridge
from bridge.otel import SentryPropagator
from bridge.testing import BridgeCapture, capture

tracer = trace.get_tracer("native")
T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"
W3C = {"traceparent": f"00-{'b' * 32}-{'c' * 16}-01", "tracestate": "vendor=1"}
SENTRY = {"sentry-trace": f"{T}-{S}-0", "baggage": f"sentry-trace_id={T},sentry-sample_rate=0.1,user=1"}
HEADERS: Mapping[str, dict[str, str]] = {
    "both": {**SENTRY, **W3C},
    "both, of one trace": {**SENTRY, "traceparent": f"00-{T}-{S}-00"},
    "Sentry's": SENTRY,
    "W3C's": {**W3C, "baggage": "user=1"},
    "none": {},
}


def what_is_continued(propagator: Any, headers: dict[str, str]) -> tuple[Any, ...]:
    """Start a request with these headers: its parent, decision, DSC, tags and the user's baggage."""
    context = propagator.extract(headers)
    with tracer.start_as_current_span("request", context, SpanKind.SERVER) as span:
        own = {} if headers else {"trace_id": span.trace_id}
        dsc = bridge.trace_headers()["baggage"].replace(own.get("trace_id", "-"), "-").partition("sample_rand")[0]
        found = (span.parent_span_id, span.sampled, dsc, dict(bridge.get_isolation_scope().tags))
    return (*found, baggage.get_baggage("user", context))


@pytest.mark.parametrize("headers", HEADERS)
def test_the_order_of_a_composite_does_not_matter(sent: BridgeCapture, headers: str) -> None:
    """In any of the six orders the same is continued as by the propagator that `init` installs."""
    bridge.set_tag("service", "shop")
    expected = what_is_continued(propagate.get_global_textmap(), HEADERS[headers])
    makers = (TraceContextTextMapPropagator, W3CBaggagePropagator, SentryPropagator)
    for order in itertools.permutations(makers):
        composite = CompositePropagator([make() for make in order])
        assert what_is_continued(composite, HEADERS[headers]) == expected, order


def test_alone_it_reads_and_writes_all_four_headers(sent: BridgeCapture) -> None:
    """`SentryPropagator()` needs nothing to wrap."""
    written: dict[str, str] = {}
    with bridge.start_span("request"):
        SentryPropagator().inject(written, baggage.set_baggage("user", "1", bridge_context()))
    assert sorted(written) == ["baggage", "sentry-trace", "traceparent", "tracestate"]
    assert written["baggage"].endswith(",user=1")
    assert SentryPropagator().fields == set(written)
    parent = trace.get_current_span(SentryPropagator().extract(W3C)).get_span_context()
    assert (parent.trace_id, parent.trace_state["vendor"]) == (int("b" * 32, 16), "1")


def bridge_context() -> Context:
    """The Context that is current."""
    from opentelemetry import context as context_api

    return context_api.get_current()


def test_headers_of_a_message_as_pairs_of_bytes(sent: BridgeCapture, caplog: pytest.LogCaptureFixture) -> None:
    """Kafka's headers are read by OpenTelemetry's own `extract`, without a word in the log."""
    pairs = [(name, value.encode()) for name, value in HEADERS["both"].items()]
    with tracer.start_as_current_span("message", propagate.extract(pairs), SpanKind.CONSUMER) as span:
        assert (span.trace_id, span.parent_span_id) == (T, S)
    assert caplog.records == []


def test_a_header_in_another_case_is_merged(sent: BridgeCapture) -> None:
    """The baggage that a program wrote under `Baggage` stays one header, with the program's members."""
    carrier = {"Baggage": "user=1", "Other": "x"}
    with bridge.start_span("request"):
        propagate.inject(carrier)
    assert sum(name.lower() == "baggage" for name in carrier) == 1
    assert carrier["Baggage"].startswith("sentry-trace_id=")
    assert carrier["Baggage"].endswith(",user=1")


@pytest.mark.parametrize("member", ["s:2", "s:1;r:9", "s:0;n:1.0", "x"])
def test_a_member_that_cannot_be_read_decides_nothing(sent: BridgeCapture, member: str) -> None:
    """Then the flags of `traceparent` do."""
    headers = {**W3C, "tracestate": f"sentry={member},vendor=1"}
    with tracer.start_as_current_span("request", propagate.extract(headers)) as span:
        assert span.sampled is True


@pytest.mark.parametrize("rand", ["abc", "1.0", "47", ""])
def test_an_override_writes_a_number_that_agrees(rand: str) -> None:
    """Also where the upstream's `sample_rand` is unusable."""
    headers = {"sentry-trace": f"{T}-{S}-1", "baggage": f"sentry-trace_id={T},sentry-sample_rand={rand}"}
    with capture(traces_sampler=lambda _: 0.25), bridge.continue_trace(headers), bridge.start_span("request") as span:
        members = dict(m.split("=", 1) for m in bridge.trace_headers()["baggage"].split(","))
    assert members["sentry-sample_rate"] == "0.25"
    assert (float(members["sentry-sample_rand"]) < 0.25) is span.sampled
    assert members["sentry-sampled"] == str(span.sampled).lower()


def test_a_dsc_that_is_too_long_is_not_kept(sent: BridgeCapture) -> None:
    """Past 8192 bytes a DSC is neither passed on nor sent; the trace is continued."""
    long = f"sentry-trace_id={T},sentry-release={'r' * 9000}"
    with tracer.start_as_current_span("request", propagate.extract({"sentry-trace": f"{T}-{S}-1", "baggage": long})):
        assert "r" * 100 not in bridge.trace_headers().get("baggage", "")
    assert sent.transactions[0]["contexts"]["trace"]["trace_id"] == T
    assert all("r" * 100 not in str(envelope.headers) for envelope in sent.envelopes)


TARGET = "http://127.0.0.1:1/"


@pytest.mark.parametrize("make", [dict, list])
def test_headers_that_a_client_copied_to_another_host_are_removed(make: type) -> None:
    """A redirect past the targets takes neither `sentry-trace` nor the DSC along; the program's own members stay."""
    with capture(traces_sample_rate=1.0, trace_propagation_targets=[TARGET]), bridge.start_span("job"):
        first: dict[str, str] = {}
        with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes={"url.full": TARGET}):
            propagate.inject(first)
        assert "sentry-trace" in first
        copied: Any = make({**first, "baggage": first["baggage"] + ",user=1", "accept": "*"}.items())
        with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes={"url.full": "http://other/"}):
            propagate.inject(copied, setter=_Pairs() if make is list else propagate.textmap.default_setter)
    left = dict(copied)
    assert (left.get("sentry-trace"), left["baggage"], left["accept"]) == (None, "user=1", "*")
    assert "sentry=" not in left.get("tracestate", "")


class _Pairs(propagate.textmap.Setter[list[tuple[str, str]]]):
    """Sets a header on a list of pairs."""

    def set(self, carrier: list[tuple[str, str]], key: str, value: str) -> None:
        carrier.append((key, value))


def test_a_target_is_not_found_in_the_userinfo_of_a_url() -> None:
    """What stands before the `@` is no host."""
    with capture(traces_sample_rate=1.0, trace_propagation_targets=["127.0.0.1:1"]):
        for url, goes in ((TARGET, True), ("http://127.0.0.1:1@other/", False), ("http://other/a@127.0.0.1:1", True)):
            headers: dict[str, str] = {}
            with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes={"url.full": url}):
                propagate.inject(headers)
            assert ("sentry-trace" in headers) is goes, url


@pytest.mark.parametrize("headers", ["both", "Sentry's", "W3C's"])
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_an_upstream_that_is_not_trusted_decides_nothing(headers: str, rate: float) -> None:
    """A new trace begins, decided by the rate alone, whose root is linked to the sender's span."""
    with capture(traces_sample_rate=rate, trust_upstream=False) as sent:
        for number in range(2):
            with tracer.start_as_current_span(
                f"request {number}", propagate.extract(HEADERS[headers]), SpanKind.SERVER
            ) as span:
                assert span.trace_id not in (T, "b" * 32)
                assert (span.parent_span_id, span.sampled) == (None, rate == 1.0)
                with bridge.start_span("inside"):
                    pass
    for transaction in sent.transactions:
        (link,) = transaction["contexts"]["trace"]["links"]
        assert link["span_id"] == (S if "sentry-trace" in HEADERS[headers] else "c" * 16)
        assert transaction["spans"][0].get("links") is None
    assert len(sent.transactions) == 2 * rate
