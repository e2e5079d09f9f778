"""`python -m bridge doctor`: sets up what the environment, or a program, would, and reports the result."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge._internal.console.problem import ERROR, Problem, worst_first
from bridge._internal.console.terminal import Terminal
from bridge._internal.doctor.diagnosis import NOT_IMPORTABLE, diagnose
from bridge._internal.doctor.report import Report, as_json, report_lines

if TYPE_CHECKING:
    from collections.abc import Callable

_RUN_NAME = "__bridge_doctor__"
_BY_LAUNCHER = "as this process was set up before the command began"
_BY_ENVIRONMENT = "as bridge.init() without arguments sets up in this environment"


def run_doctor(*, app: str | None = None, json: bool = False, send: bool = False) -> int:
    """Print the report on this process, and return the exit code: 1 if there is an error."""
    # What a program prints while it is imported must not end up in the report.
    with contextlib.redirect_stdout(sys.stderr):
        report = examine(app, send=send)
    if json:
        sys.stdout.write(as_json(report))
    else:
        Terminal(sys.stdout).write(report_lines(report))
    return report.exit_code


def examine(app: str | None, *, send: bool) -> Report:
    """Set this process up and diagnose it."""
    set_up_by, failure = _set_up(app)
    problems = diagnose()
    if any(problem.code == NOT_IMPORTABLE for problem in problems):
        return Report(set_up_by, {}, worst_first([*failure, *problems]))
    if failure:  # which is why there is no client
        problems = [problem for problem in problems if problem.code != "not-initialised"]
    from bridge._internal.doctor.facts import collect_facts
    from bridge._internal.doctor.live import read_process
    from bridge._internal.doctor.probe import send_probes

    process = read_process()
    options = None if process.client is None else process.client.options
    sent, refusals = send_probes(options) if send else (None, [])
    return Report(set_up_by, collect_facts(process), worst_first([*failure, *refusals, *problems]), sent)


def _set_up(app: str | None) -> tuple[str, list[Problem]]:
    if app is not None:
        return f"as {app} sets it up", _failure(f"{app} could not be run", lambda: run_app(app))
    try:
        from bridge._internal import api
    except Exception:  # the diagnosis reports it
        return _BY_ENVIRONMENT, []
    if api.is_initialized():
        return _BY_LAUNCHER, []
    return _BY_ENVIRONMENT, _failure("This environment cannot be set up", _init_from_environment)


def _init_from_environment() -> None:
    from opentelemetry import trace

    from bridge._internal import api

    if os.environ.get("OTEL_PYTHON_TRACER_PROVIDER", "").strip():
        trace.get_tracer_provider()
    if not api.is_initialized():
        api.init()


def run_app(app: str) -> None:
    """Import a program: `package.module`, `package.module:function` (which is called), or the path of a file.

    An application such as `shop:app`, which cannot be called without arguments, is only imported.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if app.endswith(".py"):
        sys.path.insert(0, str(Path(app).resolve().parent))
        runpy.run_path(app, run_name=_RUN_NAME)
        return
    module, _, function = app.partition(":")
    value: Any = importlib.import_module(module)
    for name in filter(None, function.split(".")):
        value = getattr(value, name)
    if function and _is_callable_without_arguments(value):
        value()


def _is_callable_without_arguments(function: Any) -> bool:
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        return False
    return True


def _failure(what: str, call: Callable[[], object]) -> list[Problem]:
    try:
        call()
    except (Exception, SystemExit) as error:
        what = f"{what}: {type(error).__name__}: {error}"
        fix = "Correct what the message names."
        return [Problem(ERROR, what, "Nothing is set up, or only a part.", fix, "set-up-failed")]
    return []
