"""The account of spans: what was started sampled is delivered, lost with a reason, or pending."""

from __future__ import annotations

import threading

from bridge.delivery.forking import reset_in_children


class SpanAccount:
    """Counts spans where they start and where they are handed over to be sent."""

    def __init__(self) -> None:
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Begin at zero: a child's books are its own."""
        self._lock = threading.Lock()  # protects both counts
        self._started = 0
        self._handed_over = 0

    def start(self) -> None:
        """Count a span that was started sampled."""
        with self._lock:
            self._started += 1

    def hand_over(self, spans: int) -> None:
        """Count spans that ended and were handed over to be sent."""
        with self._lock:
            self._handed_over += spans

    @property
    def started(self) -> int:
        """Spans that were started sampled."""
        with self._lock:
            return self._started

    @property
    def open(self) -> int:
        """Spans that were started and not handed over yet."""
        with self._lock:
            return self._started - self._handed_over
