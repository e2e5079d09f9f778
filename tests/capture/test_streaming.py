"""`trace_lifecycle="stream"`: spans by themselves, as they end."""

from __future__ import annotations

import json
import math
import platform
import threading
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

import bridge
import bridge.otel
from bridge._internal.capture.span_v2 import typed
from bridge._internal.delivery import sender as sending
from bridge._internal.delivery.limits import span_containers
from bridge.testing import BridgeCapture, capture
from tests.judges.spans import container_complaints

tracer = trace.get_tracer("native", "1.2")
T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"


def containers(sent: BridgeCapture) -> list[list[dict[str, Any]]]:
    return [item.content()["items"] for e in sent.envelopes for item in e.items if item.type == "span"]


def values(span: dict[str, Any]) -> dict[str, Any]:
    return {key: attribute["value"] for key, attribute in span["attributes"].items()}


def test_a_whole_segment() -> None:
    """Everything that was recorded on root and child is in a container, under the trace's own header."""
    start_ns = 1_700_000_000_000_000_000
    link = Link(SpanContext(int(T, 16), int(S, 16), is_remote=True, trace_flags=TraceFlags(1)), {"why": "batch"})
    with capture(
        trace_lifecycle="stream",
        release="shop@1",
        environment="qa",
        dist="7",
        server_name="host",
        resource=Resource({"service.name": "shop"}),
    ) as sent:
        bridge.set_attribute("customer", "c-42")
        bridge.set_user({"id": 5, "username": "ada"})
        bridge.set_tag("plan", "pro")
        with bridge.start_span("root", op="task", start_time=start_ns, links=[link], source="task") as root:
            root.set_tag("root tag", 5)
            root.set_measurement("memory", 1.5, "megabyte")
            root.add_event("happened", {"n": 1}, timestamp=start_ns + 1_000)
            with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes={"k": (1, 2)}) as child:
                child.set_attributes({"http.request.method": "GET", "url.full": "http://u:p@x/a?b"})
                child.set_status(Status(StatusCode.ERROR, "broke"))
            headers = sent.headers()
        [[first, second]] = containers(sent)
        [envelope] = [e for e in sent.envelopes if e.items[0].type == "span"]
        account = sent.client.accounting()
    assert envelope.headers["trace"]["trace_id"] == first["trace_id"] == second["trace_id"] == root.trace_id
    assert envelope.headers["trace"]["sample_rate"] == "1.0"
    assert f"{first['trace_id']}-{second['span_id']}-1" == headers["sentry-trace"]
    assert envelope.items[0].headers["item_count"] == 2
    assert (first["name"], first["status"], first["is_segment"]) == ("GET", "error", False)
    assert (second["name"], second["status"], second["is_segment"]) == ("root", "ok", True)
    assert first["parent_span_id"] == second["span_id"]
    assert second["start_timestamp"] == start_ns / 1e9 < second["end_timestamp"]
    common = {
        "sentry.segment.id": root.span_id,
        "sentry.segment.name": "root",
        "sentry.sdk.name": "sentry-otel-bridge",
        "sentry.release": "shop@1",
        "sentry.environment": "qa",
        "sentry.dist": "7",
        "sentry.trace_lifecycle": "stream",
        "process.runtime.name": platform.python_implementation(),
        "process.runtime.version": platform.python_version(),
        "thread.id": threading.get_ident(),
        "thread.name": threading.current_thread().name,
        "customer": "c-42",
        "user.id": "5",
        "user.name": "ada",
    }
    for span in (first, second):
        assert {key: values(span)[key] for key in common} == common
    assert (values(first)["k"], first["attributes"]["k"]["type"]) == ([1, 2], "array")
    assert values(first)["url.full"] == "http://x/a?b"
    assert (values(first)["sentry.op"], values(first)["sentry.status.message"]) == ("http.client", "broke")
    assert (values(first)["sentry.kind"], values(second)["sentry.kind"]) == ("client", "internal")
    assert values(first)["server.address"] == "x"
    assert not {"otel.kind", "otel.status_description", "server.address"} & second["attributes"].keys()
    assert (values(first)["sentry.origin"], values(second)["sentry.origin"]) == ("auto.otel", "manual")
    assert "plan" not in first["attributes"]
    assert (values(second)["plan"], values(second)["root_tag"], values(second)["memory"]) == ("pro", "5", 1.5)
    assert (values(second)["sentry.segment.name.source"], values(second)["resource.service.name"]) == ("task", "shop")
    [event] = json.loads(values(second)["otel.events"])
    assert (event["name"], event["attributes"]) == ("happened", {"n": 1})
    [sent_link] = second["links"]
    assert sent_link["attributes"] == {"why": {"type": "string", "value": "batch"}}
    assert (account.started, account.delivered, account.pending) == (2, 2, 0)


def test_spans_are_sent_before_their_root_ends() -> None:
    """A flush, or a thousand of them, sends what has ended: each span once, however many there are."""
    with capture(trace_lifecycle="stream", max_spans=10) as sent, bridge.start_span("root"):
        for _ in range(2500):
            with tracer.start_as_current_span("child"):
                pass
        batches = [len(batch) for batch in containers(sent)]
        assert (sum(batches), max(batches) <= 1000) == (2500, True)
    spans = [span for batch in containers(sent) for span in batch]
    assert len({span["span_id"] for span in spans}) == len(spans) == 2501
    assert [span["name"] for span in spans if span["is_segment"]] == ["root"]


def test_spans_wait_some_seconds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nobody flushing, what has ended below an open root is sent by the worker."""
    monkeypatch.setattr(sending, "TICK_EVERY_S", 0.01)
    arrived = threading.Event()
    bridge.init(
        traces_sample_rate=1.0,
        trace_lifecycle="stream",
        transport=lambda envelope: arrived.set() if envelope.items[0].type == "span" else None,
    )
    with bridge.start_span("root"):
        with bridge.start_span("child"):
            pass
        assert arrived.wait(10)


def test_a_child_that_comes_late_belongs_to_its_segment() -> None:
    """One that ends or starts after its root was sent has the same segment and is none of its own."""
    with capture(trace_lifecycle="stream") as sent:
        root = bridge.start_inactive_span("root")
        with bridge.use_span(root):
            slow = bridge.start_inactive_span("slow")
        root.end()
        slow.end()
        with bridge.use_span(root), bridge.start_span("late"), tracer.start_as_current_span("below"):
            pass
        spans = {span["name"]: span for batch in containers(sent) for span in batch}
        assert sent.tree() == ["root", ["slow", "late", ["below"]]]
    assert {values(span)["sentry.segment.id"] for span in spans.values()} == {root.span_id}
    assert [name for name, span in spans.items() if span["is_segment"]] == ["root"]


def test_a_late_child_below_spans_of_several_providers_finds_its_segment() -> None:
    """Nobody holds the root any more, and one of the spans between is another provider's: it is no one's orphan."""
    other = TracerProvider(shutdown_on_exit=False)
    other.add_span_processor(bridge.otel.SentrySpanProcessor())
    with capture(trace_lifecycle="stream") as sent:
        with bridge.start_span("root") as root:
            segment_id = root.span_id
            with other.get_tracer("other").start_as_current_span("between"):
                late = bridge.start_inactive_span("late")
        assert late.root_span is root
        del root
        late.end()
        [span] = [span for span in sent.spans if span["name"] == "late"]
        assert span["attributes"]["sentry.segment.id"]["value"] == segment_id


def test_hooks_and_rules() -> None:
    """`before_send_span` may change each span, `ignore_spans` leaves some out; all of it is in the account."""

    def hook(span: dict[str, Any]) -> dict[str, Any]:
        span["attributes"]["seen"] = {"type": "boolean", "value": True}
        return span

    rules = ["health", {"op": "noise"}]
    with capture(trace_lifecycle="stream", before_send_span=hook, ignore_spans=rules) as sent:
        with bridge.start_span("root"), bridge.start_span("x", op="noise"), bridge.start_span("kept"):
            pass
        with bridge.start_span("GET /health"):
            pass
        assert sent.tree() == ["root", ["kept"]]
        assert all(values(span)["seen"] for batch in containers(sent) for span in batch)
        account = sent.client.accounting()
    assert (account.started, account.delivered, account.lost) == (4, 2, {"event_processor": 2})


def test_a_root_that_is_dropped_is_reported_as_a_span() -> None:
    """It is in the client report, and not among the spans that were started sampled."""
    with capture(trace_lifecycle="stream", traces_sample_rate=0.0) as sent:
        with bridge.start_span("root"):
            pass
        assert sent.client.sender.outcomes.lost_of("span") == {"sample_rate": 1}
        account = sent.client.accounting()
    assert (account.started, account.lost, account.pending) == (0, {}, 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", ("string", "a")),
        (True, ("boolean", True)),
        (5, ("integer", 5)),
        (2**63, ("string", str(2**63))),
        (1.5, ("double", 1.5)),
        (math.inf, ("string", "inf")),
        (b"\xffa", ("string", "\ufffda")),
        ([1, 2], ("array", [1, 2])),
        ((), ("array", [])),
        ([1, "a"], ("string", "[1, 'a']")),
        ([True, 1], ("string", "[True, 1]")),
        ({"a": 1}, ("string", "{'a': 1}")),
        (None, ("string", "None")),
    ],
)
def test_values_have_types(value: Any, expected: tuple[str, Any]) -> None:
    """Each value says which type it is; what has none is sent as its text."""
    made = typed(value)
    assert (made["type"], made["value"]) == expected


def test_what_is_too_large_is_trimmed_or_counted() -> None:
    """A container stays below the limit; a huge span is cut down and says so in `_meta`."""

    def span(**attributes: Any) -> dict[str, Any]:
        made = {key: typed(value) for key, value in attributes.items()}
        return {"trace_id": T, "span_id": S, "name": "n", "status": "ok", "is_segment": True, "start_timestamp": 1.0,
                "end_timestamp": 2.0, "attributes": made}  # fmt: skip

    huge = span(huge="x" * 5000, numbers=list(range(5000)), small="y")
    items, too_large = span_containers([span(a="b")] * 5 + [huge], max_bytes=1000, max_spans=3)
    assert too_large == 0
    assert [item.losses()["span"] for item in items] == [3, 2, 1]
    assert all(len(item.encode()) <= 1000 for item in items)
    [trimmed] = items[2].content()["items"]
    assert trimmed["attributes"]["huge"]["value"].endswith("...")
    assert trimmed["attributes"]["small"] == typed("y")
    assert trimmed["attributes"]["numbers"] is None
    assert trimmed["_meta"]["attributes"]["huge"]["value"][""]["len"] == 5000
    assert span_containers([span()], max_bytes=100) == ([], 1)
    for item in items:
        assert container_complaints(item) == []


def test_the_judge_can_find_fault() -> None:
    """A span of the wrong form does not pass."""
    [item], _ = span_containers(
        [{"trace_id": T, "span_id": "0" * 16, "attributes": {"a": {"type": "int", "value": 1}}}]
    )
    found = "\n".join(container_complaints(item))
    assert "span_id" in found
    assert "'int'" in found
    assert "end_timestamp" in found
