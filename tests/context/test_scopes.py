"""Scopes: what is set where, who sees it, and what is sent."""

from __future__ import annotations

import asyncio
import logging
import threading
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from opentelemetry import context as context_api
from opentelemetry import propagate, trace
from opentelemetry.context.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

import bridge
from bridge.testing import BridgeCapture, capture

tracer = trace.get_tracer("native")
T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"


def send_error(**arguments: Any) -> None:
    """Send one error."""
    bridge.capture_exception(ValueError("bad"), **arguments)


def test_precedence(sent: BridgeCapture) -> None:
    """global < isolation < current < the call's own arguments, for each kind of data."""
    layers = [bridge.get_global_scope(), bridge.get_isolation_scope(), bridge.get_current_scope()]
    for number, scope in enumerate(layers):
        scope.set_tags({f"t{n}": number for n in range(number, 4)})
        scope.set_extra("e", number)
        scope.set_context("c", {"who": number, f"only{number}": True})
        scope.set_user({"id": str(number), f"u{number}": "x"})
        scope.set_level(["debug", "info", "warning"][number])
        scope.set_fingerprint([str(number)])
        scope.set_transaction_name(f"name {number}")
    send_error()
    send_error(
        tags={"t3": 3}, extra={"e": 3}, contexts={"c": {"who": 3}}, user={"id": "3"}, level="fatal", fingerprint=["3"]
    )
    first, second = sent.events
    assert first["tags"] == {"t0": "0", "t1": "1", "t2": "2", "t3": "2"}
    assert first["user"]["id"] == first["fingerprint"][0] == "2"
    assert first["contexts"]["c"] == {"who": 2, "only0": True, "only1": True, "only2": True}
    assert (first["extra"], first["level"], first["transaction"]) == ({"e": 2}, "warning", "name 2")
    assert second["tags"]["t3"] == second["user"]["id"] == second["fingerprint"][0] == "3"
    assert (second["extra"], second["level"], second["contexts"]["c"]["who"]) == ({"e": 3}, "fatal", 3)


def test_what_sentry_would_find_fault_with_is_made_text_or_left_out(sent: BridgeCapture) -> None:
    """Who a user is goes as text, whatever it is; tags without a key or a value do not go."""
    bridge.set_user({"id": UUID(int=7), "ip_address": ip_address("127.0.0.1"), "username": True, "email": None})
    bridge.set_tags({"": "no key", "empty": "", "none": None, "zero": 0})
    send_error()
    user = {"id": str(UUID(int=7)), "ip_address": "127.0.0.1", "username": "true", "email": None}
    assert (sent.events[0]["user"], sent.events[0]["tags"]) == (user, {"zero": "0"})


@pytest.mark.parametrize(
    ("given", "level"),
    [("ERROR", "error"), ("warn", "warning"), (logging.CRITICAL, "fatal"), (logging.DEBUG, "debug"), ("loud", "error")],
)
def test_levels_by_any_name(sent: BridgeCapture, given: Any, level: str) -> None:
    """Python's names and numbers for levels are Sentry's, whoever gives them; what nobody knows is an error."""
    bridge.capture_message("by call", level=given)
    bridge.set_level(given)
    bridge.capture_message("by scope")
    bridge.capture_event({"message": "own", "level": given})
    assert [event["level"] for event in sent.events] == [level] * 3


def test_an_events_own_values_win(sent: BridgeCapture) -> None:
    """What is in an event of the user's making is not overwritten by scopes."""
    bridge.set_tags({"a": 1, "b": 1})
    bridge.set_level("warning")
    bridge.capture_event({"message": "m", "tags": {"a": 2}, "level": "info", "release": "own"})
    assert sent.events[0]["tags"] == {"a": "2", "b": "1"}
    assert (sent.events[0]["level"], sent.events[0]["release"]) == ("info", "own")


def test_layers_can_be_read_and_cleared(sent: BridgeCapture) -> None:
    """Each layer tells its own data, read-only; clear() empties that layer."""
    scope = bridge.get_isolation_scope()
    scope.set_tags({"a": 1, "b": 2})
    scope.remove_tag("b")
    scope.remove_tag("never")
    scope.set_user({"id": "1"})
    scope.add_breadcrumb(message="m", timestamp=1.0)
    assert (dict(scope.tags), dict(scope.user or {}), len(scope.breadcrumbs)) == ({"a": 1}, {"id": "1"}, 1)
    with pytest.raises(TypeError):
        scope.tags["c"] = 3  # type: ignore[index]
    assert dict(bridge.get_current_scope().tags) == {}
    scope.set_user(None)
    scope.clear()
    assert (dict(scope.tags), scope.user, scope.breadcrumbs, scope.level) == ({}, None, (), None)


def test_breadcrumbs() -> None:
    """The newest are kept, in order of time over all layers; the hook may change, drop, or fail."""

    def hook(crumb: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any] | None:
        if crumb["message"] == "raise":
            raise ZeroDivisionError
        return None if crumb["message"] == "drop" else {**crumb, "category": hint.get("category", "none")}

    with capture(before_breadcrumb=hook, max_breadcrumbs=3) as sent:
        for n in range(5):
            bridge.add_breadcrumb({"message": f"m{n}", "timestamp": float(n)}, {"category": "hinted"})
        bridge.add_breadcrumb(message="drop")
        bridge.get_current_scope().add_breadcrumb(message="current", timestamp=3.5)
        bridge.add_breadcrumb(message="raise", timestamp=9.0, type="http", level="info", data={"a": 1})
        send_error()
        crumbs = sent.events[0]["breadcrumbs"]["values"]
    assert [c["message"] for c in crumbs] == ["m3", "current", "m4", "raise"]
    assert [c.get("category") for c in crumbs] == ["hinted", "none", "hinted", None]


def test_event_processors_in_order(sent: BridgeCapture, caplog: pytest.LogCaptureFixture) -> None:
    """global, isolation, current; one that raises is skipped and logged, one that returns None drops."""
    order: list[str] = []

    def processor(name: str) -> Any:
        def process(event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any] | None:
            order.append(name)
            if name == "raises":
                raise ZeroDivisionError
            assert hint["exc_info"][0] is ValueError
            return None if name == "drops" else {**event, "tags": {"seen": name}}

        return process

    bridge.get_current_scope().add_event_processor(processor("current"))
    bridge.get_isolation_scope().add_event_processor(processor("raises"))
    bridge.get_isolation_scope().add_event_processor(processor("isolation"))
    bridge.get_global_scope().add_event_processor(processor("global"))
    send_error()
    assert order == ["global", "raises", "isolation", "current"]
    with bridge.new_scope() as scope:
        scope.add_event_processor(processor("drops"))
        assert bridge.capture_exception(ValueError("other")) is None
    assert [e["tags"] for e in sent.events] == [{"seen": "current"}]
    assert "an event processor raised" in caplog.text


def test_attachments(sent: BridgeCapture, tmp_path: Path) -> None:
    """Bytes and files go with errors; a file that is gone is counted, not an exception."""
    path = tmp_path / "log.txt"
    path.write_bytes(b"from a file")
    scope = bridge.get_isolation_scope()
    scope.add_attachment(bytes=b"raw", filename="a.bin", content_type="application/octet-stream")
    scope.add_attachment(path=str(path))
    with pytest.raises(TypeError, match="give bytes or path"):
        scope.add_attachment()
    with pytest.raises(TypeError, match="need a filename"):
        scope.add_attachment(bytes=b"x")
    send_error()
    items = [(i.payload, i.headers.get("filename")) for i in sent.envelopes[0].items if i.type == "attachment"]
    assert items == [(b"raw", "a.bin"), (b"from a file", "log.txt")]


def test_a_write_to_the_current_scope_lives_as_long_as_what_is_around_it(sent: BridgeCapture) -> None:
    """new_scope() and a span's block undo what was written in them; parents and siblings never see it."""
    scope = bridge.get_current_scope()
    scope.set_tag("outer", 1)
    with bridge.new_scope() as inner:
        inner.set_tag("inner", 1)
        assert dict(scope.tags) == {"outer": 1, "inner": 1}
        with bridge.start_span("span"):
            scope.set_tag("span", 1)
            assert dict(scope.tags) == {"outer": 1, "inner": 1, "span": 1}
        assert dict(scope.tags) == {"outer": 1, "inner": 1}
    assert dict(scope.tags) == {"outer": 1}


def test_what_a_roots_block_wrote_is_on_its_transaction(sent: BridgeCapture) -> None:
    """The block's own writes are, those of new_scope(), of a child's block, of another task or thread are not."""

    async def main() -> None:
        with bridge.start_span("root"):
            scope = bridge.get_current_scope()
            scope.set_tag("own", 1)
            with bridge.new_scope() as forked:
                forked.set_tag("forked", 1)
            with tracer.start_as_current_span("child"):
                scope.set_tag("child", 1)

            async def task() -> None:
                scope.set_tag("task", 1)

            await asyncio.create_task(task())
            await asyncio.to_thread(scope.set_tag, "thread", 1)
            scope.set_tag("last", 1)
            scope.set_transaction_name("renamed")

    asyncio.run(main())
    assert sent.transactions[0]["tags"] == {"own": "1", "last": "1"}
    assert sent.transactions[0]["transaction"] == "renamed"


def test_use_span_and_late_ends_keep_the_starters_scopes(sent: BridgeCapture) -> None:
    """A root that is activated by OpenTelemetry's use_span, and ended elsewhere, is sent with its starter's data."""
    with bridge.isolation_scope() as request:
        request.set_tag("request", 1)
        span = tracer.start_span("root")
        with trace.use_span(span):
            bridge.get_current_scope().set_tag("own", 1)
    with bridge.isolation_scope() as other:
        other.set_tag("other", 1)
        bridge.get_current_scope().set_tag("ender", 1)
        thread = threading.Thread(target=span.end)
        thread.start()
        thread.join()
    assert sent.transactions[0]["tags"] == {"request": "1", "own": "1"}


def test_isolation_scopes_fork_and_come_back(sent: BridgeCapture) -> None:
    """isolation_scope() starts with the same data and a trace of its own; nothing written in it stays."""
    bridge.set_tag("before", 1)
    outer = bridge.get_isolation_scope()
    headers = bridge.trace_headers()
    with bridge.isolation_scope() as inner:
        assert inner is bridge.get_isolation_scope() is not outer
        bridge.set_tag("inside", 1)
        assert dict(inner.tags) == {"before": 1, "inside": 1}
        assert bridge.trace_headers()["sentry-trace"][:32] != headers["sentry-trace"][:32]
    assert bridge.get_isolation_scope() is outer
    assert dict(outer.tags) == {"before": 1}
    assert bridge.trace_headers() == headers


def test_extract_forks_and_the_span_brings_its_scopes(sent: BridgeCapture) -> None:
    """start_as_current_span(context=extracted) loses the Context but not its scopes; use_span(remote) has them too."""
    bridge.set_tag("process", 1)
    context = propagate.extract({"sentry-trace": f"{T}-{S}-1"})
    with tracer.start_as_current_span("server", context=context, kind=SpanKind.SERVER):
        bridge.set_tag("request", 1)
        with tracer.start_as_current_span("inner"):
            send_error()
    with trace.use_span(trace.get_current_span(context)):
        assert dict(bridge.get_isolation_scope().tags) == {"process": 1, "request": 1}
    assert dict(bridge.get_isolation_scope().tags) == {"process": 1}
    assert sent.transactions[0]["tags"] == sent.events[0]["tags"] == {"process": "1", "request": "1"}


@pytest.mark.parametrize("kind", [SpanKind.SERVER, SpanKind.CONSUMER, SpanKind.CLIENT, SpanKind.INTERNAL])
def test_which_roots_isolate_themselves(sent: BridgeCapture, kind: SpanKind) -> None:
    """A SERVER or CONSUMER root that nobody extracted for forks, every time; nothing else does."""
    isolates = kind in (SpanKind.SERVER, SpanKind.CONSUMER)
    for number in range(2):
        with tracer.start_as_current_span(f"r{number}", kind=kind), tracer.start_as_current_span("child", kind=kind):
            bridge.set_tag(f"t{number}", 1)
    tags = [t["tags"] for t in sent.transactions]
    assert tags == ([{"t0": "1"}, {"t1": "1"}] if isolates else [{"t0": "1"}, {"t0": "1", "t1": "1"}])


def test_jobs_in_one_context_that_nobody_detaches(sent: BridgeCapture) -> None:
    """An extracted Context that is attached and never detached serves one request; the next root forks again."""
    context_api.attach(propagate.extract({"sentry-trace": f"{T}-{S}-1"}))
    for number in range(2):
        with tracer.start_as_current_span("job", kind=SpanKind.CONSUMER):
            bridge.set_tag(f"job {number}", 1)
    assert [t["tags"] for t in sent.transactions] == [{"job_0": "1"}, {"job_1": "1"}]


def test_a_bare_context_starts_clean(sent: BridgeCapture) -> None:
    """start_span in a Context without scopes has neither the starter's nor the ender's data on it."""
    bridge.set_tag("ambient", 1)
    bridge.get_current_scope().set_tag("current", 1)
    span = bridge.start_span("clean", parent=Context())
    span.end()
    assert sent.transactions[0].get("tags", {}) == {}
    token = context_api.attach(Context())
    assert dict(bridge.get_isolation_scope().tags) == {}
    bridge.set_tag("bare", 1)
    assert dict(bridge.get_isolation_scope().tags) == {"bare": 1}
    context_api.detach(token)
    assert dict(bridge.get_isolation_scope().tags) == {"ambient": 1}


def test_one_root_one_trace(sent: BridgeCapture) -> None:
    """Errors just before, inside and just after a root carry its trace; sequential roots are traces of their own."""
    send_error()
    with bridge.start_span("first"):
        send_error()
    send_error()
    with bridge.start_span("second"):
        pass
    send_error()
    traces = [t["contexts"]["trace"]["trace_id"] for t in sent.transactions]
    assert traces[0] != traces[1]
    assert [e["contexts"]["trace"]["trace_id"] for e in sent.events] == [traces[0]] * 3 + [traces[1]]
    spans = [e["contexts"]["trace"]["span_id"] for e in sent.events]
    assert spans[1] == sent.transactions[0]["contexts"]["trace"]["span_id"]
    assert spans[0] not in (spans[1], "0" * 16)
    assert sent.envelopes[1].headers["trace"] == sent.envelopes[2].headers["trace"]


def test_concurrent_roots_are_traces_of_their_own(sent: BridgeCapture) -> None:
    """Two roots that overlap do not share a trace, nor does either become the other's child."""
    one = bridge.start_inactive_span("one")
    two = bridge.start_inactive_span("two")
    two.end()
    one.end()
    assert one.trace_id != two.trace_id
    assert sent.tree() == ["one", "two"]


def test_new_trace(sent: BridgeCapture) -> None:
    """A fresh trace for a block, also inside a span; the scopes stay, and all is as before on exit."""
    with bridge.start_span("root") as root:
        bridge.get_current_scope().set_tag("current", 1)
        with bridge.new_trace():
            assert bridge.get_current_span() is None
            bridge.set_tag("set", 1)
            assert dict(bridge.get_current_scope().tags) == {"current": 1}
            with bridge.start_span("other") as other:
                assert other.trace_id != root.trace_id
        assert bridge.get_current_span() is root
        assert dict(bridge.get_isolation_scope().tags) == {"set": 1}
    assert sent.tree() == ["root", "other"]


def test_continue_trace(sent: BridgeCapture) -> None:
    """Every root in the block continues; errors outside of spans link to it; all is as before on exit."""
    before = bridge.trace_headers()["sentry-trace"]
    bridge.set_tag("process", 1)
    with bridge.continue_trace({"Sentry-Trace": [f"{T}-{S}-1".encode()]}):
        bridge.set_tag("request", 1)
        send_error()
        for _ in range(2):
            with bridge.start_span("root") as span:
                assert (span.trace_id, span.parent_span_id) == (T, S)
        assert bridge.get_current_span() is None
        outgoing = bridge.get_traceparent() or ""
        assert outgoing[:32] == T
        assert outgoing[33:49] != S
        assert outgoing.endswith("-1")
    assert bridge.trace_headers()["sentry-trace"] == before
    assert dict(bridge.get_isolation_scope().tags) == {"process": 1}
    context = sent.events[0]["contexts"]["trace"]
    assert (context["trace_id"], context["parent_span_id"]) == (T, S)
    assert context["span_id"] not in (S, span.span_id)


def test_last_event_id_is_per_isolation_scope(sent: BridgeCapture) -> None:
    """The last error's id is the request's own."""
    assert bridge.last_event_id() is None
    one = bridge.capture_message("one")
    with bridge.isolation_scope():
        assert bridge.last_event_id() is None
        two = bridge.capture_message("two")
        assert bridge.last_event_id() == two
    assert bridge.last_event_id() == one


class Vendor(trace.Span):
    """A span of a vendor's own implementation of the API: no attributes, no SDK."""

    def __init__(self, context: SpanContext) -> None:
        self._context = context

    def end(self, end_time: int | None = None) -> None: ...
    def get_span_context(self) -> SpanContext:
        return self._context

    def set_attributes(self, attributes: Any) -> None: ...
    def set_attribute(self, key: str, value: Any) -> None: ...
    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None: ...
    def update_name(self, name: str) -> None: ...
    def is_recording(self) -> bool:
        return True

    def set_status(self, status: Any, description: str | None = None) -> None: ...
    def record_exception(self, *args: Any, **kwargs: Any) -> None: ...


def foreign_spans() -> list[Any]:
    """Spans of others: a second SDK provider's, a vendor's, a non-recording one."""
    second = TracerProvider(shutdown_on_exit=False).get_tracer("second")
    ids = SpanContext(int(T, 16), int(S, 16), is_remote=False, trace_flags=TraceFlags(3))
    return [second.start_span("second provider"), Vendor(ids), NonRecordingSpan(ids)]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_spans_of_others_are_parents_and_current(sent: BridgeCapture, index: int) -> None:
    """They are valid parents and valid current spans, in the scopes of the request around them."""
    foreign = foreign_spans()[index]
    with bridge.isolation_scope():
        bridge.set_tag("request", 1)
        with trace.use_span(foreign):
            current = bridge.get_current_span()
            assert current is not None
            assert current.span_id == f"{foreign.get_span_context().span_id:016x}"
            current.set_tag("a", 1)
            current.set_measurement("b", 1.0)
            assert bridge.trace_headers()["sentry-trace"] == f"{current.trace_id}-{current.span_id}-1"
            with bridge.start_span("below") as below:
                assert (below.trace_id, below.parent_span_id) == (current.trace_id, current.span_id)
                assert dict(bridge.get_isolation_scope().tags) == {"request": 1}
            with bridge.start_span("given", parent=current) as given:
                assert given.parent_span_id == current.span_id
    assert [t["tags"] for t in sent.transactions] == [{"request": "1"}] * 2


def test_tokens_of_all_kinds_are_tolerated(sent: BridgeCapture, caplog: pytest.LogCaptureFixture) -> None:
    """Detached out of order, never, or in another context: no error log, spans go on."""
    outer = context_api.attach(context_api.set_value("outer", 1))
    inner = context_api.attach(context_api.set_value("inner", 1))
    context_api.detach(outer)
    context_api.detach(inner)
    context_api.attach(context_api.set_value("never", 1))

    async def elsewhere() -> None:
        context_api.detach(token)

    token = context_api.attach(context_api.set_value("k", "v"))
    asyncio.run(elsewhere())
    context_api.detach(token)
    with bridge.start_span("a"):
        pass
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert sent.tree() == ["a"]
