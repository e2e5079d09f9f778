"""All checks. Those of `environment` must run even if OpenTelemetry cannot be imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal.doctor.checks import environment
from bridge._internal.doctor.checks.check import checks_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge._internal.doctor.checks.check import Check
    from bridge._internal.doctor.live import LiveSetup, Process


def environment_checks() -> list[Check[Mapping[str, str]]]:
    """Return the checks of variables, packages and import paths."""
    return checks_in(environment)


def initialisation_checks() -> list[Check[Process]]:
    """Return the checks of a process in which `init` was not called."""
    from bridge._internal.doctor.checks import initialisation

    return checks_in(initialisation)


def setup_checks() -> list[Check[LiveSetup]]:
    """Return the checks of what `init` set up."""
    from bridge._internal.doctor.checks import components, delivery_checks, neighbours, sampling_checks

    return [one for room in (components, sampling_checks, delivery_checks, neighbours) for one in checks_in(room)]


def all_checks() -> list[Check[Any]]:
    """Return every check."""
    return [*environment_checks(), *initialisation_checks(), *setup_checks()]
