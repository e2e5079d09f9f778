"""`python -m bridge doctor`: sets up what the environment, or a program, would; then tells what came of it."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge._internal.console.terminal import wants_colours
from bridge._internal.doctor.diagnosis import diagnose, worst_first
from bridge._internal.doctor.report import Report, as_json, as_text
from bridge._internal.problem import ERROR, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_RUN_AS = "__bridge_doctor__"
_ALREADY = "as this process was set up before the command began"
_BY_ENVIRONMENT = "as bridge.init() without arguments sets up in this environment"


def run_doctor(*, app: str | None = None, json: bool = False, send: bool = False) -> int:
    """Print the report on this process; returns the exit code: 1 if there is an error."""
    # What a program prints while it is imported must not end up in the report.
    with contextlib.redirect_stdout(sys.stderr):
        report = examine(app, send=send)
    if json:
        sys.stdout.write(as_json(report))
    else:
        sys.stdout.write(as_text(report, coloured=wants_colours(sys.stdout, os.environ)))
    return report.exit_code


def examine(app: str | None, *, send: bool) -> Report:
    """Set this process up and look at it."""
    set_up_by, problems = _set_up(app)
    found = diagnose()
    if problems:  # it is the cause of there being no client
        found = [problem for problem in found if problem.code != "not-initialised"]
    problems += found
    sent = None
    if send and _can_be_read():
        from bridge._internal.api import get_client
        from bridge._internal.doctor.probe import send_tests

        sent, wrong = send_tests(get_client().options)
        problems += wrong
    return Report(set_up_by, _facts(), worst_first(problems), sent)


def _facts() -> Mapping[str, Any]:
    if not _can_be_read():
        return {}
    from bridge._internal.doctor.facts import facts
    from bridge._internal.doctor.live import gather

    return facts(gather())


def _can_be_read() -> bool:
    try:
        import bridge._internal.doctor.live  # noqa: F401
    except Exception:  # what variables and entry points name runs here
        return False
    return True


def _set_up(app: str | None) -> tuple[str, list[Problem]]:
    if app is not None:
        return f"as {app} sets it up", _failing(f"{app} could not be run", lambda: run_app(app))
    try:
        from bridge._internal import api
    except Exception:  # the diagnosis tells of it
        return _BY_ENVIRONMENT, []
    if api.is_initialized():
        return _ALREADY, []
    return _BY_ENVIRONMENT, _failing("This environment cannot be set up", _as_the_environment_says)


def _as_the_environment_says() -> None:
    from opentelemetry import trace

    from bridge._internal import api

    if os.environ.get("OTEL_PYTHON_TRACER_PROVIDER", "").strip():
        trace.get_tracer_provider()
    if not api.is_initialized():
        api.init()


def run_app(app: str) -> None:
    """Import a program: `package.module`, `package.module:function`, which is called, or the path of a file.

    An application (`shop:app`), which is called with a request, was made by the import.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if app.endswith(".py"):
        sys.path.insert(0, str(Path(app).resolve().parent))
        runpy.run_path(app, run_name=_RUN_AS)
        return
    module, _, function = app.partition(":")
    value: Any = importlib.import_module(module)
    for name in filter(None, function.split(".")):
        value = getattr(value, name)
    if function and _needs_nothing(value):
        value()


def _needs_nothing(function: Any) -> bool:
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        return False
    return True


def _failing(what: str, do: Callable[[], object]) -> list[Problem]:
    try:
        do()
    except (Exception, SystemExit) as error:
        return [
            Problem(
                ERROR,
                f"{what}: {type(error).__name__}: {error}",
                "Nothing is set up, or only a part.",
                "Correct what the message names.",
                "set-up-failed",
            )
        ]
    return []
