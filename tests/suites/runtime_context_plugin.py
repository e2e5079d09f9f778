"""A pytest plugin for OpenTelemetry's own suites: our runtime context in the place of theirs, and proof that it ran."""

from __future__ import annotations

import os
from typing import Any

import opentelemetry.context
import opentelemetry.context.contextvars_context as stock

CALLS = {"attach": 0, "detach": 0}


def pytest_configure() -> None:
    """Put the runtime context in place before any test module names it."""
    if os.environ.get("RUNTIME_CONTEXT") == "bridge":
        from bridge._internal.context.runtime import SentryRuntimeContext as Chosen
    else:
        Chosen = stock.ContextVarsRuntimeContext  # type: ignore[misc]  # noqa: N806

    class Counted(Chosen):
        """Counts what the suite does with it."""

        def attach(self, context: Any) -> Any:
            CALLS["attach"] += 1
            return super().attach(context)

        def detach(self, token: Any) -> None:
            CALLS["detach"] += 1
            super().detach(token)

    stock.ContextVarsRuntimeContext = Counted  # type: ignore[misc]
    opentelemetry.context.ContextVarsRuntimeContext = Counted  # type: ignore[attr-defined]
    opentelemetry.context._RUNTIME_CONTEXT = Counted()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell how often it was called."""
    terminalreporter.write_line(f"runtime context: {CALLS['attach']} attached, {CALLS['detach']} detached")
