"""What the server asked us not to send, and for how long."""

from __future__ import annotations

import math
import threading
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from bridge._internal.forking import reset_in_children

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LIMITS_HEADER = "x-sentry-rate-limits"
RETRY_AFTER_HEADER = "retry-after"
TOO_MANY_REQUESTS = 429
DEFAULT_BACKOFF_S = 60.0

_ALL = ""  # the key of a limit that names no category


class RateLimits:
    """The limits in force, by category. Reading takes no lock."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock  # only to understand a Retry-After that is a date
        self._lock = threading.Lock()  # protects the replacing of _until, a dict that is never changed in place
        self._until: dict[str, float] = {}
        reset_in_children(self)

    def update(self, status: int, headers: Mapping[str, str]) -> None:
        """Take in a response, of any status."""
        limits = list(parse_rate_limits(_header(headers, LIMITS_HEADER)))
        if not limits and status == TOO_MANY_REQUESTS:
            retry_after = parse_retry_after(_header(headers, RETRY_AFTER_HEADER), self._wall_clock())
            limits = [(DEFAULT_BACKOFF_S if retry_after is None else retry_after, _ALL)]
        if limits:
            self._extend(limits)

    def is_limited(self, category: str) -> bool:
        """Say whether items of this category are to be dropped now."""
        until = self._until
        if not until:
            return False
        return self._clock() < max(until.get(category, -math.inf), until.get(_ALL, -math.inf))

    def any_limited(self) -> bool:
        """Say whether any category is limited now."""
        now = self._clock()
        return any(now < until for until in self._until.values())

    def reset_after_fork(self) -> None:
        self._lock = threading.Lock()

    def _extend(self, limits: list[tuple[float, str]]) -> None:
        now = self._clock()
        with self._lock:
            until = {category: at for category, at in self._until.items() if at > now}
            for seconds, category in limits:
                until[category] = max(until.get(category, now), now + seconds)
            self._until = until


def parse_rate_limits(header: str) -> Iterator[tuple[float, str]]:
    """Yield (seconds, category) for each well-formed part; the category is empty where a part limits everything."""
    for part in header.split(","):
        seconds_text, _, rest = part.partition(":")
        seconds = _seconds(seconds_text)
        if seconds is None:
            continue
        named = rest.partition(":")[0]
        categories = [name for name in (name.strip() for name in named.split(";")) if name]
        for category in categories or [_ALL]:
            yield seconds, category


def parse_retry_after(header: str, now_epoch_s: float) -> float | None:
    """Return the seconds that a `Retry-After` asks for, whether it gives seconds or a date; `None` if neither."""
    seconds = _seconds(header)
    if seconds is not None:
        return seconds
    try:
        at_epoch_s = parsedate_to_datetime(header.strip()).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, at_epoch_s - now_epoch_s)


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if value is None:
        value = next((value for key, value in headers.items() if key.lower() == name), "")
    return value
