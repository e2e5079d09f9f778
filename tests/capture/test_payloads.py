"""Transactions and errors as they are sent."""

from __future__ import annotations

import linecache
import re
import sys
import time
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

import bridge
from bridge.testing import BridgeCapture, capture

tracer = trace.get_tracer("native", "1.2")
T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"


def test_a_whole_transaction() -> None:
    """Everything that was recorded on root and child is in the payload."""
    start_ns = time.time_ns() - 5_000_000_000
    link = Link(SpanContext(int(T, 16), int(S, 16), is_remote=True, trace_flags=TraceFlags(1)), {"why": "batch"})
    with capture(
        release="shop@1", environment="qa", dist="7", server_name="host", resource=Resource({"service.name": "shop"})
    ) as sent:
        root = bridge.start_span(
            "root", op="task", kind=SpanKind.SERVER, start_time=start_ns, links=[link], source="task"
        )
        with root:
            root.set_tag("root tag", 5)
            root.set_measurement("memory", 1.5, "megabyte")
            root.set_http_status(404)
            root.add_event("happened", {"n": 1}, timestamp=start_ns + 1_000)
            with tracer.start_as_current_span("child", kind=SpanKind.CLIENT, attributes={"k": (1, 2)}) as child:
                child.set_status(Status(StatusCode.ERROR, "broke"))
                child.set_tag("child tag", True)
                child.set_measurement("count", 3)
        root.finish()
        [transaction] = sent.transactions
    trace_context = transaction["contexts"]["trace"]
    assert (trace_context["op"], trace_context["status"], trace_context["origin"]) == ("task", "not_found", "manual")
    assert trace_context["links"] == [{"trace_id": T, "span_id": S, "sampled": True, "attributes": {"why": "batch"}}]
    [event] = trace_context["data"]["otel.events"]
    assert (event["name"], event["attributes"]) == ("happened", {"n": 1})
    assert (trace_context["data"]["otel.kind"], trace_context["data"]["otel.scope.name"]) == ("SERVER", "bridge")
    assert transaction["contexts"]["otel"]["resource"]["service.name"] == "shop"
    assert transaction["contexts"]["response"] == {"status_code": 404}
    assert transaction["tags"] == {"root_tag": "5"}
    assert transaction["measurements"] == {"memory": {"value": 1.5, "unit": "megabyte"}}
    assert (transaction["release"], transaction["environment"], transaction["dist"]) == ("shop@1", "qa", "7")
    assert (transaction["server_name"], transaction["transaction_info"]) == ("host", {"source": "task"})
    [span] = transaction["spans"]
    assert (span["description"], span["status"], span["tags"]) == ("child", "internal_error", {"child_tag": "true"})
    assert (span["data"]["k"], span["data"]["otel.scope.version"]) == ([1, 2], "1.2")
    assert span["measurements"] == {"count": {"value": 3, "unit": "none"}}
    assert span["parent_span_id"] == trace_context["span_id"]


def test_an_instrumented_requests_name_is_inferred_at_its_end(sent: BridgeCapture) -> None:
    """The route that becomes known while the request runs names the transaction; the DSC has no URL as a name."""
    attributes = {"http.request.method": "GET", "url.path": "/a/5"}
    with tracer.start_as_current_span("GET", kind=SpanKind.SERVER, attributes=attributes) as span:
        assert "sentry-transaction" not in (bridge.get_baggage() or "")
        span.set_attribute("http.route", "/a/{id}")
    [transaction] = sent.transactions
    assert (transaction["transaction"], transaction["transaction_info"]) == ("GET /a/{id}", {"source": "route"})


def test_children_that_come_late(sent: BridgeCapture) -> None:
    """A child that ends or starts after its root was sent follows in a transaction of its own, in the same trace."""
    root = bridge.start_inactive_span("root")
    with bridge.use_span(root):
        slow = bridge.start_inactive_span("slow")
        with bridge.use_span(slow), bridge.start_span("grandchild"):
            pass
    root.end()
    bridge.flush()
    slow.end()
    with bridge.use_span(root), bridge.start_span("late"), tracer.start_as_current_span("below"):
        pass
    first, second, third = sent.transactions
    assert [s["description"] for s in first["spans"]] == ["grandchild"]
    assert [s["description"] for s in third["spans"]] == ["below"]
    for late in (second, third):
        assert late["contexts"]["trace"]["data"]["sentry.parent_span_already_sent"] is True
        assert late["contexts"]["trace"]["parent_span_id"] == root.span_id
        assert late["contexts"]["trace"]["trace_id"] == root.trace_id
    assert sent.tree() == ["root", ["slow", ["grandchild"], "late", ["below"]]]
    account = sent.client.accounting()
    assert (account.started, account.delivered, account.pending) == (5, 5, 0)


def test_more_children_than_fit_are_counted() -> None:
    """At most max_spans go with a root; the others are in the account, with their reason."""
    with capture(max_spans=3) as sent:
        with bridge.start_span("root"):
            for _ in range(5):
                with tracer.start_as_current_span("child"):
                    pass
        assert len(sent.transactions[0]["spans"]) == 3
        account = sent.client.accounting()
    assert (account.started, account.delivered, dict(account.lost), account.pending) == (
        6,
        4,
        {"buffer_overflow": 2},
        0,
    )


@pytest.mark.parametrize("outcome", ["change", "drop", "raise", "nonsense"])
def test_before_send_hooks(outcome: str, caplog: pytest.LogCaptureFixture) -> None:
    """They may change or drop what is sent; what raises or returns nonsense is logged, and the event is sent."""

    def hook(event: dict[str, Any], hint: dict[str, Any]) -> Any:
        if outcome == "raise":
            raise ZeroDivisionError
        return {"change": {**event, "tags": {"hooked": "yes"}}, "drop": None, "nonsense": 5}[outcome]

    with capture(before_send=hook, before_send_transaction=hook) as sent:
        with bridge.start_span("root"):
            event_id = bridge.capture_message("m")
        assert (event_id is None) is (outcome == "drop")
        payloads = sent.transactions + sent.events
        account = sent.client.accounting()
    assert len(payloads) == (0 if outcome == "drop" else 2)
    if outcome == "change":
        assert [p["tags"] for p in payloads] == [{"hooked": "yes"}] * 2
    if outcome in ("raise", "nonsense"):
        assert "the event was sent as it was" in caplog.text
    assert dict(account.lost) == ({"before_send": 1} if outcome == "drop" else {})


def cause_of() -> Exception:
    """An exception with a cause, a context and notes."""
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("middle") from inner
    except ValueError:
        try:
            raise RuntimeError("outer")
        except RuntimeError as error:
            return error


def test_chained_causes(sent: BridgeCapture) -> None:
    """Oldest cause first, each with how it belongs to the next; frames caller first with their source."""
    bridge.capture_exception(cause_of())
    values = sent.events[0]["exception"]["values"]
    assert [(v["type"], v["value"]) for v in values] == [
        ("KeyError", "'inner'"),
        ("ValueError", "middle"),
        ("RuntimeError", "outer"),
    ]
    mechanisms = [(m["exception_id"], m.get("parent_id"), m.get("source")) for m in (v["mechanism"] for v in values)]
    assert mechanisms == [(2, 1, "__cause__"), (1, 0, "__context__"), (0, None, None)]
    frame = values[-1]["stacktrace"]["frames"][-1]
    assert (frame["function"], frame["module"], frame["in_app"]) == ("cause_of", __name__, True)
    assert frame["context_line"].strip() == 'raise RuntimeError("outer")'
    assert frame["filename"].endswith("capture/test_payloads.py")
    assert len(frame["pre_context"]) == 5
    assert "vars" not in frame


def test_suppressed_context(sent: BridgeCapture) -> None:
    """`raise ... from None` hides what was before."""
    try:
        try:
            raise KeyError("hidden")
        except KeyError:
            raise ValueError("shown") from None
    except ValueError:
        bridge.capture_exception()
    assert [v["type"] for v in sent.events[0]["exception"]["values"]] == ["ValueError"]


def test_exception_groups(sent: BridgeCapture) -> None:
    """Every member is there and names its group."""
    group = ExceptionGroup("both", [ValueError("a"), ExceptionGroup("in", [KeyError("b")])])
    group.__notes__ = ["a note"]
    bridge.capture_exception(group)
    values = sent.events[0]["exception"]["values"]
    assert [(v["type"], v["mechanism"].get("parent_id")) for v in values] == [
        ("KeyError", 2),
        ("ExceptionGroup", 0),
        ("ValueError", 0),
        ("ExceptionGroup", None),
    ]
    assert values[-1]["mechanism"]["is_exception_group"] is True
    assert values[-1]["value"].endswith("a note")
    assert values[1]["mechanism"]["source"] == "exceptions[1]"


def test_cycles_and_unprintable_errors(sent: BridgeCapture) -> None:
    """Errors that point at each other, and whose str() raises, are sent all the same."""

    class UnprintableError(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    one, two = UnprintableError(), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    bridge.capture_exception(one)
    assert [v["value"] for v in sent.events[0]["exception"]["values"]] == ["two", "<unprintable UnprintableError>"]


def test_locals_only_with_permission() -> None:
    """Local variables go along with send_default_pii alone, secrets never; reprs that raise are described."""

    class Bad:
        def __repr__(self) -> str:
            raise ZeroDivisionError

    def fail() -> None:
        password, number, bad = "hunter2", 5, Bad()
        raise ValueError(number, len(password), type(bad))

    with capture(send_default_pii=True) as sent:
        try:
            fail()
        except ValueError as error:
            bridge.capture_exception(error)
        found = sent.events[0]["exception"]["values"][0]["stacktrace"]["frames"][-1]["vars"]
    assert found == {"password": "[Filtered]", "number": "5", "bad": "<Bad>"} | {
        k: v for k, v in found.items() if k not in ("password", "number", "bad")
    }


def test_deep_recursion_keeps_both_ends(sent: BridgeCapture) -> None:
    """A very deep stack is sent with its beginning and its end."""

    def recurse(n: int) -> None:
        if n == 0:
            raise ValueError("bottom")
        recurse(n - 1)

    try:
        recurse(400)
    except ValueError as error:
        bridge.capture_exception(error)
    frames = sent.events[0]["exception"]["values"][0]["stacktrace"]["frames"]
    assert len(frames) == 250
    assert frames[0]["function"].endswith("test_deep_recursion_keeps_both_ends")
    assert frames[-1]["context_line"].strip() == 'raise ValueError("bottom")'


def test_source_that_is_not_on_disk(sent: BridgeCapture) -> None:
    """Code without a file has frames without source lines."""
    linecache.clearcache()
    try:
        exec(compile("raise ValueError('made up')", "<string>", "exec"), {"__name__": "made_up"})
    except ValueError as error:
        bridge.capture_exception(error)
    frame = sent.events[0]["exception"]["values"][0]["stacktrace"]["frames"][-1]
    assert (frame["filename"], frame["in_app"], "context_line" in frame) == ("<string>", True, False)


def test_the_same_exception_is_sent_once_for_a_trace(sent: BridgeCapture) -> None:
    """Captured at several places on its way out it is one event; raised again in another trace it is another."""
    single, captured = ValueError("reused"), []
    for name in ("one", "two"):
        try:
            with bridge.start_span(name), bridge.start_span(f"{name} inner"):
                try:
                    raise single
                except ValueError:
                    captured.append(bridge.capture_exception())
                    raise
        except ValueError:
            captured.append(bridge.capture_exception())
    assert [event_id is None for event_id in captured] == [False, True, False, True]
    links = {e["contexts"]["trace"]["span_id"] for e in sent.events}
    assert links == {s["span_id"] for s in sent.spans if "inner" in s["description"]}


def test_messages(sent: BridgeCapture) -> None:
    """The level is what is given, else the scope's, else info."""
    bridge.capture_message("plain")
    bridge.set_level("warning")
    bridge.capture_message("scoped")
    bridge.capture_message("given", "error", tags={"a": 1})
    assert [(e["logentry"]["message"], e["level"]) for e in sent.events] == [
        ("plain", "info"),
        ("scoped", "warning"),
        ("given", "error"),
    ]
    assert bridge.capture_exception() is None


def test_hostile_values_are_sent_as_well_as_they_can(sent: BridgeCapture) -> None:
    """Bytes, NaN, cycles, lone surrogates, values whose str() raises: nothing is lost for them."""

    class Hostile:
        def __str__(self) -> str:
            raise ZeroDivisionError

        __repr__ = __str__

    cycle: list[Any] = []
    cycle.append(cycle)
    bridge.set_extra("all", {"nan": float("nan"), "bytes": b"\xff", "cycle": cycle, "hostile": Hostile(), 5: "key"})
    bridge.set_tag("hostile", Hostile())
    bridge.set_tag("surrogate", "\ud800")
    bridge.capture_message("m \ud800")
    with bridge.start_span("root \ud800") as span:
        span.set_tag("line", "a\nb")
    assert len(sent.events) == len(sent.transactions) == 1
    sent.envelopes[0].serialize()


def test_ignored_spans() -> None:
    """What nobody wants to see is left out, its children stay under its parent, and all of it is in the account."""
    rules = ["health", re.compile("^ping$"), {"op": "noise", "name": "inner"}]
    with capture(ignore_spans=rules) as sent:
        with bridge.start_span("GET /health"), tracer.start_as_current_span("below"):
            pass
        with (
            bridge.start_span("root"),
            bridge.start_span("ping"),
            bridge.start_span("inner", op="noise"),
            tracer.start_as_current_span("kept"),
            bridge.start_span("inner", op="other"),
        ):
            pass
        assert sent.tree() == ["root", ["kept", ["inner"]]]
        account = sent.client.accounting()
    assert (account.started, account.delivered, account.pending) == (7, 3, 0)
    assert account.lost == {"event_processor": 4}


@pytest.mark.parametrize("outcome", ["change", "raise", "drop"])
def test_before_send_span(outcome: str) -> None:
    """The hook may change a span; one that raises or returns None changes nothing: a span cannot be dropped by it."""

    def hook(span: dict[str, Any]) -> Any:
        if outcome == "raise":
            raise ZeroDivisionError
        return {**span, "description": "changed"} if outcome == "change" else None

    with capture(before_send_span=hook) as sent:
        with bridge.start_span("root"), bridge.start_span("child"):
            pass
        assert sent.tree() == ["root", ["changed" if outcome == "change" else "child"]]


def test_recorded_exceptions_as_errors() -> None:
    """With capture_span_exceptions what is recorded on a span is sent as an error, once."""
    with capture(capture_span_exceptions=True) as sent:
        with (
            pytest.raises(ValueError, match="bad"),
            bridge.start_span("root"),
            tracer.start_as_current_span("inner") as inner,
        ):
            raise ValueError("bad")
        [event] = sent.events
    assert event["contexts"]["trace"]["span_id"] == inner.span_id


def test_spans_that_go_another_way() -> None:
    """With trace_lifecycle="none" errors, scopes, headers and decisions stay ours, and no transactions are sent."""
    with capture(trace_lifecycle="none") as sent:
        with bridge.start_span("root") as root:
            assert root.sampled is True
            bridge.capture_message("m")
        assert (len(sent.transactions), len(sent.events)) == (0, 1)
        assert sent.client.accounting().started == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ok", "ok"),
        ("not_found", "not_found"),
        ("cancelled", "cancelled"),
        ("my own word", "internal_error"),
        (StatusCode.OK, "ok"),
        (Status(StatusCode.ERROR, "not_found"), "not_found"),
    ],
)
def test_a_status_may_be_sentrys_word(sent: BridgeCapture, given: Any, expected: str) -> None:
    """As sentry-sdk takes it, on a span of either API; OpenTelemetry's own are as ever."""
    with bridge.start_span("root") as root, trace.get_tracer("t").start_as_current_span("child") as child:
        root.set_status(given)
        child.set_status(given)
    [transaction] = sent.transactions
    assert transaction["contexts"]["trace"]["status"] == transaction["spans"][0]["status"] == expected


@pytest.mark.parametrize("rate", [1.0, 0.0])
def test_an_error_names_the_transaction_that_it_belongs_to(rate: float) -> None:
    """By the name that the root has then, sampled or not; a scope's own name wins, without a root there is none."""
    with capture(traces_sample_rate=rate) as sent:
        attributes = {"http.request.method": "GET", "http.route": "/orders/{order}", "url.path": "/orders/7"}
        with tracer.start_as_current_span("GET", kind=SpanKind.SERVER, attributes=attributes):
            with bridge.start_span("child"):
                bridge.capture_message("in a child")
            with bridge.new_scope() as scope:
                scope.set_transaction_name("mine")
                bridge.capture_message("named by a scope")
        bridge.capture_message("outside")
        first, second, third = sent.events
    assert (first["transaction"], first["transaction_info"]) == ("GET /orders/{order}", {"source": "route"})
    assert second["transaction"] == "mine"
    assert "transaction" not in third
