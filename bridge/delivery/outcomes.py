"""Outcomes: what was delivered and what was lost, and why; told to Sentry in client reports."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Reasons that Sentry knows.
BACKPRESSURE = "backpressure"
BEFORE_SEND = "before_send"
BUFFER_OVERFLOW = "buffer_overflow"
EVENT_PROCESSOR = "event_processor"
INTERNAL_SDK_ERROR = "internal_sdk_error"
NETWORK_ERROR = "network_error"
QUEUE_OVERFLOW = "queue_overflow"
RATELIMIT_BACKOFF = "ratelimit_backoff"
SAMPLE_RATE = "sample_rate"
SEND_ERROR = "send_error"


class Outcomes:
    """Counts by reason and category, for the account and for the next client report."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # protects the three below
        self._delivered: Counter[str] = Counter()
        self._lost: Counter[tuple[str, str]] = Counter()
        self._unreported: Counter[tuple[str, str]] = Counter()

    def delivered(self, category: str, quantity: int = 1) -> None:
        """Count what the other side took."""
        with self._lock:
            self._delivered[category] += quantity

    def lost(self, reason: str, category: str, quantity: int = 1) -> None:
        """Count what will not arrive."""
        if quantity > 0:
            with self._lock:
                self._lost[reason, category] += quantity
                self._unreported[reason, category] += quantity

    def take_report(self) -> dict[str, Any] | None:
        """Return the client report of what was lost since the last one; `None` if nothing was."""
        with self._lock:
            taken, self._unreported = self._unreported, Counter()
        if not taken:
            return None
        discarded = [
            {"reason": reason, "category": category, "quantity": quantity}
            for (reason, category), quantity in sorted(taken.items())
        ]
        return {"timestamp": time.time(), "discarded_events": discarded}

    def restore(self, report: Mapping[str, Any]) -> None:
        """Put a report back that could not be sent: it goes with the next one."""
        with self._lock:
            for row in report["discarded_events"]:
                self._unreported[row["reason"], row["category"]] += row["quantity"]

    def delivered_of(self, category: str) -> int:
        """Return how much of a category was delivered."""
        with self._lock:
            return self._delivered[category]

    def lost_of(self, category: str) -> dict[str, int]:
        """Return how much of a category was lost, by reason."""
        with self._lock:
            return {reason: n for (reason, of), n in sorted(self._lost.items()) if of == category}
