"""The report as lines for a terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from bridge._internal.console.terminal import display_width, printable
from bridge._internal.decode.report import DECISIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge._internal.console.terminal import Line
    from bridge._internal.decode.report import Explained, Finding, Outcome, Report

_MAX_NAME, _MAX_VALUE = 24, 34
_MIN_TEXT = 24
_LABELS = {
    "malformed": ("malformed  ", "error"),
    "disagreement": ("conflict   ", "error"),
    "limit": ("too large  ", "warning"),
}


def report_lines(report: Report, width: int) -> Iterator[Line]:
    """Yield the lines of a report: headers, findings, outcome."""
    for one in report.headers:
        yield from _header(one, width)
    if report.problems:
        yield from _problems(report.problems, width)
    yield from _outcome(report.outcome, width)


def _header(one: Explained, width: int) -> Iterator[Line]:
    yield [(one.name, "heading"), (f"  {one.size}" if one.size else "", "quiet")]
    if not one.facts:
        yield [("  ", ""), (printable(one.value) or "(empty)", "wrong")]
    cells_of = [(printable(fact.name), printable(fact.value) or "(none)") for fact in one.facts]
    names = min(_MAX_NAME, max((display_width(name) for name, _ in cells_of), default=0))
    values = min(_MAX_VALUE, max((display_width(value) for _, value in cells_of), default=0))
    for fact, (name, value) in zip(one.facts, cells_of, strict=True):
        start = [(_padded(name, names), "op"), (_padded(value, values), "" if fact.well_formed else "wrong")]
        yield from _wrapped(start, fact.meaning if fact.well_formed else f"malformed; {fact.meaning}", width)
    yield []


def _padded(text: str, size: int) -> str:
    return text + " " * (size - display_width(text)) + "  "


def _problems(problems: Sequence[Finding], width: int) -> Iterator[Line]:
    yield [("Problems", "heading")]
    for problem in problems:
        text = printable(f"{', '.join(problem.headers)}: {problem.what} {problem.effect}")
        yield from _wrapped([_LABELS[problem.kind]], text, width)
    yield []


def _outcome(outcome: Outcome, width: int) -> Iterator[Line]:
    yield [("What bridge does", "heading")]
    trace = "nothing; starts a new trace"
    if outcome.continues is not None:
        trace = f"trace {outcome.trace_id}, below span {outcome.parent_span_id}, by {outcome.continues}"
    yield from _wrapped([("continues  ", "op")], trace, width)
    decision = "open" if outcome.sampled is None else DECISIONS[outcome.sampled]
    yield from _wrapped([("decides    ", "op")], f"{decision}: {printable(outcome.why)}", width)
    if outcome.user_baggage:
        pairs = ", ".join(f"{name} = {value}" for name, value in outcome.user_baggage.items())
        yield from _wrapped([("baggage    ", "op")], printable(pairs), width)
    if outcome.sends_on:
        yield [("  ", ""), ("sends on", "op"), ("   with the id of its own span:", "quiet")]
    for name, value in outcome.sends_on.items():
        yield [("    ", ""), (f"{name}: {printable(value)}", "")]


def _wrapped(start: Line, text: str, width: int) -> Iterator[Line]:
    """Write a label and a text, which is wrapped and indented to stay beside the label."""
    indent = 2 + sum(display_width(part) for part, _ in start)
    first, *others = textwrap.wrap(text, max(_MIN_TEXT, width - indent)) or [""]
    yield [("  ", ""), *start, (first, "")]
    for other in others:
        yield [(" " * indent + other, "")]
