"""Timestamps as Sentry's parsers take them."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_NS = 1_000_000_000
# The second that was written last, and its text: the spans of a trace are of a few seconds, and writing a date costs
# five times as much as the rest (benchmarks/export.py). Replaced whole, so that threads may share it.
_last: tuple[int, str] = (0, "1970-01-01T00:00:00")


def rfc3339(ns: int) -> str:
    """Write nanoseconds since the epoch as RFC 3339 in UTC, with microseconds."""
    global _last
    second, rest = divmod(ns, _NS)
    known, text = _last
    if second != known:
        text = (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")
        _last = (second, text)
    return f"{text}.{rest // 1000:06d}Z"


def now_rfc3339() -> str:
    """Write the time of the system clock."""
    return rfc3339(time.time_ns())
