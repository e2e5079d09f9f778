"""Trees as lines of text with guides and columns, fitted to a width. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from bridge._internal.console.terminal import display_width, printable, truncated
from bridge._internal.console.tree import Node, event_location, event_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from bridge._internal.console.terminal import Line, Piece
    from bridge._internal.console.tree import SentSpan

_BELOW = {"": "", "├─ ": "│  ", "└─ ": "   "}
_MAX_EQUAL = 5
"""Longer runs of equal spans are folded."""
_GAP = "  "
_MIN_LABEL = 16


@dataclass(frozen=True, slots=True)
class FoldedSpans:
    """A run of spans that look like the one before them, drawn as their number."""

    spans: Sequence[SentSpan]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a tree: guides, text, and the span whose columns follow it, or a note."""

    guide: str
    text: str
    role: str
    span: SentSpan | None = None
    note: str = ""


def tree_rows(root: Node) -> Iterator[Row]:
    """Yield the rows of a tree, depth first: each span, its events, its children."""
    waiting: list[tuple[Node | FoldedSpans, str, str]] = [(root, "", "")]
    while waiting:
        entry, prefix, branch = waiting.pop()
        if isinstance(entry, FoldedSpans):
            yield _folded_row(entry, prefix + branch)
            continue
        span = entry.span
        yield Row(prefix + branch, printable(span.name), "wrong" if span.status else "name", span)
        below = prefix + _BELOW[branch]
        stem = below + ("│  " if entry.children else "   ")
        for event in entry.events:
            (text, role), *notes = event_pieces(event)
            yield Row(stem, text, role, note="".join(note for note, _ in notes))
        entries = _folded(entry.children)
        branches = ["├─ "] * (len(entries) - 1) + ["└─ "]
        waiting.extend(reversed([(child, below, b) for child, b in zip(entries, branches, strict=False)]))


def event_pieces(event: Mapping[str, Any]) -> Line:
    """Return the pieces for an error or message: its summary and its code location."""
    level, text = event.get("level") or "error", printable(event_summary(event))
    serious = level in ("error", "fatal")
    place = event_location(event)
    summary: Piece = (f"! {text}", "error") if serious else (f"· {printable(str(level))}: {text}", "warning")
    return [summary, (f"  {printable(place)}", "quiet")] if place else [summary]


def _folded_row(alike: FoldedSpans, guide: str) -> Row:
    took = format_duration(sum(span.duration_ms for span in alike.spans)).strip()
    return Row(guide, f"… {len(alike.spans)} more of the same, {took} in all", "quiet")


def _folded(children: Sequence[Node]) -> list[Node | FoldedSpans]:
    """Fold a long run of equal spans, e.g. a query in a loop, to the first and a number."""
    folded: list[Node | FoldedSpans] = []
    for _, run in groupby(children, _appearance):
        nodes = list(run)
        if len(nodes) > _MAX_EQUAL:
            folded += [nodes[0], FoldedSpans([node.span for node in nodes[1:]])]
        else:
            folded += nodes
    return folded


def _appearance(node: Node) -> object:
    """Return a key that is equal for nodes that look the same; a node with children or events is unique."""
    if node.children or node.events:
        return node.span.span_id
    return node.span.name, node.span.op, node.span.made_by, node.span.status


def tree_lines(
    drawn: Iterable[Row], columns: Callable[[SentSpan], Sequence[Piece]], width: int | None = None
) -> list[Line]:
    """Return lines with the columns of each span beside its name, truncated to `width` if given."""
    kept = list(drawn)
    facts = [columns(row.span) if row.span is not None else () for row in kept]
    widths = [
        max((display_width(fact[number][0]) for fact in facts if fact), default=0)
        for number in range(max(map(len, facts), default=0))
    ]
    label = max((display_width(row.guide + row.text) for row in kept if row.span is not None), default=0)
    if width is not None:
        label = min(label, max(_MIN_LABEL, width - sum(w + len(_GAP) for w in widths if w)))
    return [_line(row, fact, label, widths, width) for row, fact in zip(kept, facts, strict=True)]


def _line(row: Row, facts: Sequence[Piece], label: int, widths: Sequence[int], width: int | None) -> Line:
    room: int | None = label
    if row.span is None:
        room = None if width is None else max(_MIN_LABEL, width - display_width(row.note))
    guide = row.guide
    if room is not None and len(guide) > room // 2:  # very deep
        guide = "…" + guide[len(guide) - room // 2 + 1 :]
    text = row.text if room is None else truncated(row.text, room - len(guide))
    line = [(guide, "guide"), (text, row.role)]
    if row.note:
        line.append((row.note, "quiet"))
    at = display_width(guide + text)
    start = label
    for (fact, role), cell in zip(facts, widths, strict=False):  # a row without a span has no facts
        if cell:
            start += len(_GAP)
            if fact.strip():
                line += [(" " * (start - at), ""), (fact.rstrip(), role)]
                at = start + display_width(fact.rstrip())
            start += cell
    return line


def format_duration(ms: float) -> str:
    """Format a duration so that a column of them is aligned."""
    if ms < 10_000:
        return f"{ms:7.2f} ms"
    return f"{ms / 1000:7.2f} s " if ms < 600_000 else f"{ms / 60_000:7.1f} min"


def timeline_bar(span: SentSpan, start_s: float, end_s: float, size: int) -> str:
    """Draw when a span ran within an interval, as a bar of `size` characters."""
    whole = end_s - start_s
    if whole <= 0:
        return "━" * size
    first = min(size - 1, max(0, int((span.started_s - start_s) / whole * size)))
    length = max(1, round((span.ended_s - span.started_s) / whole * size))
    return " " * first + "━" * min(length, size - first)
