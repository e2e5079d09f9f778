"""What became of one category, for one assertion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge._internal.delivery.outcomes import Outcomes


@dataclass(frozen=True, slots=True)
class Totals:
    """What was delivered, and what was lost by reason."""

    delivered: int
    lost: Mapping[str, int]

    @property
    def lost_in_all(self) -> int:
        return sum(self.lost.values())


def totals_of(outcomes: Outcomes, category: str = "span") -> Totals:
    """Return what became of a category since the start, reported or not."""
    return Totals(outcomes.delivered_of(category), outcomes.lost_of(category))
