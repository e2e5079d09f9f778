"""A report as lines for a terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from bridge._internal.console.terminal import cells, cut, printable
from bridge._internal.decode.report import DECISIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge._internal.console.terminal import Line
    from bridge._internal.decode.report import Explained, Fact, Outcome, Problem, Report

_VALUE = 34
_ROLES = {"malformed": "error", "disagreement": "error", "limit": "warning", "note": "quiet"}
_WORDS = {"malformed": "malformed", "disagreement": "disagree", "limit": "too much", "note": "note"}


def report_lines(report: Report, width: int) -> Iterator[Line]:
    """Go through the lines of a report: each header, then what is wrong, then what comes of it."""
    for one in report.headers:
        yield from _header(one, width)
    yield from _problems(report.problems, width)
    yield from _outcome(report.outcome, width)


def _header(one: Explained, width: int) -> Iterator[Line]:
    yield [(one.name, "heading"), (f"  {one.size}" if one.size else "", "quiet")]
    if not one.facts:
        yield [("  ", ""), (cut(printable(one.value) or "(empty)", width - 2), "wrong")]
    names = max((cells(printable(fact.name)) for fact in one.facts), default=0)
    values = min(_VALUE, max((cells(printable(fact.value)) for fact in one.facts), default=0))
    for fact in one.facts:
        yield from _fact(fact, min(names, 24), values, width)
    yield []


def _fact(fact: Fact, names: int, values: int, width: int) -> Iterator[Line]:
    name, value = cut(printable(fact.name), names), printable(fact.value) or "(none)"
    start: Line = [("  ", ""), (_padded(name, names) + "  ", "op"), (_padded(value, values), _value_role(fact))]
    meaning = ("" if fact.well_formed else "! ") + fact.meaning
    indent = 2 + names + 2 + values + 2
    if cells(value) > values or width - indent < 24:
        yield [*start[:-1], (cut(value, width - names - 4), _value_role(fact))]
        start, indent = [], names + 4
    first, *others = textwrap.wrap(meaning, max(24, width - indent)) or [""]
    role = "quiet" if fact.well_formed else "wrong"
    yield [*start, ("  " if start else " " * indent, ""), (first, role)]
    for other in others:
        yield [(" " * indent, ""), (other, role)]


def _value_role(fact: Fact) -> str:
    return "" if fact.well_formed else "wrong"


def _padded(text: str, size: int) -> str:
    return text + " " * (size - cells(text))


def _problems(problems: Sequence[Problem], width: int) -> Iterator[Line]:
    if not problems:
        return
    yield [("What is wrong" if any(p.kind != "note" for p in problems) else "Remarks", "heading")]
    for problem in problems:
        word = f"{_WORDS[problem.kind]:<9}  "
        about = f"{', '.join(problem.headers)}: " if problem.headers else ""
        text = printable(f"{about}{problem.what} {problem.effect}".rstrip())
        yield from _wrapped([(word, _ROLES[problem.kind])], text, width)
    yield []


def _outcome(outcome: Outcome, width: int) -> Iterator[Line]:
    yield [("What the bridge does", "heading")]
    if outcome.continues is None:
        yield from _wrapped([("continues  ", "op")], "nothing: a new trace begins", width)
    else:
        text = f"trace {outcome.trace_id}, below span {outcome.parent_span_id}, by {outcome.continues}"
        yield from _wrapped([("continues  ", "op")], text, width)
    decision = "open" if outcome.sampled is None else DECISIONS[outcome.sampled]
    yield from _wrapped([("decides    ", "op")], f"{decision}: {outcome.why}", width)
    if outcome.user_baggage:
        pairs = ", ".join(f"{name} = {value}" for name, value in outcome.user_baggage.items())
        yield from _wrapped([("baggage    ", "op")], printable(pairs), width)
    if outcome.sends_on:
        yield [("  ", ""), ("sends on", "op"), ("   with the id of a span of its own:", "quiet")]
    for name, value in outcome.sends_on.items():
        yield [("    ", ""), (f"{name}: {printable(value)}", "")]


def _wrapped(start: Line, text: str, width: int) -> Iterator[Line]:
    """Write a word, and a text that goes on beneath itself."""
    indent = 2 + sum(cells(part) for part, _ in start)
    first, *others = textwrap.wrap(text, max(24, width - indent)) or [""]
    yield [("  ", ""), *start, (first, "")]
    for other in others:
        yield [(" " * indent + other, "")]
