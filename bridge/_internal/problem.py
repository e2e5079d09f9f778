"""Problem: one thing that is wrong with a set-up, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]
ERROR: Severity = "error"
WARNING: Severity = "warning"
INFO: Severity = "info"
SEVERITIES = (ERROR, WARNING, INFO)
"""The worst first. `info` is a choice that explains why something is not there; `check_setup` leaves those out."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, why that matters and what to do about it.

    `severity` is `"error"` where something is lost, doubled or broken, `"warning"` where it is not what one would
    expect, `"info"` for a choice that explains an absence. `code` is stable, for those who pass over one on purpose.
    """

    severity: Severity
    what: str
    why: str
    fix: str
    code: str = ""
