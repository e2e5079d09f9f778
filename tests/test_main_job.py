"""The main job, in one process: both APIs, one context, one decision, one set of headers, one transaction."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

import bridge
from bridge.testing import BridgeCapture, capture

tracer = trace.get_tracer("native")
third = trace.get_tracer("third")


def test_spans_of_both_apis_are_one_chain(sent: BridgeCapture) -> None:
    """A native span in start_span, in a third tracer's, in start_span again: one parent chain, agreed at each level."""
    with bridge.start_span("one") as one:
        assert trace.get_current_span() is one is bridge.get_current_span()
        with tracer.start_as_current_span("two") as two:
            assert trace.get_current_span() is two is bridge.get_current_span()
            with third.start_as_current_span("three") as three:
                assert trace.get_current_span() is three is bridge.get_current_span()
                with bridge.start_span("four") as four:
                    assert trace.get_current_span() is four is bridge.get_current_span()
                    assert bridge.get_root_span() is one
            assert trace.get_current_span() is two is bridge.get_current_span()
    assert bridge.get_current_span() is None
    assert sent.tree() == ["one", ["two", ["three", ["four"]]]]
    assert [s["origin"] for s in sent.spans] == ["manual", "auto.otel", "auto.otel", "manual"]


def test_every_span_is_an_sdk_span(sent: BridgeCapture) -> None:
    """Instrumentations that test for the SDK's class find it, and exporters can read it."""
    with bridge.start_span("a") as span:
        assert isinstance(span, ReadableSpan)
        assert isinstance(span, trace.Span)
        assert isinstance(span, bridge.Span)
        assert span.to_json()


def test_one_decision_and_one_set_of_headers(sent: BridgeCapture) -> None:
    """All four headers name the same trace, the same span and the same decision."""
    with tracer.start_as_current_span("root"), bridge.start_span("child") as child:
        headers = bridge.trace_headers()
    assert headers["sentry-trace"] == f"{child.trace_id}-{child.span_id}-1"
    assert headers["traceparent"].startswith(f"00-{child.trace_id}-{child.span_id}-0")
    assert headers["tracestate"].startswith("sentry=s:1;r:1.0;n:0.")
    dsc = dict(member.split("=") for member in headers["baggage"].split(","))
    assert dsc["sentry-trace_id"] == child.trace_id
    assert dsc["sentry-sampled"] == "true"
    assert dsc["sentry-transaction"] == "root"
    assert sent.envelopes[0].headers["trace"]["trace_id"] == child.trace_id


def test_the_wire_goes_round(sent: BridgeCapture) -> None:
    """What one service injects another extracts: its server span is below the client span, in the same decision."""
    with bridge.start_span("client", kind=SpanKind.CLIENT) as client:
        headers: dict[str, str] = {}
        propagate.inject(headers)
    context = propagate.extract(headers)
    with tracer.start_as_current_span("server", context=context, kind=SpanKind.SERVER) as server:
        assert (server.trace_id, server.parent_span_id) == (client.trace_id, client.span_id)
        assert bridge.trace_headers()["baggage"] == headers["baggage"]
    with bridge.continue_trace(headers), bridge.start_span("job") as job:
        assert (job.trace_id, job.parent_span_id) == (client.trace_id, client.span_id)
    assert sent.tree() == ["client", ["server", "job"]]


@pytest.mark.parametrize(("rate", "flag"), [(0.0, "-0"), (None, "")])
def test_what_is_not_sampled_still_has_ids_and_headers(rate: float | None, flag: str) -> None:
    """A dropped root propagates its own trace id and -0, with tracing off no flag; neither is sent."""
    with capture(traces_sample_rate=rate) as sent:
        with bridge.start_span("root") as root, tracer.start_as_current_span("child") as child:
            assert not root.is_recording()
            assert (child.trace_id, child.parent_span_id) == (root.trace_id, root.span_id)
            assert bridge.trace_headers()["sentry-trace"] == f"{child.trace_id}-{child.span_id}{flag}"
        assert sent.transactions == []


def test_traces_sampler_decides(caplog: pytest.LogCaptureFixture) -> None:
    """traces_sampler gets what is known and decides; when it raises, the rate does."""
    seen = []

    def sampler(context: dict[str, object]) -> float:
        seen.append(context)
        if context["name"] == "broken":
            raise ZeroDivisionError
        return 1.0 if context["op"] == "task" else 0.0

    with capture(traces_sampler=sampler, traces_sample_rate=1.0) as sent:
        for name, op in (("kept", "task"), ("dropped", "other"), ("broken", "other")):
            with bridge.start_span(name, op=op, attributes={"a": 1}):
                pass
        assert sent.tree() == ["kept", "broken"]
    assert seen[0]["attributes"] == {"a": 1, "sentry.op": "task"}
    assert seen[0]["parent_sampled"] is None
    assert len([r for r in caplog.records if "traces_sampler raised" in r.message]) == 1


async def _request(number: int) -> None:
    with bridge.start_span(f"request {number}", kind=SpanKind.SERVER):
        bridge.set_tag("request", number)
        await asyncio.sleep(0)
        with tracer.start_as_current_span("work"):
            bridge.get_current_scope().set_tag("work", number)
            await asyncio.sleep(0)
            try:
                raise ValueError(number)
            except ValueError as error:
                bridge.capture_exception(error)


@pytest.mark.parametrize("used_before", [False, True])
def test_a_hundred_concurrent_requests_do_not_mix(sent: BridgeCapture, used_before: bool) -> None:
    """A tag set in one of 100 concurrent requests is on that request's transaction and error, on no other."""
    if used_before:
        bridge.set_tag("process", "one")

    async def all_of_them() -> None:
        await asyncio.gather(*(_request(number) for number in range(100)))

    asyncio.run(all_of_them())
    shared = {"process": "one"} if used_before else {}
    tags = {t["transaction"]: t["tags"] for t in sent.transactions}
    assert tags == {f"request {n}": {"request": str(n), **shared} for n in range(100)}
    for event in sent.events:
        number = event["exception"]["values"][0]["value"]
        assert event["tags"] == {"request": number, "work": number, **shared}
    assert len(sent.events) == 100
    traces = {t["contexts"]["trace"]["trace_id"] for t in sent.transactions}
    assert len(traces) == 100
    assert {e["contexts"]["trace"]["trace_id"] for e in sent.events} == traces


def test_an_error_in_a_block_is_on_its_span(sent: BridgeCapture) -> None:
    """An exception that leaves a block sets ERROR and is recorded; captured outside, it links to where it came from."""
    with pytest.raises(LookupError) as caught, bridge.start_span("outer"), bridge.start_span("inner") as inner:
        raise LookupError("gone")
    assert bridge.capture_exception(caught.value) == bridge.last_event_id()
    assert bridge.capture_exception(caught.value) is None
    assert inner.status.status_code is StatusCode.ERROR
    [transaction] = sent.transactions
    assert transaction["contexts"]["trace"]["status"] == "internal_error"
    assert transaction["spans"][0]["data"]["otel.events"][0]["name"] == "exception"
    [event] = sent.events
    assert event["contexts"]["trace"]["span_id"] == inner.span_id
    assert event["contexts"]["trace"]["trace_id"] == inner.trace_id


def test_the_account_balances(sent: BridgeCapture) -> None:
    """Every span that was started sampled is delivered once everything is flushed."""
    for _ in range(3):
        with bridge.start_span("root"), tracer.start_as_current_span("child"):
            pass
    bridge.flush()
    account = sent.client.accounting()
    assert (account.started, account.delivered, dict(account.lost), account.pending) == (6, 6, {}, 0)
