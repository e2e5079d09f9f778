"""Rate limits: what the other side said it does not want for a while."""

from __future__ import annotations

import threading
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ALL = ""
_DEFAULT_S = 60.0
_LONGEST_S = 86_400.0 * 30


class RateLimits:
    """Deadlines by category; the longest wins."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()  # protects _until
        self._until: dict[str, float] = {}

    def update(self, status: int, headers: Mapping[str, str]) -> None:
        """Take note of a response: `X-Sentry-Rate-Limits` on any status, else `Retry-After` with a 429."""
        limits = headers.get("x-sentry-rate-limits")
        if limits:
            for limit in limits.split(","):
                self._add(limit)
        elif status == 429:
            self._limit(_ALL, self._retry_after(headers.get("retry-after")))

    def _add(self, limit: str) -> None:
        seconds, _, rest = limit.strip().partition(":")
        parsed = _seconds(seconds)
        if parsed is not None:
            for category in rest.partition(":")[0].split(";"):
                self._limit(category.strip(), parsed)

    def _retry_after(self, value: str | None) -> float:
        parsed = _seconds(value or "")
        if parsed is not None:
            return parsed
        try:
            return max(0.0, parsedate_to_datetime(value or "").timestamp() - self._wall())
        except (TypeError, ValueError):
            return _DEFAULT_S

    def _limit(self, category: str, seconds: float) -> None:
        until = self._clock() + min(seconds, _LONGEST_S)
        with self._lock:
            self._until[category] = max(until, self._until.get(category, 0.0))

    def is_limited(self, category: str) -> bool:
        """Whether this category, or everything, is not wanted now."""
        now = self._clock()
        with self._lock:
            return any(self._until.get(name, 0.0) > now for name in (_ALL, category))


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
