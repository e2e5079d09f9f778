"""Requirements of installed distributions, as far as they are a name and versions."""

from __future__ import annotations

import operator
import re
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*\(?([^;()]*)\)?\s*(;.*)?$")
_CLAUSE = re.compile(r"\s*(~=|==|!=|<=|>=|<|>)\s*([0-9][0-9A-Za-z.]*?)(\.\*)?\s*$")
_VERSION = re.compile(r"(\d+(?:\.\d+)*)(?:[.-]?(a|b|c|rc|dev)(\d*))?")
_COMPARE: dict[str, Callable[[object, object], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,  # type: ignore[dict-item]  # typeshed's own protocol of what can be compared
    ">=": operator.ge,  # type: ignore[dict-item]
    "<": operator.lt,  # type: ignore[dict-item]
    ">": operator.gt,  # type: ignore[dict-item]
}
_FINAL = ("z", 0)  # after every pre-release of the same number


class Unmet(NamedTuple):
    """A requirement that what is installed does not meet; `installed` is `None` where it is not there."""

    by: str
    requirement: str
    name: str
    installed: str | None


def installed_version(name: str) -> str | None:
    """Return the version of a distribution, if it is installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def unmet_requirements(distribution: str) -> Iterator[Unmet]:
    """Yield what a distribution requires in every case (no extras, no markers) and does not get."""
    try:
        required = metadata.requires(distribution) or ()
    except metadata.PackageNotFoundError:
        return
    for requirement in required:
        match = _NAME.match(requirement)
        if match is None or match[3]:
            continue
        installed = installed_version(match[1])
        if installed is None or not allows(match[2], installed):
            yield Unmet(distribution, requirement.strip(), match[1], installed)


def allows(specifier: str, version: str) -> bool:
    """Tell whether a version is within a specifier such as `>=1.40,<2`; what is not understood allows everything."""
    return all(_clause_allows(clause, version) for clause in specifier.split(",") if clause.strip())


def _clause_allows(clause: str, version: str) -> bool:
    match, have = _CLAUSE.match(clause), _key(version)
    if match is None or have is None:
        return True
    how, text, is_prefix = match.groups()
    wanted = _key(text)
    if wanted is None:
        return True
    if how == "~=":
        release = text.split(".")[:-1]
        return have >= wanted and _starts_with(version, release)
    if is_prefix:
        return _starts_with(version, text.split(".")) is (how == "==")
    if how == "<" and have[1] != _FINAL and wanted[1] == _FINAL and have[0] == wanted[0]:
        return False  # a pre-release of what is excluded is excluded as well
    return _COMPARE[how](have, wanted)


def _starts_with(version: str, release: list[str]) -> bool:
    key = _key(version)
    wanted = tuple(int(part) for part in release if part.isdigit())
    return key is not None and (key[0] + (0,) * len(wanted))[: len(wanted)] == wanted


def _key(version: str) -> tuple[tuple[int, ...], tuple[str, int]] | None:
    match = _VERSION.match(version)
    if match is None:
        return None
    numbers = [int(number) for number in match[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    order = {"dev": "A", "a": "a", "b": "b", "c": "rc", "rc": "rc"}
    return tuple(numbers), (order[match[2]], int(match[3] or 0)) if match[2] else _FINAL
