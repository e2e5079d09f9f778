"""Diagnosis: all checks, on this process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bridge._internal.doctor.checks import environment
from bridge._internal.doctor.checks.check import run_checks
from bridge._internal.guard import guard
from bridge._internal.problem import ERROR, INFO, SEVERITIES, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

NOT_IMPORTABLE = "opentelemetry-not-importable"


def check_setup() -> list[Problem]:
    """Return what is wrong with the set-up of this process, the worst first; an empty list means that it is sound.

    Reads what is in force and changes nothing: variables, versions, the provider, propagators, sampling, where things
    are sent, and what other libraries in the process do. Choices that are unusual but whole (tracing off, say) are
    not listed; `python -m bridge doctor` tells of them. Never raises. It takes some milliseconds, so call it once the
    program is set up, not in each request.
    """
    return [problem for problem in diagnose() if problem.severity != INFO]


def diagnose() -> list[Problem]:
    """Return everything that the checks find, the worst first, with what merely explains."""
    environ = dict(os.environ)
    problems = run_checks(environment.CHECKS, environ)
    try:
        from bridge._internal.doctor.checks import process_checks
        from bridge._internal.doctor.live import gather
    except Exception as error:  # importing OpenTelemetry runs what variables and entry points name
        return worst_first([*problems, _not_importable(error)])
    with guard("doctor", "what is in force could not be read"):
        problems += run_checks(process_checks(), gather(environ))
    return worst_first(problems)


def worst_first(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems by severity, otherwise in order."""
    return sorted(problems, key=lambda problem: SEVERITIES.index(problem.severity))


def _not_importable(error: Exception) -> Problem:
    return Problem(
        ERROR,
        f"OpenTelemetry cannot be imported: {type(error).__name__}: {error}",
        "Nothing of the bridge works without it.",
        "Correct what the message names: an OTEL_* variable, or a package that is broken or missing.",
        NOT_IMPORTABLE,
    )
