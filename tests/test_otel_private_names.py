"""Every private name of OpenTelemetry that a module of ours leans on is in the list here, module by module."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, files, version
from importlib.util import find_spec
from pathlib import Path

import pytest

import bridge

PACKAGE = Path(bridge.__file__).parent
DISTRIBUTIONS = ("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")

OF_OTHERS = {"_tracer_provider"}
"""Private names of other libraries that a version of OpenTelemetry has too: logfire's, in 1.40."""

EXPECTED: dict[str, set[str]] = {
    "_internal/context/runtime.py": {
        "_current_context",
    },
    "_internal/foreign/span_processor.py": {
        "_on_ending",
    },
    "_internal/kept_attributes.py": {
        "_dict",
        "_set_items",
    },
    "_internal/otel_private.py": {
        "_attributes",
        "_RUNTIME_CONTEXT",
        "_SPAN_KEY",
        "_SUPPRESS_HTTP_INSTRUMENTATION_KEY",
        "_SUPPRESS_INSTRUMENTATION_KEY",
        "_TRACER_PROVIDER",
        "_TRACER_PROVIDER_SET_ONCE",
        "_active_span_processor",
        "_atexit_handler",
        "_current_context",
        "_dict",
        "_done",
        "_endpoint",
        "_get_from_env_or_default",
        "_immutable",
        "_instrumentation_scope",
        "_is_enabled",
        "_lock",
        "_propagators",
        "_real_tracer",
        "_resource",
        "_root",
        "_sampler",
        "_set_items",
        "_span_limits",
        "_span_processors",
        "_tracer",
        "_tracer_metrics",
        "_tracers",
    },
    "_internal/tracing/light_spans.py": {
        "_context",
    },
    "_internal/tracing/provider.py": {
        "_context",
        "_links",
        "_record_end_metrics",
        "_record_exception",
        "_set_status_on_exception",
        "_start_time",
    },
    "_internal/tracing/span.py": {
        "_attributes",
        "_context",
        "_end_time",
        "_events",
        "_instrumentation_info",
        "_instrumentation_scope",
        "_kind",
        "_limits",
        "_links",
        "_lock",
        "_name",
        "_new_events",
        "_new_links",
        "_on_ending",
        "_parent",
        "_readable_span",
        "_record_end_metrics",
        "_record_exception",
        "_resource",
        "_sampler",
        "_set_status_on_exception",
        "_span_processor",
        "_status",
        "_trace_config",
    },
}

# What the lowest version that is supported does not have yet.
SINCE = {"_set_items": (1, 42), "_tracers": (1, 42)}


def is_private(name: str) -> bool:
    """Tell whether a name is private by convention; names in dunders are Python's."""
    return name.isidentifier() and name.startswith("_") and not name.startswith("__") and name != "_"


@cache
def names_defined_in(source: Path) -> frozenset[str]:
    """Return each private name that a file defines or puts on an object."""
    tree = ast.parse(source.read_bytes())
    return frozenset(name for node in ast.walk(tree) for name in _defines(node) if is_private(name))


@cache
def names_of_opentelemetry() -> frozenset[str]:
    """Return the private names of OpenTelemetry as it is installed."""
    found: set[str] = set()
    for distribution in DISTRIBUTIONS:
        with suppress(PackageNotFoundError):
            for file in files(distribution) or ():
                if file.suffix == ".py":
                    found |= names_defined_in(Path(str(file.locate())))
    return frozenset(found)


def _defines(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        yield node.attr


def _owns(node: ast.AST) -> Iterator[str]:
    """Yield what a node of our own defines: functions, classes, variables, and attributes of `self` or in slots."""
    if isinstance(node, ast.Attribute):
        if isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            yield node.attr
    elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__":
        yield from (text.value for text in ast.walk(node.value) if isinstance(text, ast.Constant))
    else:
        yield from _defines(node)


def _mentions(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node reads or has as a text, as `getattr` and tables have them."""
    if isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("opentelemetry"):
        yield from (node.module or "").split(".")
        yield from (alias.name for alias in node.names)
    yield from _defines(node)


def _inherited(module: str, node: ast.stmt) -> set[str]:
    """Return the private names that a class at the top of a module shares with OpenTelemetry's that it extends."""
    if not isinstance(node, ast.ClassDef):
        return set()
    bases = getattr(importlib.import_module(module), node.name).__mro__
    sources = {inspect.getfile(base) for base in bases if base.__module__.startswith("opentelemetry.")}
    return {name for source in sources for name in names_defined_in(Path(source))}


def leaned_on(path: Path, root: Path = PACKAGE.parent) -> set[str]:
    """Return the private names of OpenTelemetry in a module of ours.

    What the module defines itself is ours, but for what a class shares with one of OpenTelemetry's that it extends.
    """
    module = ".".join(path.relative_to(root).with_suffix("").parts)
    ours: set[str] = set()
    mentioned: set[str] = set()
    for statement in ast.parse(path.read_bytes()).body:
        nodes = list(ast.walk(statement))
        ours |= {name for node in nodes for name in _owns(node)} - _inherited(module, statement)
        mentioned |= {name for node in nodes for name in _mentions(node) if is_private(name)}
    if path.name == "otel_private.py":
        ours = set()  # what it defines is what it says of them
    return (mentioned - ours - OF_OTHERS) & names_of_opentelemetry()


def test_private_names_stand_where_they_are_expected() -> None:
    """One that is new, gone or in another module fails here: put it into `otel_private.py`, or correct the list."""
    known = names_of_opentelemetry()
    # The private names in that room are sentry-sdk's, which has some of the same.
    modules = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "sentry_sdk"]
    found = {str(path.relative_to(PACKAGE)): leaned_on(path) for path in modules}
    assert {module: names for module, names in found.items() if names} == {
        module: names & known for module, names in EXPECTED.items()
    }


def test_private_names_are_still_there() -> None:
    """OpenTelemetry, as it is installed, has each name that its version should have."""
    installed = tuple(int(part) for part in version("opentelemetry-sdk").split(".")[:2])
    due = {name for names in EXPECTED.values() for name in names if SINCE.get(name, (1, 40)) <= installed}
    if not find_spec("opentelemetry.exporter"):
        due.discard("_endpoint")
    assert due <= names_of_opentelemetry()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY", {"_SUPPRESS_INSTRUMENTATION_KEY"}),
        ("provider._resource = 1", {"_resource"}),
        ("getattr(provider, '_resource', None)", {"_resource"}),
        ("class S(SdkSpan):\n    def _readable_span(self): ...", {"_readable_span"}),
        ("class S(SdkSpan):\n    def f(self): return self._attributes", {"_attributes"}),
        ("class Ours:\n    def f(self): self._resource = 1", set()),
        ("class Ours:\n    __slots__ = ('_resource',)", set()),
        ("provider._nothing_of_theirs = 1", set()),
    ],
)
def test_each_way_to_lean_on_a_name_is_found(
    line: str, names: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading, setting, importing, overriding, and naming it in a text; not what one of our own classes defines."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "leaning", raising=False)
    module = tmp_path / "leaning.py"
    module.write_text(f"from opentelemetry.sdk.trace import Span as SdkSpan\n{line}\n")
    assert leaned_on(module, tmp_path) == names
