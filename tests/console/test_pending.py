"""What waits for its tree: nothing is kept for ever, and nothing is forgotten unseen."""

from __future__ import annotations

from typing import Any

from bridge._internal.console.pending import MAX_EVENTS, MAX_SPANS, PendingEvents, PendingSegments
from bridge._internal.console.tree import SentSpan, span_from_payload


def event(number: int) -> dict[str, Any]:
    return {"event_id": str(number), "contexts": {"trace": {"span_id": str(number)}}}


def span(segment: str, span_id: str) -> SentSpan:
    payload = {"name": "s", "trace_id": "t", "span_id": span_id, "is_segment": segment == span_id}
    return span_from_payload({**payload, "attributes": {"sentry.segment.id": {"value": segment}}})


def test_events_go_with_the_tree_of_their_span() -> None:
    """Each once."""
    waiting = PendingEvents()
    assert [list(waiting.add(event(number))) for number in (1, 2, 3)] == [[], [], []]
    assert waiting.take({"2", "9"}) == [event(2)]
    assert waiting.take({"2"}) == []
    assert waiting.rest() == [event(1), event(3)]
    assert waiting.rest() == []


def test_there_is_an_end_to_what_waits() -> None:
    """The oldest event is given back for there is no room, unless it was seen."""
    waiting = PendingEvents()
    list(waiting.add(event(0)))
    assert [waiting.overdue(), waiting.overdue(), waiting.overdue()] == [[], [event(0)], []]
    given_back = [one for number in range(1, MAX_EVENTS + 2) for one in waiting.add(event(number))]
    assert given_back == [event(1)]


def test_spans_wait_for_their_root() -> None:
    """A tree is whole when its root comes; what comes later is late."""
    waiting = PendingSegments()
    assert list(waiting.add([span("a", "1"), span("b", "2")])) == []
    [tree] = waiting.add([span("a", "a")])
    assert ([one.span_id for one in tree.spans], tree.root.span_id) == (["1", "a"], "a")
    assert (tree.late, tree.ended) == (False, True)
    [late] = waiting.add([span("a", "3")])
    assert (late.late, late.root.span_id) == (True, "3")
    [rest] = waiting.rest()
    assert (rest.ended, rest.root.span_id) == (False, "2")


def test_there_is_an_end_to_what_waits_for_a_root() -> None:
    """Past so many spans the oldest are given as they are, and their root comes by itself."""
    waiting = PendingSegments()
    assert list(waiting.add([span("old", "1"), *(span("new", str(n)) for n in range(2, MAX_SPANS + 1))])) == []
    [given] = waiting.add([span("new", "0")])
    assert ([one.span_id for one in given.spans], given.ended) == (["1"], False)
    [root] = waiting.add([span("old", "old")])
    assert (len(root.spans), root.late) == (1, False)


def test_only_so_many_roots_are_remembered() -> None:
    """What comes late for a root of long ago waits, and is given at the end."""
    waiting = PendingSegments()
    for number in range(1001):
        list(waiting.add([span(f"r{number}", f"r{number}")]))
    assert list(waiting.add([span("r0", "x")])) == []
    assert [tree.late for tree in waiting.add([span("r1000", "y")])] == [True]
    assert [tree.ended for tree in waiting.rest()] == [False]
