"""The rooms of the house: which may import which, and no circle anywhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import bridge

PACKAGE = Path(bridge.__file__).parent

# Modules directly below `_internal` that are rooms of their own. All others there are the ground: small things that
# every room may stand on (guard, options, version, otel_private ...), which import nothing but each other.
ALONE = {"api", "cli", "client", "install", "public"}

PERIPHERY = {"console", "decode", "demo", "doctor", "bridge.pytest_plugin", "bridge.testing"}

LOW = {"ground", "wire", "semantics", "sampling", "context"}
SPANS = LOW | {"tracing", "foreign", "propagation"}

# Room -> the rooms that it may import, at run time, within a function or for type checkers alone. A row names rows
# above it only, so no two rooms can import each other.
MAY_IMPORT: dict[str, set[str]] = {
    "ground": set(),
    "wire": set(),
    "semantics": {"ground"},
    "sampling": {"ground", "wire"},
    "context": {"ground", "wire"},
    "tracing": LOW,
    "foreign": LOW | {"tracing"},
    "propagation": LOW | {"tracing", "foreign"},
    "delivery": {"ground"},
    "capture": SPANS | {"delivery"},
    "integrations": {"ground", "wire", "semantics", "context"},
    "client": SPANS | {"delivery", "capture", "integrations"},
    "sentry_sdk": SPANS | {"delivery", "capture", "client"},
    "console": {"ground", "semantics", "tracing", "delivery"},
    # Where a process is put together: the one room that knows what `console=True` asks for.
    "install": SPANS | {"delivery", "integrations", "client", "sentry_sdk", "console"},
    "api": SPANS | {"integrations", "client", "install"},
    "decode": {"ground", "wire", "sampling", "tracing", "propagation", "console"},
    "doctor": SPANS | {"delivery", "client", "sentry_sdk", "console", "api"},
    "public": {"context", "tracing", "delivery", "integrations", "client", "api"},
    "bridge.otel": {"sampling", "context", "tracing", "foreign", "propagation"},
    "bridge.testing": SPANS | {"delivery", "console", "client", "install", "api"},
    "bridge": {"ground", "console", "doctor", "public", "bridge.otel", "bridge.testing"},
    "bridge.pytest_plugin": {"bridge.testing"},
    "zero_code": {"ground", "sampling", "tracing", "install", "api", "bridge"},
    "demo": {"ground", "wire", "delivery", "console", "bridge"},
    "cli": {"ground", "decode", "doctor", "demo", "zero_code"},
    "bridge.__main__": {"cli"},
}

# The arrows that point up, for type checkers alone: what the process refers to is typed as what it is.
HOLDS = {
    "bridge._internal.active -> bridge._internal.client",
    "bridge._internal.active -> bridge._internal.context.scope",
}


@dataclass(frozen=True, slots=True)
class Import:
    """One module names another; `at_load` says that loading the one loads the other."""

    importer: str
    imported: str
    at_load: bool

    def __str__(self) -> str:
        return f"{self.importer} -> {self.imported}"


def module_name(path: Path) -> str:
    """Return the dotted name of a file of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


ROOMS = ALONE | {path.parent.name for path in PACKAGE.glob("_internal/*/*.py")}


def room_of(module: str) -> str:
    """Return the room that a module is in."""
    parts = module.split(".")
    if parts[:2] != ["bridge", "_internal"]:
        return ".".join(parts[:2])
    return parts[2] if len(parts) > 2 and parts[2] in ROOMS else "ground"


def _imported(node: ast.AST) -> Iterator[str]:
    """Yield the modules of ours that a statement imports: `from a import b` is `a.b` where that is a module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in MODULES)
    elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
        for alias in node.names:
            submodule = f"{node.module}.{alias.name}"
            yield submodule if submodule in MODULES else node.module
    elif isinstance(node, ast.ImportFrom) and node.level:
        raise AssertionError("imports are absolute, which these tests rely on")


def _for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _imports_below(node: ast.AST, importer: str, at_load: bool) -> Iterator[Import]:
    for name in _imported(node):
        yield Import(importer, name, at_load)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        at_load = False
    skipped = node.body if isinstance(node, ast.If) and _for_type_checkers(node) else []
    for child in ast.iter_child_nodes(node):
        yield from _imports_below(child, importer, at_load and child not in skipped)


IMPORTS = sorted(
    {
        found
        for name, path in MODULES.items()
        for found in _imports_below(ast.parse(path.read_text(encoding="utf-8")), name, at_load=True)
    },
    key=str,
)


def test_every_room_has_a_row() -> None:
    """A new room says what it may import before it imports anything."""
    assert {room_of(module) for module in MODULES} - set(MAY_IMPORT) == set()


def test_rows_point_down() -> None:
    """The table itself has no two rooms that import each other: each row names rows above it."""
    above: set[str] = set()
    for room, allowed in MAY_IMPORT.items():
        assert allowed <= above, room
        above.add(room)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    """Imports at the top, within functions and for type checkers: none goes to a room that the table does not name."""
    allowed = MAY_IMPORT[room] | {room}
    wrong = {
        str(found)
        for found in IMPORTS
        if room_of(found.importer) == room and room_of(found.imported) not in allowed
        if found.at_load or str(found) not in HOLDS
    }
    assert wrong == set()


def test_the_core_knows_no_periphery() -> None:
    """What records and sends imports neither the console nor any tool: what these need, they ask for."""
    above_the_core = PERIPHERY | {"bridge", "bridge.__main__", "cli", "install", "zero_code"}
    for room in MAY_IMPORT.keys() - above_the_core:
        assert MAY_IMPORT[room] & PERIPHERY == set(), room


def test_no_circle_of_modules() -> None:
    """No module loads, by way of others, itself."""
    loads: dict[str, set[str]] = {module: set() for module in MODULES}
    for found in IMPORTS:
        if found.at_load:
            loads[found.importer].add(found.imported)
    while free := {module for module, loaded in loads.items() if not loaded & loads.keys()}:
        for module in free:
            del loads[module]
    assert {module: sorted(loaded & loads.keys()) for module, loaded in loads.items()} == {}


def test_imports_are_found_wherever_they_stand() -> None:
    """The arrows that these tests compare include those within functions and those for type checkers."""
    source = """
from bridge._internal import guard
if TYPE_CHECKING:
    import bridge._internal.client
else:
    from bridge._internal.options import Options
def f():
    from bridge._internal.api import init
"""
    found = {(one.imported.rpartition(".")[2], one.at_load) for one in _imports_below(ast.parse(source), "m", True)}
    assert found == {("guard", True), ("client", False), ("options", True), ("api", False)}
