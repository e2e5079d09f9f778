"""Follow-ups: what is open when its root is sent is one transaction with all that ends below it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import bridge
from bridge.testing import BridgeCapture, capture


@contextmanager
def own() -> Iterator[tuple[BridgeCapture, trace.Tracer]]:
    with capture() as sent:
        yield sent, trace.get_tracer("program")


@contextmanager
def adopted() -> Iterator[tuple[BridgeCapture, trace.Tracer]]:
    provider = TracerProvider()
    with capture(tracer_provider=provider) as sent:
        yield sent, provider.get_tracer("program")


@pytest.fixture(params=[own, adopted], ids=["own provider", "adopted provider"])
def world(request: pytest.FixtureRequest) -> Iterator[tuple[BridgeCapture, trace.Tracer]]:
    with request.param() as made:
        yield made


def outlines(sent: BridgeCapture) -> list[tuple[str, list[str]]]:
    return [(one["transaction"], [span["description"] for span in one["spans"]]) for one in sent.transactions]


def left_open(tracer: trace.Tracer, *names: str) -> list[trace.Span]:
    """Start a root and spans right below it, which are open when it is sent."""
    with tracer.start_as_current_span("root"):
        spans = [tracer.start_span(name) for name in names]
    bridge.flush()
    return spans


def balanced() -> bool:
    account = bridge.get_client().accounting()
    return account.started == account.delivered and not account.lost and not account.pending


def test_a_task_that_outlives_its_request(world: tuple[BridgeCapture, trace.Tracer]) -> None:
    """Its span and the five below it are one transaction more, in the same trace, below the request's."""
    sent, tracer = world

    async def work(answered: asyncio.Event) -> None:
        with tracer.start_as_current_span("task"):
            await answered.wait()
            for number in range(5):
                with tracer.start_as_current_span(f"query {number}"):
                    pass

    async def main() -> None:
        answered = asyncio.Event()
        with tracer.start_as_current_span("GET /"):
            task = asyncio.create_task(work(answered))
            await asyncio.sleep(0)
        answered.set()
        await task

    asyncio.run(main())
    assert outlines(sent) == [("GET /", []), ("task", [f"query {number}" for number in range(5)])]
    request, task = (one["contexts"]["trace"] for one in sent.transactions)
    assert (task["trace_id"], task["parent_span_id"]) == (request["trace_id"], request["span_id"])
    assert task["data"]["sentry.parent_span_already_sent"] is True
    assert balanced()


def test_the_outermost_open_span_leads(world: tuple[BridgeCapture, trace.Tracer]) -> None:
    """What was open below it is below it in its transaction, whichever ends first, started before or after."""
    sent, tracer = world
    (outer,) = left_open(tracer, "outer")
    with trace.use_span(outer):
        inner = tracer.start_span("inner")
        with trace.use_span(inner), tracer.start_as_current_span("started late"):
            pass
        inner.end()
    outer.end()
    assert outlines(sent) == [("root", []), ("outer", ["inner", "started late"])]
    assert balanced()


def test_open_before_the_root_ended(world: tuple[BridgeCapture, trace.Tracer]) -> None:
    """A chain that was open as a whole is one transaction, not one for each span."""
    sent, tracer = world
    with tracer.start_as_current_span("root"):
        outer = tracer.start_span("outer")
        with trace.use_span(outer):
            inner = tracer.start_span("inner")
    bridge.flush()
    inner.end()
    outer.end()
    assert outlines(sent) == [("root", []), ("outer", ["inner"])]
    assert balanced()


def test_two_open_spans_lead_one_each(world: tuple[BridgeCapture, trace.Tracer]) -> None:
    """Neither of two that are side by side waits for the other."""
    sent, tracer = world
    first, second = left_open(tracer, "first", "second")
    for span in (first, second):
        with trace.use_span(span), tracer.start_as_current_span("below"):
            pass
    second.end()
    first.end()
    assert outlines(sent) == [("root", []), ("second", ["below"]), ("first", ["below"])]
    assert balanced()


def test_a_follow_up_has_follow_ups(world: tuple[BridgeCapture, trace.Tracer]) -> None:
    """What is open when a follow-up ends leads the next one."""
    sent, tracer = world
    (outer,) = left_open(tracer, "outer")
    with trace.use_span(outer):
        inner = tracer.start_span("inner")
    outer.end()
    with trace.use_span(inner), tracer.start_as_current_span("below"):
        pass
    inner.end()
    assert outlines(sent) == [("root", []), ("outer", []), ("inner", ["below"])]
    assert balanced()


def test_an_open_span_that_never_ends(world: tuple[BridgeCapture, trace.Tracer]) -> None:
    """The one that leads is awaited until the client is closed; then it and what ended below it are lost, no other."""
    sent, tracer = world
    (outer,) = left_open(tracer, "outer")
    with trace.use_span(outer), tracer.start_as_current_span("below"):
        pass
    client = bridge.get_client()
    assert outlines(sent) == [("root", [])]
    assert (client.accounting().started, client.accounting().pending) == (3, 2)
    bridge.close()
    account = client.accounting()
    assert (account.delivered, sum(account.lost.values()), account.pending) == (1, 2, 0)


def test_many_threads_below_one_open_span(world: tuple[BridgeCapture, trace.Tracer]) -> None:
    """They agree on one follow-up, and each span is in it once."""
    sent, tracer = world
    with tracer.start_as_current_span("root"):
        outer = tracer.start_span("outer")
    together = threading.Barrier(8)

    def work(number: int) -> None:
        together.wait()
        for job in range(25):
            with trace.use_span(outer), tracer.start_as_current_span(f"{number}.{job}"):
                pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outer.end()
    (_, none), (name, below) = outlines(sent)
    assert (none, name) == ([], "outer")
    assert sorted(below) == sorted(f"{number}.{job}" for number in range(8) for job in range(25))
    assert balanced()


def test_writes_of_the_task_are_on_its_own_transaction(world: tuple[BridgeCapture, trace.Tracer]) -> None:
    """The scopes of a follow-up are those that its own root was started in."""
    sent, tracer = world
    with tracer.start_as_current_span("root"), bridge.new_scope() as scope:
        scope.set_tag("job", "7")
        outer = tracer.start_span("outer")
    bridge.flush()
    with trace.use_span(outer), tracer.start_as_current_span("below"):
        pass
    outer.end()
    seen = {one["transaction"]: one.get("tags", {}) for one in sent.transactions}
    assert seen["outer"].get("job") == "7"
    assert "job" not in seen["root"]


def test_a_root_that_ends_just_before_its_children(world: tuple[BridgeCapture, trace.Tracer]) -> None:
    """Children of its own block that end a moment later are part of it, as are those that start below them."""
    sent, tracer = world
    root = tracer.start_span("root")
    with trace.use_span(root):
        inner = tracer.start_span("inner")
        root.end()
        with trace.use_span(inner), tracer.start_as_current_span("send"):
            pass
        inner.end()
    assert outlines(sent) == [("root", ["inner", "send"])]
    assert balanced()


def test_nothing_waits_longer_than_a_moment() -> None:
    """A root is sent without a flush, though a child of its own block never ends."""
    arrived = threading.Event()
    with capture(transport=lambda envelope: arrived.set()):
        root = bridge.start_inactive_span("root")
        with bridge.use_span(root):
            child = bridge.start_inactive_span("child")
            root.end()
            assert arrived.wait(10)
        child.end()


def test_a_flush_does_not_wait(world: tuple[BridgeCapture, trace.Tracer]) -> None:
    """What was recorded so far is sent at once; the child that ends after it is a transaction of its own."""
    sent, tracer = world
    root = tracer.start_span("root")
    with trace.use_span(root):
        child = tracer.start_span("child")
        root.end()
        assert bridge.flush()
        child.end()
    assert outlines(sent) == [("root", []), ("child", [])]
    assert balanced()


def test_closing_does_not_wait() -> None:
    """A root that waits for a child is sent when the client is closed; the child is lost."""
    with capture() as sent:
        root = bridge.start_inactive_span("root")
        with bridge.use_span(root):
            child = bridge.start_inactive_span("child")
            root.end()
            client = bridge.get_client()
            bridge.close()
            child.end()
        assert outlines(sent) == [("root", [])]
        account = client.accounting()
        assert (account.started, account.delivered, sum(account.lost.values()), account.pending) == (2, 1, 1, 0)


def test_a_root_that_waits_keeps_its_scope(world: tuple[BridgeCapture, trace.Tracer]) -> None:
    """What the block writes after the root has ended is not on its transaction."""
    sent, tracer = world
    root = tracer.start_span("root")
    with trace.use_span(root):
        bridge.set_tag("when", "before")
        inner = tracer.start_span("inner")
        root.end()
        bridge.set_tag("later", "yes")
        inner.end()
    tags = sent.transactions[0]["tags"]
    assert (tags.get("when"), tags.get("later")) == ("before", None)


def test_the_next_job_of_a_worker_is_not_on_the_one_that_waits(world: tuple[BridgeCapture, trace.Tracer]) -> None:
    """A job leaves a span open; what the next one says of its user within the moment is on the next one's alone."""
    sent, tracer = world
    for user in ("alice", "bob"):
        with tracer.start_as_current_span(user):
            bridge.set_user({"id": user})
            tracer.start_span("left open")
    assert {one["transaction"]: one["user"]["id"] for one in sent.transactions} == {"alice": "alice", "bob": "bob"}
