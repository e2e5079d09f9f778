"""Trees as lines: what is cut, folded, aligned and made harmless."""

from __future__ import annotations

from typing import Any

import pytest

from bridge._internal.console.rendering import event_pieces, format_duration, timeline_bar, tree_lines, tree_rows
from bridge._internal.console.terminal import display_width, pluralized, printable, truncated
from bridge._internal.console.tree import (
    Node,
    SentSpan,
    build_trees,
    event_location,
    event_summary,
    sorted_spans,
    span_from_payload,
)


def span(name: str = "job", span_id: str = "1", parent: str | None = None, start: float = 0.0, **more: Any) -> SentSpan:
    payload = {"description": name, "trace_id": "t", "span_id": span_id, "parent_span_id": parent}
    return span_from_payload({**payload, "start_timestamp": start, "timestamp": start + 1.0, **more})


def drawn(node: Node, width: int | None = None) -> list[str]:
    lines = tree_lines(tree_rows(node), lambda span: [(span.op or "", "op")], width)
    return ["".join(text for text, _ in line).rstrip() for line in lines]


@pytest.mark.parametrize(
    ("ms", "written"),
    [
        (0.0049, "   0.00 ms"),
        (9999.99, "9999.99 ms"),
        (10_000, "  10.00 s "),
        (599_999, " 600.00 s "),
        (3_600_000, "   60.0 min"),
    ],
)
def test_durations(ms: float, written: str) -> None:
    """Milliseconds, then seconds, then minutes."""
    assert format_duration(ms) == written


@pytest.mark.parametrize(
    ("start", "end", "drawn_bar"),
    [
        (0.0, 4.0, "━━"),
        (-1.0, 1.0, "    ━━━━"),
        (-3.0, 1.0, "      ━━"),
        (0.0, 0.0, "━━━━━━━━"),
        (-5.0, 0.0, "       ━"),
    ],
)
def test_bars(start: float, end: float, drawn_bar: str) -> None:
    """A bar says when a span ran, and is never longer than there is room, nor empty."""
    assert timeline_bar(span(), start, end, 8) == drawn_bar


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("注文注文", 5, "注文…"), ("注文注文", 8, "注文注文"), ("a bc", 3, "a…")],
)
def test_cutting(text: str, most: int, expected: str) -> None:
    """Texts are cut by the cells that they take."""
    assert truncated(text, most) == expected
    assert display_width(truncated(text, most)) <= most


def test_cells() -> None:
    """Accents that are characters of their own take none, characters of East Asia two."""
    assert [display_width(text) for text in ("abc", "e\u0301", "注文", "é")] == [3, 1, 4, 1]


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("GET /", "GET /"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\u202egnp", "\\u202egnp"),
        ("\ud800", "\\ud800"),
        ("注文", "注文"),
    ],
)
def test_nothing_acts_on_the_terminal(text: str, harmless: str) -> None:
    """Escapes, line ends and marks of direction in a name are shown and not obeyed."""
    assert printable(text) == harmless


def test_a_run_of_equal_spans_is_folded() -> None:
    """More than five equal ones in a row are the first and a number; what is different ends the run."""
    children = [span("query", str(number), "0", number, op="db") for number in range(1, 8)]
    children += [span("other", "8", "0", 8.0), *(span("query", str(n), "0", n, op="db") for n in range(9, 12))]
    [root], _ = build_trees([span("root", "0"), *children], [])
    assert drawn(root) == [
        "root",
        "├─ query  db",
        "├─ … 6 more of the same, 6000.00 ms in all",
        "├─ other",
        "├─ query  db",
        "├─ query  db",
        "└─ query  db",
    ]


def test_spans_with_something_below_are_not_folded() -> None:
    """An error, or a child, is never hidden in a number."""
    spans = [span("root", "0"), *(span("query", str(number), "0", number) for number in range(1, 8))]
    failed = {"contexts": {"trace": {"span_id": "4"}}, "message": "slow"}
    [root], elsewhere = build_trees(spans, [failed])
    assert elsewhere == []
    assert drawn(root) == [
        "root",
        *["├─ query"] * 4,
        "│     ! slow",
        *["├─ query"] * 2,
        "└─ query",
    ]


def test_what_is_very_deep_is_cut_at_the_left() -> None:
    """Guides leave room for the name."""
    spans = [span(f"s{number}", str(number), str(number - 1)) for number in range(1, 60)]
    [root], _ = build_trees(spans, [])
    lines = drawn(root, 40)
    assert max(map(len, lines)) <= 40
    assert lines[-1].startswith("…")
    assert lines[-1].endswith("└─ s59")


def test_walking_goes_through_everything() -> None:
    """In the order in which it is drawn."""
    spans = [span("a", "1"), span("b", "2", "1"), span("c", "3", "2"), span("d", "4", "1")]
    [root], _ = build_trees(sorted_spans(spans), [])
    assert [node.span.name for node in root.walk()] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ({"message": "hello", "level": "info"}, "· info: hello"),
        ({"logentry": {"message": "hello"}, "level": "error"}, "! hello"),
        ({"exception": {"values": [{"type": "KeyError", "value": "x"}]}}, "! KeyError: x"),
        (
            {
                "exception": {
                    "values": [
                        {
                            "type": "E",
                            "value": "",
                            "stacktrace": {"frames": [{"filename": "a\\b/shop.py", "lineno": 3, "function": "f"}]},
                        }
                    ]
                }
            },
            "! E:   shop.py:3 in f",
        ),
        ({}, "! "),
    ],
)
def test_events_in_a_line(event: dict[str, Any], line: str) -> None:
    """An exception with its place, a message with its level."""
    assert "".join(text for text, _ in event_pieces(event)) == line
    assert event_summary(event) in line
    assert (event_location(event) is not None) is ("shop.py" in line)


def test_numbers_of_things() -> None:
    """One is one."""
    assert [pluralized(n, "span", "spans") for n in (0, 1, 2)] == ["0 spans", "1 span", "2 spans"]
