"""The list of what can be wrong. `environment` is apart, as it must run where OpenTelemetry cannot be imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge._internal.doctor.checks.check import Check
    from bridge._internal.doctor.live import Live


def process_checks() -> tuple[Check[Live], ...]:
    """Return the checks of what is in force in the process."""
    from bridge._internal.doctor.checks import (
        components,
        delivery_checks,
        neighbours,
        sampling_checks,
        sentry_sdk_checks,
    )

    return (
        components.CHECKS
        + sampling_checks.CHECKS
        + delivery_checks.CHECKS
        + neighbours.CHECKS
        + sentry_sdk_checks.CHECKS
    )
