"""Variables, packages and import paths. Imports no OpenTelemetry, which some of them break."""

from __future__ import annotations

import difflib
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from bridge._internal.console.problem import ERROR, WARNING
from bridge._internal.doctor.checks.check import PACKAGE, Symptom, check
from bridge._internal.options import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Environ = Mapping[str, str]

DISTRIBUTION = "sentry-otel-bridge"
_OURS = frozenset(variable for row in ROWS.values() for variable in row.environment)
_KNOWN = _OURS | {"SENTRY_TRACE", "SENTRY_BAGGAGE", "SENTRY_USE_ENVIRONMENT"}
_CLOSE = 0.9
_PIN = re.compile(r"(opentelemetry[\w.-]+)\s*(?:\[.*?\])?\s*\(?==\s*([\w.]+)\)?\s*$")
_NAMES_SHOWN = 3


@check("sdk-disabled", ERROR, fix="Unset OTEL_SDK_DISABLED.")
def sdk_disabled(environ: Environ) -> Iterator[Symptom]:
    """`OTEL_SDK_DISABLED=true`: OpenTelemetry's tracers do nothing, so there are no spans."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        yield Symptom(
            "OTEL_SDK_DISABLED is true.",
            "OpenTelemetry's tracers do nothing then: no span of either API is recorded.",
        )


@check("variable-misspelt", WARNING, fix="Correct the name of the variable.")
def variable_misspelt(environ: Environ) -> Iterator[Symptom]:
    """A `SENTRY_*` or `BRIDGE_*` variable is not used, and its name resembles one that is."""
    for name in sorted(environ):
        if not name.upper().startswith(("SENTRY", "BRIDGE_")) or name in _KNOWN:
            continue
        near = difflib.get_close_matches(name.upper(), sorted(_KNOWN), n=1, cutoff=_CLOSE)
        if near and near[0] not in environ:
            yield Symptom(
                f"{name} is set but not used.",
                f"Its name resembles {near[0]}, which is not set.",
                f"Rename it to {near[0]}.",
            )


@check(
    "versions-mixed",
    WARNING,
    fix="Upgrade all OpenTelemetry packages in one command, so that pip chooses releases that go together.",
)
def versions_mixed(environ: Environ) -> Iterator[Symptom]:
    """OpenTelemetry packages of different releases are installed."""
    versions, requirers = _opentelemetry_pins()
    upgrade = f"{versions_mixed.fix} `pip install --upgrade {' '.join(sorted(versions))}`."
    for (name, required), by in sorted(requirers.items()):
        if versions.get(name) != required:
            installed = versions.get(name, "(not installed)")
            yield Symptom(
                f"{name} {installed} does not go with {_shortened(by)}: {required} is needed.",
                "An instrumentation that does not fit turns itself off, and other packages may fail when imported.",
                upgrade,
            )


@check(
    "bridge-shadowed",
    ERROR,
    fix="Uninstall the other package or rename the module: only one can be imported as `bridge`.",
)
def bridge_shadowed(environ: Environ) -> Iterator[Symptom]:
    """Another distribution, or a module earlier on `sys.path`, is also called `bridge`."""
    for name in _other_distributions():
        yield Symptom(
            f"The distribution {name} also has a package `bridge`.",
            "Both are installed into the same folder, so either may be broken.",
            f"`pip uninstall {name}`, then `pip install --force-reinstall {DISTRIBUTION}`.",
        )
    for entry in sys.path:
        folder = Path(entry or ".")
        if _is_ours(folder):
            return
        for other in _others_in(folder):
            yield Symptom(
                f"{other} is found before {_own_folder()}.",
                "The next process with this sys.path imports that one instead.",
            )


@check(
    "bridge-shadowed-here",
    ERROR,
    fix="Rename it, or start the program from another directory.",
)
def bridge_shadowed_here(environ: Environ) -> Iterator[Symptom]:
    """The working directory has a module called `bridge`, which `python -m` and launchers import instead."""
    here = Path.cwd()
    if _is_ours(here) or any(Path(entry or ".").resolve() == here.resolve() for entry in sys.path):
        return
    for other in _others_in(here):
        yield Symptom(
            f"{other} is in the working directory.",
            "`python -m`, `python -c` and opentelemetry-instrument search the working directory first and import that "
            "module: a program that is set up by variables may not start, and `python -m bridge` does nothing.",
        )


def _opentelemetry_pins() -> tuple[dict[str, str], dict[tuple[str, str], list[str]]]:
    """Return the versions of OpenTelemetry's packages, and which packages pin which version of another.

    OpenTelemetry pins the packages of a release to each other exactly, so comparing for equality is enough.
    """
    versions: dict[str, str] = {}
    requirers: dict[tuple[str, str], list[str]] = {}
    for distribution in metadata.distributions():
        name = _normalised(distribution.metadata["Name"])
        if not name.startswith("opentelemetry-") or name in versions:
            continue
        versions[name] = distribution.version
        for pin in filter(None, map(_PIN.match, distribution.requires or ())):
            requirers.setdefault((_normalised(pin[1]), pin[2]), []).append(name)
    return versions, requirers


def _normalised(name: str | None) -> str:
    return (name or "").replace("_", "-").lower()


def _shortened(names: list[str]) -> str:
    shown, others = names[:_NAMES_SHOWN], len(names) - _NAMES_SHOWN
    return ", ".join(shown) + (f" and {others} other packages" if others > 0 else "")


def _own_folder() -> Path:
    return PACKAGE.resolve()


def _is_ours(folder: Path) -> bool:
    return (folder / "bridge").resolve() == _own_folder()


def _others_in(folder: Path) -> Iterable[Path]:
    """Return other modules that are imported as `bridge` from a folder. A folder without `__init__` never is one."""
    candidates = [folder / "bridge" / "__init__.py", folder / "bridge.py", *folder.glob("bridge.*.so")]
    return [path for path in candidates if path.is_file() and path.resolve().parent != _own_folder()]


def _other_distributions() -> list[str]:
    found = metadata.packages_distributions().get("bridge", [])
    return sorted({name for name in found if _normalised(name) != DISTRIBUTION})
