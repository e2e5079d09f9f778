"""Diagnosis: all checks, run on this process."""

from __future__ import annotations

import os

from bridge._internal.console.problem import ERROR, INFO, Problem, worst_first
from bridge._internal.doctor.checks import environment_checks, initialisation_checks, setup_checks
from bridge._internal.doctor.checks.check import run_checks
from bridge._internal.guard import guard

NOT_IMPORTABLE = "opentelemetry-not-importable"


def check_setup() -> list[Problem]:
    """Check the set-up of this process and return what is wrong with it, the worst first.

    An empty list means that the set-up is sound. Choices that are unusual but work as intended, such as tracing that is
    off, are not listed; `python -m bridge doctor` mentions them. Never raises and changes nothing. It takes some tens
    of milliseconds, so call it when the program is set up or in a test, not in each request.
    """
    return [problem for problem in diagnose() if problem.severity != INFO]


def diagnose() -> list[Problem]:
    """Return what `check_setup` returns, and the choices that explain absent data."""
    environ = dict(os.environ)
    problems = run_checks(environment_checks(), environ)
    try:
        from bridge._internal.doctor.live import LiveSetup, read_process
    except Exception as error:  # importing OpenTelemetry runs what variables and entry points name
        return worst_first([*problems, _not_importable(error)])
    with guard("doctor", "the state of the process could not be read"):
        process = read_process(environ)
        if isinstance(process, LiveSetup):
            problems += run_checks(setup_checks(), process)
        else:
            problems += run_checks(initialisation_checks(), process)
    return worst_first(problems)


def _not_importable(error: Exception) -> Problem:
    return Problem(
        ERROR,
        f"OpenTelemetry cannot be imported: {type(error).__name__}: {error}",
        "The bridge does not work without it.",
        "Correct what the message names: an OTEL_* variable, or a package that is broken or missing.",
        NOT_IMPORTABLE,
    )
