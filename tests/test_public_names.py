"""The public namespace is exactly what it says."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import bridge


def test_names_agree() -> None:
    """`__all__`, `dir()` and what can be imported are the same names, for type checkers as well."""
    assert bridge.__all__ == sorted(bridge.__all__) == dir(bridge)
    for name in bridge.__all__:
        assert getattr(bridge, name) is not None
    tree = ast.parse(Path(inspect.getfile(bridge)).read_text(encoding="utf-8"))
    typed = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed - {"annotations", "TYPE_CHECKING", "Any"} == set(bridge.__all__)


@pytest.mark.parametrize("name", bridge.__all__)
def test_everything_public_is_documented(name: str) -> None:
    """Each public function and class says what it does."""
    value = getattr(bridge, name)
    if inspect.isfunction(value) or inspect.isclass(value):
        assert value.__doc__


def test_both_ways_to_start_a_span_take_the_same_arguments() -> None:
    """`start_inactive_span` has the parameters of `start_span`, for whatever reads signatures, and no others."""
    assert inspect.signature(bridge.start_inactive_span) == inspect.signature(bridge.start_span)
    with pytest.raises(TypeError, match="opp"):
        bridge.start_inactive_span("a", opp="task")  # type: ignore[call-arg]
