"""The list of what can be wrong. `environment` is apart, as it must run where OpenTelemetry cannot be imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.doctor.checks.checking import Check
    from bridge.doctor.live import Live


def process_checks() -> tuple[Check[Live], ...]:
    """Return the checks of what is in force in the process."""
    from bridge.doctor.checks import deciding, installed, neighbours, sending

    return installed.CHECKS + deciding.CHECKS + sending.CHECKS + neighbours.CHECKS
