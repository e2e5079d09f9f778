"""Check: one row of the list of what can be wrong; a function that looks, and what is said of it everywhere."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Generic, TypeVar

from bridge._internal.guard import guard
from bridge._internal.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bridge._internal.problem import Severity

W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `fix` where it differs from the check's own."""

    what: str
    why: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Check(Generic[W]):
    """One thing that can be wrong. `means` says when it is told; `look` is given what there is to look at."""

    code: str
    severity: Severity
    fix: str
    means: str
    look: Callable[[W], Iterator[Finding]]

    def problems(self, where: W) -> list[Problem]:
        """Return what is wrong; a fault of the check itself is reported as every fault of ours, never raised."""
        with guard("doctor", f"the check {self.code!r} failed"):
            return [self._problem(found) for found in self.look(where)]
        return []

    def _problem(self, found: Finding) -> Problem:
        return Problem(self.severity, found.what, found.why, found.fix or self.fix, self.code)


def check(code: str, severity: Severity, *, fix: str) -> Callable[[Callable[[W], Iterator[Finding]]], Check[W]]:
    """Make a check of a function that yields what it finds; the first line of its docstring is what users read."""

    def make(look: Callable[[W], Iterator[Finding]]) -> Check[W]:
        return Check(code, severity, fix, inspect.getdoc(look).splitlines()[0], look)  # type: ignore[union-attr]

    return make


def run_checks(checks: Iterable[Check[W]], where: W) -> list[Problem]:
    """Return what all of them find."""
    return [problem for one in checks for problem in one.problems(where)]


def full_name(value: object) -> str:
    """Return module and name of a class, or of an object's class."""
    kind = value if isinstance(value, type) else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def installed_version(distribution: str) -> str | None:
    """Return the version of a distribution, or `None` if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
