"""Where the time and the ids of what is sent come from. `bridge.testing` puts others in place, for a block.

The spans' own ids come from the provider's id generator, and their times from the name `time_ns` in
`bridge._internal.tracing.span` and `bridge._internal.tracing.provider`, so that spans pay nothing for it.
"""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def random_trace_id() -> int:
    """Return a random trace id that is not zero."""
    return random.getrandbits(128) or 1


def random_span_id() -> int:
    """Return a random span id that is not zero."""
    return random.getrandbits(64) or 1


def random_event_id() -> str:
    """Return a random event id, 32 lower-case hex digits."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Sources:
    """The clock, and what makes the ids of traces that no span has started, of errors and of transactions."""

    time_ns: Callable[[], int] = time.time_ns
    trace_id: Callable[[], int] = random_trace_id
    span_id: Callable[[], int] = random_span_id
    error_id: Callable[[], str] = random_event_id
    transaction_id: Callable[[], str] = random_event_id


current = Sources()


def set_current(sources: Sources) -> Sources:
    """Replace the sources; returns the previous ones."""
    global current
    before, current = current, sources
    return before
