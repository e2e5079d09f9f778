"""Check: one thing that can be wrong with a set-up: a function that looks for it, and its row in the docs."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bridge._internal.console.problem import Problem
from bridge._internal.guard import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

    from bridge._internal.console.problem import Severity

S = TypeVar("S")

PACKAGE = Path(__file__).parents[3]
"""The folder of the package `bridge`."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """What a check found: `fix` replaces that of the check, if this case has a better one."""

    what: str
    why: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Check(Generic[S]):
    """One thing that can be wrong. `find` looks for it in its subject, `means` is the description in the docs."""

    code: str
    severity: Severity
    fix: str
    means: str
    find: Callable[[S], Iterator[Symptom]]

    def problems(self, subject: S) -> list[Problem]:
        """Return what is wrong. A fault of the check itself is logged and counted, never raised."""
        with guard("doctor", f"the check {self.code!r} failed"):
            return [
                Problem(self.severity, found.what, found.why, found.fix or self.fix, self.code)
                for found in self.find(subject)
            ]
        return []


def check(code: str, severity: Severity, *, fix: str) -> Callable[[Callable[[S], Iterator[Symptom]]], Check[S]]:
    """Make a check of a function that yields findings. The first line of its docstring is shown in the docs."""

    def make(find: Callable[[S], Iterator[Symptom]]) -> Check[S]:
        return Check(code, severity, fix, (inspect.getdoc(find) or "").partition("\n")[0], find)

    return make


def checks_in(module: ModuleType) -> list[Check[Any]]:
    """Return the checks that a module defines, in order."""
    return [value for value in vars(module).values() if isinstance(value, Check)]


def run_checks(checks: Iterable[Check[S]], subject: S) -> list[Problem]:
    """Return the problems that any of the checks finds."""
    return [problem for one in checks for problem in one.problems(subject)]


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
