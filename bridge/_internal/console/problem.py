"""Problem: something that is wrong, why it matters and how to fix it, and how a terminal shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bridge._internal.console.terminal import Line

Severity = Literal["error", "warning", "info"]
ERROR: Severity = "error"
WARNING: Severity = "warning"
INFO: Severity = "info"
SEVERITIES = (ERROR, WARNING, INFO)
"""The worst first. `info` explains why data is absent although nothing is wrong; `check_setup` leaves it out."""
_LABELS: Mapping[Severity, tuple[str, str]] = {
    ERROR: ("ERROR", "error"),
    WARNING: ("WARNING", "warning"),
    INFO: ("note", "quiet"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Describe what is wrong with a set-up, why it matters and how to fix it.

    `severity` is `"error"` if data is lost or duplicated, `"warning"` if something probably differs from what you
    want, and `"info"` for a choice that explains why data is absent. `code` does not change between releases, so you
    can ignore a problem by its code.
    """

    severity: Severity
    what: str
    why: str
    fix: str
    code: str = ""


def worst_first(problems: Iterable[Problem]) -> list[Problem]:
    """Sort problems by severity, and keep the order of those that are alike."""
    return sorted(problems, key=lambda problem: SEVERITIES.index(problem.severity))


def problem_lines(problems: Iterable[Problem]) -> Iterator[Line]:
    """Render problems, each with the reason and the fix below it."""
    for problem in problems:
        yield [_LABELS[problem.severity], (f" [{problem.code}] {problem.what}", "")]
        yield [(f"    why: {problem.why}", "")]
        yield [(f"    fix: {problem.fix}", "")]
