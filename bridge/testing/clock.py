"""A clock that stands still until a test advances it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from bridge._internal import sources
from bridge._internal.otel_private import set_sdk_clock
from bridge._internal.tracing import provider, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class ManualClock:
    """Returns the same time until `advance` is called; for `capture(clock=...)` and other clocks in nanoseconds."""

    def __init__(self, start: datetime = _START) -> None:
        """Start at `start`, which must have a time zone, or `ValueError` is raised."""
        if start.tzinfo is None:
            raise ValueError("ManualClock: start needs a time zone, such as datetime(2026, 1, 1, tzinfo=timezone.utc)")
        self._lock = threading.Lock()  # protects _now_ns
        self._now_ns = (start - _EPOCH) // timedelta(microseconds=1) * 1000

    def __call__(self) -> int:
        """Return the time in nanoseconds since the epoch."""
        return self._now_ns

    def advance(self, seconds: float) -> None:
        """Advance the clock; spans that start or end afterwards do so that much later."""
        with self._lock:
            self._now_ns += round(seconds * 1_000_000_000)


@contextmanager
def use_clock(clock: Callable[[], int] | None) -> Iterator[None]:
    """Use a clock for spans, events and breadcrumbs within the block; `None` changes nothing."""
    if clock is None:
        yield
        return
    lean_path: list[Any] = [span, provider]  # they read a name of their own module
    names = [(module, module.time_ns) for module in lean_path]
    before = sources.set_current(replace(sources.current, time_ns=clock))
    before_in_sdk = set_sdk_clock(clock)
    for module, _ in names:
        module.time_ns = clock
    try:
        yield
    finally:
        for module, known in names:
            module.time_ns = known
        set_sdk_clock(before_in_sdk)
        sources.set_current(before)
