"""Roots that do not end, and spans that never do."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import bridge
from bridge._internal.client import Client
from bridge._internal.tracing.open_segments import OpenSegments
from bridge._internal.tracing.segment import Segment
from bridge.testing import BridgeCapture, capture


def open_segments(client: Client, **settings: Any) -> OpenSegments:
    """Give a client other bounds."""
    client.sink.open_segments = OpenSegments(**settings)
    return client.sink.open_segments


def numbers(sent: BridgeCapture) -> tuple[int, int, dict[str, int], int]:
    assert sent.client.flush(10)
    account = sent.client.accounting()
    return account.started, account.delivered, dict(account.lost), account.pending


def alive() -> int:
    gc.collect()
    return sum(isinstance(one, Segment) for one in gc.get_objects())


def test_past_so_many_open_roots_the_oldest_is_let_go(sent: BridgeCapture) -> None:
    """Its spans are counted as lost at once; it does no harm when it ends after all."""
    opened = open_segments(sent.client, max_open=2)
    roots = [bridge.start_inactive_span(f"root {n}", parent=None) for n in range(2)]
    with bridge.use_span(roots[0]):
        bridge.start_span("child").end()
        open_child = bridge.start_inactive_span("open child")
    assert numbers(sent) == (4, 0, {}, 4)
    roots.append(bridge.start_inactive_span("root 2", parent=None))
    assert len(opened.all()) == 2
    assert numbers(sent) == (5, 0, {"buffer_overflow": 3}, 2)
    open_child.end()
    for root in roots:
        root.end()
    assert numbers(sent) == (5, 2, {"buffer_overflow": 3}, 0)
    assert sent.client.sender.outcomes.lost_of("transaction") == {"buffer_overflow": 1}
    assert sent.tree() == ["root 1", "root 2"]
    assert opened.all() == []


def test_a_root_that_is_open_for_too_long_is_let_go(sent: BridgeCapture) -> None:
    """When another root starts; one that is younger stays."""
    now = [0.0]
    open_segments(sent.client, max_age_s=10.0, clock=lambda: now[0])
    old = bridge.start_inactive_span("old", parent=None)
    now[0] = 9.0
    young = bridge.start_inactive_span("young", parent=None)
    now[0] = 11.0
    bridge.start_span("another", parent=None).end()
    assert numbers(sent)[2] == {"buffer_overflow": 1}
    old.end()
    young.end()
    assert sorted(sent.tree()) == ["another", "young"]


def test_what_is_let_go_leaves_nothing_behind(sent: BridgeCapture) -> None:
    """A hundred roots that never end, past a bound of ten, do not stay in memory."""
    open_segments(sent.client, max_open=10)
    before = alive()
    for _ in range(100):
        root = bridge.start_inactive_span("never ends", parent=None)
        with bridge.use_span(root):
            bridge.start_span("child").end()
    del root
    assert alive() - before <= 12
    assert numbers(sent) == (200, 0, {"buffer_overflow": 180}, 20)


def test_a_child_that_nobody_can_end_any_more_is_lost(sent: BridgeCapture) -> None:
    """When the last reference to it goes after its root was sent, it is counted: nothing is pending for ever."""
    with bridge.start_span("root"):
        held = bridge.start_inactive_span("forgotten")
    assert numbers(sent) == (2, 1, {}, 1)
    assert held.is_recording()
    del held
    assert numbers(sent) == (2, 1, {"buffer_overflow": 1}, 0)
    assert sent.client.sender.outcomes.lost_of("transaction") == {}


@pytest.mark.parametrize("rate", [1.0, 0.0])
def test_what_has_ended_is_freed_without_the_garbage_collector(rate: float) -> None:
    """Spans and segments refer to each other in no circle, so a process that switched the collector off grows not."""
    with capture(traces_sample_rate=rate, transport=lambda envelope: None) as sent:
        before = alive()
        gc.disable()
        try:
            for _ in range(10):
                with contextlib.suppress(LookupError), bridge.start_span("root"), bridge.start_span("child") as child:
                    child.add_event("happened")
                    raise LookupError
                del child
            sent.client.flush(10)
            assert sum(isinstance(one, Segment) for one in gc.get_objects()) == before
        finally:
            gc.enable()


def test_closing_counts_what_is_open() -> None:
    """What is open at the end is lost, and the last client report says so; ending it later is no error."""
    with capture() as sent:
        root = bridge.start_inactive_span("root")
        with bridge.use_span(root):
            bridge.start_span("child").end()
        client = sent.client
    account = client.accounting()
    assert (account.started, account.lost, account.pending) == (2, {"buffer_overflow": 2}, 0)
    root.end()
    assert client.accounting() == account


def test_an_adopted_providers_roots_are_known_too() -> None:
    """They are bounded as ours are."""
    provider = TracerProvider(shutdown_on_exit=False)
    with capture(tracer_provider=provider) as sent:
        open_segments(sent.client, max_open=1)
        tracer = provider.get_tracer("t")
        first, second = tracer.start_span("first"), tracer.start_span("second")
        assert numbers(sent) == (2, 0, {"buffer_overflow": 1}, 1)
        first.end()
        second.end()
        assert numbers(sent) == (2, 1, {"buffer_overflow": 1}, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("lifecycle", ["static", "stream"])
def test_a_forked_child_leaves_the_parents_spans_to_the_parent(lifecycle: Any) -> None:
    """What the parent had started is sent once, by the parent; what the child starts below it, by the child."""
    with capture(trace_lifecycle=lifecycle) as sent:
        with bridge.start_span("root") as root:
            with bridge.start_span("before"):
                pass
            late = bridge.start_inactive_span("late")
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    with bridge.start_span("in child"), trace.get_tracer("t").start_as_current_span("below"):
                        pass
                    late.end()
                    root.end()
                    gc.collect()
                    sent.client.flush(10)
                    account = sent.client.accounting()
                    names = sorted(str(span.get("description") or span.get("name")) for span in sent.spans)
                    told = f"{names} {account.started} {account.delivered} {dict(account.lost)} {account.pending}"
                    os.write(write, told.encode())
                finally:
                    sys.stderr.flush()
                    os._exit(0)
            os.waitpid(pid, 0)
            told = os.read(read, 1000).decode()
            late.end()
        assert told == "['below', 'in child'] 2 2 {} 0"
        assert sent.tree() == ["root", ["before", "late"]]
        assert numbers(sent) == (3, 3, {}, 0)
