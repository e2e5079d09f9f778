"""Sentry and OpenTelemetry as one tracing world: one context, one trace, one sampling decision, in both directions.

Nothing is imported until a name is used: OpenTelemetry loads our runtime context while its own context package is
half imported, and a program that only has the distribution installed pays nothing.

pytest finds our plugin in the same distribution and would warn where this was imported first: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge._internal.version import __version__ as __version__

if TYPE_CHECKING:
    from bridge import otel as otel
    from bridge import testing as testing
    from bridge._internal.console.problem import Problem as Problem
    from bridge._internal.doctor.diagnosis import check_setup as check_setup
    from bridge._internal.public import *  # noqa: F403 - the one list of names is there
else:  # hidden from type checkers, to which a `__getattr__` says that every misspelt name is there
    import importlib

    _SUBMODULES = {"otel", "testing"}
    # The doctor's names work where OpenTelemetry, which `public` loads, cannot be imported.
    _DOCTORS = {"Problem": "bridge._internal.console.problem", "check_setup": "bridge._internal.doctor.diagnosis"}

    def __getattr__(name: str) -> object:
        if name in _SUBMODULES:
            return importlib.import_module(f"bridge.{name}")
        if name == "__all__":
            return sorted({*_DOCTORS, "__version__", *_public_names()})
        if name in _DOCTORS:
            value = getattr(importlib.import_module(_DOCTORS[name]), name)
        elif name[:1].isalpha() and name in _public_names():
            value = _public_names()[name]
        else:
            raise AttributeError(f"module 'bridge' has no attribute {name!r}")
        globals()[name] = value
        return value

    def _public_names() -> dict[str, object]:
        public = importlib.import_module("bridge._internal.public")
        return {name: value for name, value in vars(public).items() if name[:1].isalpha()}

    def __dir__() -> list[str]:
        return __getattr__("__all__")
