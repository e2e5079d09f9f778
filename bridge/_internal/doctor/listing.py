"""The list of everything that is told of, as a table of Markdown: the one in docs/doctor.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal.doctor.checks import environment, process_checks
from bridge._internal.problem import SEVERITIES

if TYPE_CHECKING:
    from bridge._internal.doctor.checks.check import Check


def table() -> str:
    """Return a row for each check, the worst first."""
    every: list[Check[Any]] = [*environment.CHECKS, *process_checks()]
    rows = [
        f"| `{one.code}` | {one.severity} | {one.means} | {one.fix} |"
        for severity in SEVERITIES
        for one in sorted(every, key=lambda one: one.code)
        if one.severity == severity
    ]
    return "\n".join(["| code | severity | when | what to do |", "|---|---|---|---|", *rows]) + "\n"
