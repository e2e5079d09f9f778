"""The report on a set of headers: facts, findings and the outcome."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kind = Literal["malformed", "limit", "disagreement"]
DECISIONS: Mapping[bool | None, str] = {True: "sampled", False: "not sampled", None: "deferred: the receiver decides"}


@dataclass(frozen=True, slots=True)
class Fact:
    """One part of a header: its name, value and meaning."""

    name: str
    value: str
    meaning: str
    well_formed: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with headers, and its effect on a receiver."""

    kind: Kind
    headers: tuple[str, ...]
    what: str
    effect: str


@dataclass(frozen=True, slots=True)
class Explained:
    """One header: its parts, and findings about it alone."""

    name: str
    value: str
    size: str = ""
    facts: Sequence[Fact] = ()
    problems: Sequence[Finding] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What bridge does with a request that has these headers.

    `continues` names the header whose trace is continued; `None` starts a new trace. `sampled` is `None` if the
    receiver's own rate decides; otherwise `sends_on` has the headers of an outgoing request.
    """

    continues: str | None = None
    trace_id: str | None = None
    parent_span_id: str | None = None
    sampled: bool | None
    why: str
    sample_rand: str | None = None
    sample_rate: float | None = None
    user_baggage: Mapping[str, str]
    sends_on: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """The complete report."""

    headers: Sequence[Explained]
    problems: Sequence[Finding]
    outcome: Outcome

    @property
    def is_fine(self) -> bool:
        """Whether nothing is malformed, too large or in conflict."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "fine": self.is_fine,
            "headers": {
                one.name: {"value": one.value, "facts": [asdict(fact) for fact in one.facts]} for one in self.headers
            },
            "problems": [asdict(problem) for problem in self.problems],
            "outcome": asdict(self.outcome),
        }


def share(rate: float) -> str:
    """Format a rate as a percentage."""
    return f"{rate * 100:.6g} %"


def malformed(header: str, what: str, effect: str) -> Finding:
    """Return a finding about a malformed header."""
    return Finding("malformed", (header,), what, effect)
