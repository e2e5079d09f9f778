"""The one place where a fault of our own, or of a user's callback, is stopped from reaching the user's program."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_lock = threading.Lock()  # protects _counts
_counts: Counter[str] = Counter()
_reraise = False


def reraise_faults(enabled: bool) -> None:
    """Let guarded faults through. The test-suite switches this on, so that a fault fails the test that caused it."""
    global _reraise
    _reraise = enabled


def fault_counts() -> dict[str, int]:
    """Return how often each cause was stopped in this process."""
    with _lock:
        return dict(_counts)


@contextmanager
def counting_afresh() -> Iterator[None]:
    """Count from nothing for a block, so that what was logged before is logged again; the old counts come back."""
    before = fault_counts()
    with _lock:
        _counts.clear()
    try:
        yield
    finally:
        with _lock:
            _counts.clear()
            _counts.update(before)


def report_fault(room: str, cause: str, error: BaseException) -> None:
    """Count a fault and log its first occurrence; never raises.

    `room` is the package of ours it happened in, `cause` a stable sentence that names what went wrong.
    """
    with _lock:
        _counts[cause] += 1
        first = _counts[cause] == 1
    if first:
        logging.getLogger(f"bridge.{room}").error(
            "%s (further occurrences are counted, not logged)", cause, exc_info=error
        )


class guard:  # noqa: N801 - reads as a statement: `with guard("tracing", "..."):`
    """Stop an exception of our own making: `with guard("capture", "building a transaction failed"): ...`.

    What cannot be an internal fault (`KeyboardInterrupt`, `SystemExit`, `GeneratorExit`) passes.
    """

    __slots__ = ("_cause", "_room")

    def __init__(self, room: str, cause: str) -> None:
        self._room = room
        self._cause = cause

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool:
        if exc is None or not isinstance(exc, Exception):
            return False
        report_fault(self._room, self._cause, exc)
        return not _reraise
