"""OpenSegments: the local roots that have not ended, so that none is forgotten."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from bridge._internal.forking import reset_in_children

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge._internal.tracing.segment import Segment

MAX_OPEN = 10_000
MAX_AGE_S = 24 * 3600.0
_LOOKS_PER_AGE = 1440


class OpenSegments:
    """Knows every local root that is open, the oldest first.

    Past `max_open` of them, or when one is open for longer than `max_age_s`, the oldest is evicted: its spans are
    counted as lost. Both bounds are checked when another root starts (age once a minute), so it costs no thread and no
    timer. In a forked child all of them are the parent's.
    """

    def __init__(
        self, *, max_open: int = MAX_OPEN, max_age_s: float = MAX_AGE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_open = max_open
        self._max_age_s = max_age_s
        self._clock = clock
        self._since: OrderedDict[Segment, float] = OrderedDict()
        self._next_look = 0.0  # for roots that are too old
        self._begin_anew()
        reset_in_children(self)

    def add(self, segment: Segment) -> None:
        """Add a root that has started; evict those beyond the bounds."""
        now = self._clock()
        with self._lock:
            self._since[segment] = now
        if now >= self._next_look or len(self._since) > self._max_open:
            self._evict(now)

    def _evict(self, now: float) -> None:
        evicted = []
        with self._lock:
            self._next_look = now + self._max_age_s / _LOOKS_PER_AGE
            while self._since and (
                len(self._since) > self._max_open or now - next(iter(self._since.values())) > self._max_age_s
            ):
                evicted.append(self._since.popitem(last=False)[0])
        for oldest in evicted:
            if oldest.waits:
                oldest.settle()
            else:
                oldest.abandon()

    def discard(self, segment: Segment) -> None:
        """Forget a root that has ended."""
        with self._lock:
            self._since.pop(segment, None)

    def all(self) -> list[Segment]:
        """Return those that are open now, the oldest first."""
        with self._lock:
            return list(self._since)

    def abandon_all(self) -> None:
        """Count the spans of all open roots as lost: they will not be sent any more."""
        for segment in self.all():
            self.discard(segment)
            segment.abandon()

    def reset_after_fork(self) -> None:
        """Leave to the parent what is the parent's."""
        for segment in list(self._since):
            segment.leave_to_parent()
        self._begin_anew()

    def _begin_anew(self) -> None:
        # Re-entrant, because a signal handler or a finalizer may start a span while its thread does.
        self._lock = threading.RLock()  # protects _since
        self._since = OrderedDict()
