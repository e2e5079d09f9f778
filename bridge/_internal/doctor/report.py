"""The report, as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bridge._internal.problem import ERROR, INFO, WARNING, Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bridge._internal.doctor.probe import Sent

SCHEMA = 1
"""Raised when a key of the JSON goes or changes its meaning; new keys may come at any time."""
_WIDTH = 18
_LABELS: Mapping[Severity, str] = {ERROR: "ERROR", WARNING: "WARNING", INFO: "note"}
_COLOURS: Mapping[Severity, str] = {ERROR: "31", WARNING: "33", INFO: "36"}


@dataclass(frozen=True, slots=True)
class Report:
    """What `doctor` tells. `facts` is empty where OpenTelemetry cannot be imported."""

    set_up_by: str
    facts: Mapping[str, Any]
    problems: Sequence[Problem]
    sent: Sequence[Sent] | None = None

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


def as_text(report: Report, *, coloured: bool = False) -> str:
    """Return the report for people: what is live, what was sent, what is wrong."""
    lines = [f"bridge doctor: {report.set_up_by}", ""]
    lines += _facts(report.facts)
    for one in report.sent or ():
        status = "no answer" if one.status is None else f"HTTP {one.status}"
        lines.append(_row(f"test {one.kind}", f"{status}, {one.answer}; event {one.event_id}, trace {one.trace_id}"))
    lines += ["", *_verdict(report.problems, coloured=coloured)]
    return "\n".join(lines) + "\n"


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    for name, tell in _SECTIONS.items():
        value = facts.get(name)
        if value is not None:
            yield from tell(value)


def _row(name: str, value: object) -> str:
    return f"  {name:<{_WIDTH}} {value}"


def _rows(name: str, values: Sequence[object]) -> Iterator[str]:
    for number, value in enumerate(values or ["none"]):
        yield _row(name if number == 0 else "", value)


def _python(python: Mapping[str, str]) -> Iterator[str]:
    yield _row("Python", f"{python['version']} ({python['implementation']}), {python['executable']}")


def _packages(packages: Mapping[str, str | None]) -> Iterator[str]:
    yield from _rows("packages", [f"{name} {version}" for name, version in packages.items() if version])
    absent = [name for name, version in packages.items() if not version]
    if absent:
        yield _row("not installed", ", ".join(absent))


def _bridge(bridge: Mapping[str, Any]) -> Iterator[str]:
    yield _row("bridge", f"{bridge['version']}, {bridge['file']}")
    yield _row("initialised", "yes" if bridge["initialised"] else "no")


def _propagator(propagator: Mapping[str, Any]) -> Iterator[str]:
    yield from _rows("propagator", list(_tree(propagator, 0)))


def _tree(propagator: Mapping[str, Any], depth: int) -> Iterator[str]:
    yield "  " * depth + propagator["type"]
    for one in propagator["holds"]:
        yield from _tree(one, depth + 1)


def _provider(provider: Mapping[str, Any]) -> Iterator[str]:
    whose = {"bridge": "the bridge's", "adopted": "adopted", None: "not the bridge's"}[provider["whose"]]
    yield _row("tracer provider", f"{provider['type']} ({whose}{'' if provider['global'] else ', not global'})")
    yield _row("sampler", provider["sampler"])
    yield from _rows("processors", provider["processors"])


def _instrumentations(found: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    for name, ones in found.items():
        if ones:
            yield from _rows(f"instr. {name}", ones)


def _delivery(delivery: Mapping[str, Any]) -> Iterator[str]:
    dsn = delivery["dsn"]
    yield _row("DSN", "none" if dsn is None else f"{dsn['url']}, project {dsn['project']}, key {dsn['public_key']}")
    yield _row("transport", delivery["transport"])
    if delivery["spotlight"]:
        yield _row("Spotlight", delivery["spotlight"])
    spans = delivery["spans"]
    if spans["started"]:
        lost = sum(spans["lost"].values())
        yield _row("spans", f"{spans['started']} sampled, {spans['delivered']} delivered, {lost} lost")


def _options(options: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Tell of options that were set; how many were not."""
    given = {name: option for name, option in options.items() if option["source"] != "default"}
    yield from _rows("options", [f"{name} = {one['value']!r}  ({one['source']})" for name, one in given.items()])
    yield _row("", f"{len(options) - len(given)} others at their defaults")


def _environment(variables: Mapping[str, str]) -> Iterator[str]:
    if variables:
        yield from _rows("environment", [f"{name}={value}" for name, value in variables.items()])


_SECTIONS: Mapping[str, Any] = {
    "python": _python,
    "packages": _packages,
    "bridge": _bridge,
    "context": lambda name: [_row("runtime context", name)],
    "propagator": _propagator,
    "provider": _provider,
    "patches": lambda names: _rows("patches", names),
    "instrumentations": _instrumentations,
    "delivery": _delivery,
    "options": _options,
    "environment": _environment,
}


def _verdict(problems: Sequence[Problem], *, coloured: bool) -> Iterator[str]:
    for problem in problems:
        label = _LABELS[problem.severity]
        if coloured:
            label = f"\x1b[{_COLOURS[problem.severity]}m{label}\x1b[0m"
        yield f"{label} [{problem.code}] {problem.what}"
        yield f"    why: {problem.why}"
        yield f"    fix: {problem.fix}"
    errors = sum(problem.severity == ERROR for problem in problems)
    warnings = sum(problem.severity == WARNING for problem in problems)
    if not errors and not warnings:
        yield "Nothing is wrong."
    else:
        yield f"{_count(errors, 'error')}, {_count(warnings, 'warning')}."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
