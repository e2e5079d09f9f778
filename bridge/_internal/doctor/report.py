"""The report of `python -m bridge doctor`: as lines, as JSON, and the table of all checks for the docs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bridge._internal.console.problem import ERROR, INFO, SEVERITIES, WARNING, Problem, problem_lines
from bridge._internal.doctor.checks import all_checks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge._internal.console.terminal import Line
    from bridge._internal.doctor.probe import ProbeResult

SCHEMA = 1
"""Raised when a key of the JSON is removed or changes its meaning; new keys may be added at any time."""
_WIDTH = 18


@dataclass(frozen=True, slots=True)
class Report:
    """The result of the command. `facts` is empty if OpenTelemetry cannot be imported."""

    set_up_by: str
    facts: Mapping[str, Any]
    problems: Sequence[Problem]
    sent: Sequence[ProbeResult] | None = None

    @property
    def exit_code(self) -> int:
        """1 if there is an error, else 0."""
        return int(any(problem.severity == ERROR for problem in self.problems))

    @property
    def sound(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return all(problem.severity == INFO for problem in self.problems)


def as_json(report: Report) -> str:
    """Return the report as one JSON object."""
    whole = {
        "schema": SCHEMA,
        "sound": report.sound,
        "exit_code": report.exit_code,
        "problems": [asdict(problem) for problem in report.problems],
        "sent": None if report.sent is None else [asdict(one) for one in report.sent],
        "set_up_by": report.set_up_by,
        "facts": report.facts,
    }
    return json.dumps(whole, indent=2, default=str) + "\n"


def report_lines(report: Report) -> Iterator[Line]:
    """Render the report: the facts, the answers to what was sent, the problems."""
    yield [(f"bridge doctor: {report.set_up_by}", "")]
    yield []
    for section, value in report.facts.items():
        if value is not None:
            yield from _rows(section, _section_texts(section, value))
    for one in report.sent or ():
        status = "no answer" if one.status is None else f"HTTP {one.status}"
        yield from _rows(f"test {one.kind}", [f"{status}, {one.answer}; event {one.event_id}, trace {one.trace_id}"])
    yield []
    yield from problem_lines(report.problems)
    yield [(_verdict(report), "")]


def _rows(name: str, texts: Sequence[str]) -> Iterator[Line]:
    for number, text in enumerate(texts or ["none"]):
        yield [(f"  {name if number == 0 else '':<{_WIDTH}} {text}", "")]


def _section_texts(section: str, value: Any) -> list[str]:
    if section == "options":
        return [f"{name} = {option['value']!r}  ({option['source']})" for name, option in value.items()]
    if section == "propagator":
        return list(_propagator_tree(value, 0))
    if isinstance(value, Mapping):
        return [f"{name} {_inline(member)}" for name, member in value.items()]
    return value if isinstance(value, list) else [str(value)]


def _propagator_tree(propagator: Mapping[str, Any], depth: int) -> Iterator[str]:
    yield "  " * depth + propagator["type"]
    for inner in propagator["holds"]:
        yield from _propagator_tree(inner, depth + 1)


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_inline(member)}" for name, member in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _verdict(report: Report) -> str:
    if report.sound:
        return "Nothing is wrong."
    errors, warnings = (
        sum(problem.severity == severity for problem in report.problems) for severity in (ERROR, WARNING)
    )
    return f"{_count(errors, 'error')}, {_count(warnings, 'warning')}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def table() -> str:
    """Return a Markdown table of all checks, the worst first: the one in docs/doctor.md."""
    every = all_checks()
    every.sort(key=lambda one: (SEVERITIES.index(one.severity), one.code))
    rows = [f"| `{one.code}` | {one.severity} | {one.means} | {one.fix} |" for one in every]
    return "\n".join(["| code | severity | when | what to do |", "|---|---|---|---|", *rows]) + "\n"
