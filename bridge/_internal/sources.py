"""Where time, ids and chance come from. `bridge.testing` puts others in place, for a block.

All ids of traces and spans come from the generator of the provider in use, those that no span has too. The spans' times
come from the name `time_ns` in `bridge._internal.tracing.span` and `bridge._internal.tracing.provider`, so that spans
pay nothing for it.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_random = random.Random()  # not the program's own, which a program may seed, and whose numbers it may count on
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


def chance() -> float:
    """Return a random number in [0, 1)."""
    return _random.random()


class Ids(Protocol):
    """What makes ids: an `IdGenerator` of OpenTelemetry's SDK."""

    def generate_trace_id(self) -> int:
        """Return a trace id that is not zero."""

    def generate_span_id(self) -> int:
        """Return a span id that is not zero."""


class RandomIds:
    """Makes ids that nothing in the program can repeat: seeded by the system, again in each forked child."""

    def generate_trace_id(self) -> int:
        """Return a random trace id that is not zero."""
        return _random.getrandbits(128) or 1

    def generate_span_id(self) -> int:
        """Return a random span id that is not zero."""
        return _random.getrandbits(64) or 1

    def is_trace_id_random(self) -> bool:
        """Whether samplers may go by the trace id: they may."""
        return True


def random_event_id() -> str:
    """Return a random event id, 32 lower-case hex digits."""
    return uuid.uuid4().hex


DEFAULT_IDS = RandomIds()


@dataclass(frozen=True, slots=True)
class Sources:
    """The clock, and what makes the ids of traces and spans, of errors and of transactions."""

    time_ns: Callable[[], int] = time.time_ns
    ids: Ids = DEFAULT_IDS
    error_id: Callable[[], str] = random_event_id
    transaction_id: Callable[[], str] = random_event_id


current = Sources()


def set_current(sources: Sources) -> Sources:
    """Replace the sources; returns the previous ones."""
    global current
    before, current = current, sources
    return before


def set_ids(ids: Ids | None) -> None:
    """Take the ids of what no span has started from a provider's generator, or by default."""
    set_current(replace(current, ids=ids or DEFAULT_IDS))
