"""What became of everything that was recorded: delivered, or lost for a reason."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge._internal.forking import reset_in_children

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge._internal.payload import Data, Payload

QUEUE_OVERFLOW = "queue_overflow"
RATELIMIT_BACKOFF = "ratelimit_backoff"
NETWORK_ERROR = "network_error"
SEND_ERROR = "send_error"
SAMPLE_RATE = "sample_rate"
BACKPRESSURE = "backpressure"
BEFORE_SEND = "before_send"
EVENT_PROCESSOR = "event_processor"
BUFFER_OVERFLOW = "buffer_overflow"
INTERNAL_SDK_ERROR = "internal_sdk_error"


_SPAN = "span"


@dataclass(frozen=True, slots=True)
class Accounting:
    """Where the spans that were started sampled are: `started == delivered + sum(lost.values()) + pending`.

    `pending`: open, waiting for their root, queued or on their way.
    """

    started: int
    delivered: int
    lost: Mapping[str, int]
    pending: int


class Outcomes:
    """The books of one client. A forked child opens its own."""

    _lost: Counter[tuple[str, str]]
    _unreported: Counter[tuple[str, str]]
    _delivered: Counter[str]
    _started: int
    _pending: int
    _never_started: Counter[str]

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._open_books()
        reset_in_children(self)

    def spans_started(self, quantity: int) -> None:
        """Count spans that were started sampled; they are pending until they are delivered or lost."""
        with self._lock:
            self._started += quantity
            self._pending += quantity

    def lost(
        self, reason: str, category: str, quantity: int = 1, *, report: bool = True, was_started: bool = True
    ) -> None:
        """Count a loss. `report=False` keeps it from client reports: for what the server has counted itself.

        `was_started=False` is for spans that `spans_started` did not count.
        """
        if quantity <= 0:
            return
        with self._lock:
            self._lost[reason, category] += quantity
            if report:
                self._unreported[reason, category] += quantity
            if category == _SPAN:
                if was_started:
                    self._pending -= quantity
                else:
                    self._never_started[reason] += quantity

    def delivered(self, category: str, quantity: int = 1) -> None:
        """Count what the server took."""
        if quantity <= 0:
            return
        with self._lock:
            self._delivered[category] += quantity
            if category == _SPAN:
                self._pending -= quantity

    def accounting(self) -> Accounting:
        """Return where the spans are that were started sampled, all as of one moment."""
        with self._lock:
            lost = Counter(self.lost_of(_SPAN))
            lost.subtract(self._never_started)
            return Accounting(self._started, self._delivered[_SPAN], dict(+lost), self._pending)

    def take_report(self) -> Payload | None:
        """Return the payload of a client report on the losses since the last one; `None` if there were none."""
        timestamp = self._clock()
        with self._lock:
            unreported, self._unreported = self._unreported, Counter()
        if not unreported:
            return None
        discarded = [
            {"reason": reason, "category": category, "quantity": quantity}
            for (reason, category), quantity in sorted(unreported.items())
        ]
        return {"timestamp": timestamp, "discarded_events": discarded}

    def restore(self, report: Data) -> None:
        """Put a report that could not be sent back, to go with the next."""
        with self._lock:
            for entry in report["discarded_events"]:
                self._unreported[entry["reason"], entry["category"]] += entry["quantity"]

    def delivered_of(self, category: str) -> int:
        """Return how much of a category was delivered."""
        with self._lock:
            return self._delivered[category]

    def lost_of(self, category: str) -> dict[str, int]:
        """Return how much of a category was lost, by reason."""
        with self._lock:
            return {reason: quantity for (reason, counted), quantity in self._lost.items() if counted == category}

    def reset_after_fork(self) -> None:
        self._open_books()

    def _open_books(self) -> None:
        # Re-entrant, because a signal handler or a finalizer may lose something while its thread counts.
        self._lock = threading.RLock()  # protects the counters
        self._lost = Counter()
        self._unreported = Counter()
        self._delivered = Counter()
        self._started = 0
        self._pending = 0
        self._never_started = Counter()
