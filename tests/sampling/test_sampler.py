"""The decision: who decides, by what, and what is told of it."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind

import bridge
from bridge._internal.guard import reraise_faults
from bridge._internal.sampling.sampler import SentrySampler, SpanStart
from bridge._internal.sampling.upstream import Upstream
from bridge._internal.wire.baggage import parse_dsc
from bridge.testing import capture

T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"


@pytest.mark.parametrize(
    ("explicit", "sampler", "flag", "rate", "sampled"),
    [
        (True, False, "-0", 0.0, True),
        (False, True, "-1", 1.0, False),
        (None, True, "-0", 0.0, True),
        (None, False, "-1", 1.0, False),
        (None, 1.0, "-0", 0.0, True),
        (None, 0, "-1", 1.0, False),
        (None, None, "-1", 0.0, True),
        (None, None, "-0", 1.0, False),
        (None, None, "", 1.0, True),
        (None, None, "", 0.0, False),
        (None, None, None, 1.0, True),
        (None, None, None, 0.0, False),
    ],
)
def test_who_decides(explicit: bool | None, sampler: Any, flag: str | None, rate: float, sampled: bool) -> None:
    """`sampled=`, then `traces_sampler`, then the parent's decision, then the rate."""
    options: dict[str, Any] = {"traces_sample_rate": rate}
    if sampler is not None:
        options["traces_sampler"] = lambda context: sampler
    headers = {} if flag is None else {"sentry-trace": f"{T}-{S}{flag}"}
    with capture(**options) as sent:
        with bridge.continue_trace(headers), bridge.start_span("root", sampled=explicit) as root:
            assert root.sampled is sampled
            with trace.get_tracer("t").start_as_current_span("child") as child:
                assert child.is_recording() is sampled
                assert sent.headers()["sentry-trace"].endswith(f"-{sampled:d}")
        assert sent.tree() == (["root", ["child"]] if sampled else [])


def test_what_a_traces_sampler_is_told() -> None:
    """Name, op, source, attributes, kind and the parent's side; it is asked once for a local root."""
    asked: list[dict[str, Any]] = []

    def sampler(context: dict[str, Any]) -> float:
        asked.append(context)
        return 1.0

    headers = {"sentry-trace": f"{T}-{S}-0", "baggage": f"sentry-trace_id={T},sentry-sample_rate=0.25"}
    with (
        capture(traces_sampler=sampler),
        bridge.continue_trace(headers),
        bridge.start_span("GET /", op="http.server", source="route", attributes={"a": 1}, kind=SpanKind.SERVER),
        bridge.start_span("child"),
    ):
        pass
    [context] = asked
    assert context["attributes"]["a"] == 1
    assert {key: context[key] for key in ("name", "op", "source", "kind", "parent_sampled", "parent_sample_rate")} == {
        "name": "GET /",
        "op": "http.server",
        "source": "route",
        "kind": SpanKind.SERVER,
        "parent_sampled": False,
        "parent_sample_rate": 0.25,
    }
    assert context["trace_id"] == T


@pytest.mark.parametrize("answer", ["yes", 2, -0.1, float("nan"), [], ValueError("bad"), None])
def test_a_sampler_that_fails(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One that raises, or returns what is no decision, is passed over; the parent's decision holds, then the rate."""
    reraise_faults(False)

    def sampler(context: dict[str, Any]) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with caplog.at_level(logging.CRITICAL), capture(traces_sampler=sampler, traces_sample_rate=1.0):
        with bridge.start_span("by rate") as by_rate:
            assert by_rate.sampled is True
        headers = {"sentry-trace": f"{T}-{S}-0"}
        with bridge.continue_trace(headers), bridge.start_span("by parent") as by_parent:
            assert by_parent.sampled is False


@given(
    st.integers(1, 2**128 - 1),
    st.floats(0, 1),
    st.none() | st.booleans(),
    st.none() | st.floats(0, 1, exclude_max=True).map(lambda rand: f"{rand:.6f}").filter(lambda text: text < "1"),
)
def test_numbers_and_decision_agree(trace_id: int, rate: float, sampled: bool | None, rand: str | None) -> None:
    """`sample_rand < sample_rate` says what was decided, whatever came and by whatever override."""
    upstream = None if rand is None else Upstream(trace_id, None, sample_rand=rand)
    start = SpanStart("root", SpanKind.INTERNAL, trace_id=trace_id, upstream=upstream, sampled=sampled)
    for sampler in (SentrySampler(rate), SentrySampler(None, lambda context: rate)):
        decision = sampler.decide(start)
        assert decision.sample_rate is not None
        assert (float(decision.sample_rand) < decision.sample_rate) is decision.sampled
        assert rand is None or decision.sample_rand == rand
        assert sampled is None or decision.sampled is sampled


def test_an_override_is_in_the_dsc() -> None:
    """Rate and decision are rewritten together, the rest stays; OpenTelemetry's threshold goes with them."""
    dsc = f"sentry-trace_id={T},sentry-sampled=true,sentry-sample_rate=1.0,sentry-sample_rand=0.7,sentry-x=y"
    headers = {
        "sentry-trace": f"{T}-{S}-1",
        "baggage": dsc,
        "traceparent": f"00-{T}-{S}-01",
        "tracestate": "ot=th:0;rv:4cccccccccccce;x:1,vendor=1",
    }
    with capture(traces_sampler=lambda context: 0.5) as sent, bridge.continue_trace(headers), bridge.start_span("root"):
        out = sent.headers()
    assert parse_dsc(out["baggage"]) == {**parse_dsc(dsc), "sampled": "false", "sample_rate": "0.5"}
    assert out["tracestate"] == "sentry=s:0;r:0.5;n:0.7,ot=rv:4cccccccccccce;x:1,vendor=1"
    assert out["traceparent"].endswith("-00")


@pytest.mark.parametrize("rate", [0.25, 0.5, 1.0])
def test_a_head_tells_opentelemetry_its_threshold(rate: float) -> None:
    """`ot=th:` where it was sampled at a rate, nothing where it was not."""
    threshold = {0.25: "c", 0.5: "8", 1.0: "0"}[rate]
    with capture(traces_sample_rate=rate) as sent:
        for _ in range(20):
            with bridge.start_span("head", parent=None) as head:
                state = sent.headers()["tracestate"]
            assert state.endswith(f",ot=th:{threshold}") if head.sampled else "ot=" not in state


def test_rv_decides() -> None:
    """OpenTelemetry's explicit random value stands in for the trace id's bits."""
    for rv, sampled in (("00000000000000", False), ("ffffffffffffff", True)):
        headers = {"traceparent": f"00-{T}-{S}-00", "tracestate": f"ot=rv:{rv},sentry=n:x"}
        with capture(traces_sample_rate=0.5, traces_sampler=lambda context: 0.5):
            context = propagate.extract(headers)
            with trace.get_tracer("t").start_as_current_span("root", context=context) as root:
                assert root.is_recording() is sampled


def test_a_dropped_root_is_reported() -> None:
    """Every root that was decided against is in a client report; a trace that is not ours to decide is not."""
    with capture(traces_sample_rate=0.0) as sent:
        for _ in range(3):
            with bridge.start_span("root"), bridge.start_span("child"):
                pass
        assert sent.client.sender.outcomes.lost_of("transaction") == {"sample_rate": 3}
    with capture(traces_sample_rate=None) as sent:
        with bridge.start_span("root"):
            pass
        assert sent.client.sender.outcomes.lost_of("transaction") == {}


def test_without_tracing_a_decision_is_left_open() -> None:
    """Nothing is recorded; the child of a deferred span is deferred too."""
    with capture(traces_sample_rate=None) as sent:
        with bridge.start_span("root") as root, bridge.start_span("child") as child:
            assert (root.sampled, child.sampled, child.is_recording()) == (None, None, False)
            headers = sent.headers()
        assert sent.tree() == []
    assert headers["sentry-trace"] == f"{root.trace_id}-{child.span_id}"
    assert not {"sampled", "sample_rate"} & parse_dsc(headers["baggage"]).keys()
