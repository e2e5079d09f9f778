"""Trees as lines of text: guides, columns, what is too long cut. Pure functions; a line is pieces with their roles."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from bridge._internal.console.terminal import cells, cut, printable
from bridge._internal.console.tree import Node, raised_at, what_happened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from bridge._internal.console.terminal import Line, Piece
    from bridge._internal.console.tree import SentSpan

_BELOW = {"": "", "├─ ": "│  ", "└─ ": "   "}
_ALIKE = 5
"""So many spans in a row may look the same before they are drawn as one."""
_GAP = "  "
_LEAST_LABEL = 16


@dataclass(frozen=True, slots=True)
class Alike:
    """Spans that are drawn as a number: they look like the one before them."""

    spans: Sequence[SentSpan]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a tree: what is drawn before it, its text, and the span whose columns stand beside it, or a note."""

    guide: str
    text: str
    role: str
    span: SentSpan | None = None
    note: str = ""


def rows(root: Node) -> Iterator[Row]:
    """Go through a tree from above: each span, then the events that were captured in it, then what is below."""
    waiting: list[tuple[Node | Alike, str, str]] = [(root, "", "")]
    while waiting:
        entry, prefix, branch = waiting.pop()
        if isinstance(entry, Alike):
            yield _row_of_alike(entry, prefix + branch)
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
    """Return the words for an error or a message: what happened, and where in the code."""
    level, text = event.get("level") or "error", printable(what_happened(event))
    serious = level in ("error", "fatal")
    place = raised_at(event)
    said: Piece = (f"! {text}", "error") if serious else (f"· {printable(str(level))}: {text}", "warning")
    return [said, (f"  {printable(place)}", "quiet")] if place else [said]


def _row_of_alike(alike: Alike, guide: str) -> Row:
    took = duration(sum(span.duration_ms for span in alike.spans)).strip()
    return Row(guide, f"… {len(alike.spans)} more of the same, {took} in all", "quiet")


def _folded(children: Sequence[Node]) -> list[Node | Alike]:
    """Draw a long run of spans that look the same, a query in a loop say, as the first and a number."""
    folded: list[Node | Alike] = []
    for _, run in groupby(children, _look):
        nodes = list(run)
        if len(nodes) > _ALIKE:
            folded += [nodes[0], Alike([node.span for node in nodes[1:]])]
        else:
            folded += nodes
    return folded


def _look(node: Node) -> object:
    """Return the same for nodes that look the same; what has something below it looks like nothing else."""
    if node.children or node.events:
        return node.span.span_id
    return node.span.name, node.span.op, node.span.made_by, node.span.status


def table(drawn: Iterable[Row], columns: Callable[[SentSpan], Sequence[Piece]], width: int | None = None) -> list[Line]:
    """Return lines with the columns of each span beside its name, cut to `width` cells where that is given."""
    kept = list(drawn)
    facts = [columns(row.span) if row.span is not None else () for row in kept]
    widths = [
        max((cells(fact[number][0]) for fact in facts if fact), default=0)
        for number in range(max(map(len, facts), default=0))
    ]
    label = max((cells(row.guide + row.text) for row in kept if row.span is not None), default=0)
    if width is not None:
        label = min(label, max(_LEAST_LABEL, width - sum(w + len(_GAP) for w in widths if w)))
    return [_line(row, fact, label, widths, width) for row, fact in zip(kept, facts, strict=True)]


def _line(row: Row, facts: Sequence[Piece], label: int, widths: Sequence[int], width: int | None) -> Line:
    room: int | None = label
    if row.span is None:
        room = None if width is None else max(_LEAST_LABEL, width - cells(row.note))
    guide = row.guide
    if room is not None and len(guide) > room // 2:  # very deep
        guide = "…" + guide[len(guide) - room // 2 + 1 :]
    text = row.text if room is None else cut(row.text, room - len(guide))
    line = [(guide, "guide"), (text, row.role)]
    if row.note:
        line.append((row.note, "quiet"))
    at = cells(guide + text)
    start = label
    for (fact, role), cell in zip(facts, widths, strict=False):  # a row without a span has no facts
        if cell:
            start += len(_GAP)
            if fact.strip():
                line += [(" " * (start - at), ""), (fact.rstrip(), role)]
                at = start + cells(fact.rstrip())
            start += cell
    return line


def duration(ms: float) -> str:
    """Write how long something took, so that a column of it is aligned."""
    if ms < 10_000:
        return f"{ms:7.2f} ms"
    return f"{ms / 1000:7.2f} s " if ms < 600_000 else f"{ms / 60_000:7.1f} min"


def bar(span: SentSpan, start_s: float, end_s: float, size: int) -> str:
    """Draw when a span ran, between two times."""
    whole = end_s - start_s
    if whole <= 0:
        return "━" * size
    first = min(size - 1, max(0, int((span.started_s - start_s) / whole * size)))
    length = max(1, round((span.ended_s - span.started_s) / whole * size))
    return " " * first + "━" * min(length, size - first)
