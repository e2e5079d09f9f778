"""How often and how long to try again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge._internal.sources import chance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Retries:
    """Waits that double from `first_wait_s` to `longest_wait_s`, each cut at random by up to a half.

    At most `attempts` are made, and none begins later than `total_s` after the first. By default a server that is away
    for ten seconds costs nothing.
    """

    attempts: int = 12
    first_wait_s: float = 0.1
    longest_wait_s: float = 5.0
    total_s: float = 30.0

    def waits(self, clock: Callable[[], float], chance: Callable[[], float] = chance) -> Iterator[float]:
        """Yield how long to wait before each further attempt, until there is to be none."""
        give_up_at = clock() + self.total_s
        for retry in range(self.attempts - 1):
            longest = min(self.longest_wait_s, self.first_wait_s * 2**retry)
            wait_s = longest * (1.0 - chance() / 2)
            if clock() + wait_s > give_up_at:
                return
            yield wait_s
