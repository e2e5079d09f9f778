"""Backpressure: when delivery struggles, fewer traces are begun, until it is well again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CHECK_EVERY_S = 10.0
MAX_HALVINGS = 10


class Backpressure:
    """Says by what factor the rate of new traces is lowered: halved at each check that finds delivery unhealthy.

    The first check that finds it healthy again ends that. It is checked when it is asked, at most every
    `check_every_s`, so it needs no thread. The rule is that of Sentry's SDKs.
    """

    def __init__(
        self,
        is_healthy: Callable[[], bool],
        *,
        check_every_s: float = CHECK_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_healthy = is_healthy
        self.check_every_s = check_every_s
        self._clock = clock
        self.next_check = clock() + check_every_s
        self._halvings = 0

    def factor(self) -> float:
        """Return 1.0 while delivery is healthy, else 0.5, 0.25 and so on, at least `0.5 ** MAX_HALVINGS`."""
        now = self._clock()
        if now >= self.next_check:
            # Two threads may both come here; then it is halved once more than it had to be, once.
            self.next_check = now + self.check_every_s
            self._halvings = 0 if self._is_healthy() else min(self._halvings + 1, MAX_HALVINGS)
        return 0.5**self._halvings
