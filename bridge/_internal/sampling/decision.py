"""Decision: what was decided for a local root, and how it is written: DSC and trace state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace.span import TraceState

from bridge._internal.wire.baggage import Dsc
from bridge._internal.wire.tracestate import (
    MAX_MEMBERS,
    OTEL_MEMBER,
    SENTRY_MEMBER,
    OtState,
    SentryState,
    format_ot_member,
    format_sentry_member,
    parse_ot_member,
)

if TYPE_CHECKING:
    from bridge._internal.options import Options
    from bridge._internal.sampling.upstream import Sampled


class Decision:
    """What was decided for a local root, and by which numbers.

    `sampled` is Sentry's decision, `flag` OpenTelemetry's: they differ where another sampler decides beside Sentry's.
    `overrides`: the decision was made here against, or in the place of, an upstream's, so a continued DSC says so.
    `lowered`: it would have been sampled, had the rate not been lowered for the sake of a struggling delivery.
    `threshold` is set where OpenTelemetry's rule (`R >= T`) says the same, and replaces an upstream's, by none if there
    is none, where `writes_threshold` is; `random_value` is that rule's R where it is not the trace id's and no member
    says so yet. `trace_state` is what another sampler made of the upstream's.
    """

    sampled: Sampled
    sample_rate: float | None
    record: bool
    flag: bool
    overrides = False
    lowered = False
    writes_threshold = False
    random_value: int | None = None
    trace_state: TraceState | None = None
    _sample_rand: str
    _threshold: int | None = None

    def __init__(
        self,
        sampled: Sampled,
        sample_rand: str,
        sample_rate: float | None = None,
        *,
        overrides: bool = False,
        record: bool | None = None,
        flag: bool | None = None,
        threshold: int | None = None,
        writes_threshold: bool = False,
        random_value: int | None = None,
        trace_state: TraceState | None = None,
    ) -> None:
        self.sampled = sampled
        self._sample_rand = sample_rand
        self.sample_rate = sample_rate
        self.overrides = overrides
        self.record = (sampled is True) if record is None else record
        self.flag = (sampled is True and self.record) if flag is None else flag
        self._threshold = threshold
        self.writes_threshold = writes_threshold
        self.random_value = random_value
        self.trace_state = trace_state

    @property
    def sample_rand(self) -> str:
        """The trace's number in [0, 1), as it is written."""
        return self._sample_rand

    @property
    def threshold(self) -> int | None:
        """OpenTelemetry's rejection threshold, if its rule says the same."""
        return self._threshold


def format_sampled(sampled: bool) -> str:
    """Write a decision as a DSC has it."""
    return "true" if sampled else "false"


def base_dsc(trace_id: int, sample_rand: str, options: Options) -> Dsc:
    """Return the DSC for what is sent with no span: no transaction, no rate, no decision."""
    dsc = Dsc(trace_id=f"{trace_id:032x}")
    if options.dsn is not None:
        dsc["public_key"] = options.dsn.public_key
    if options.release:
        dsc["release"] = options.release
    dsc["environment"] = options.environment
    if options.effective_org_id:
        dsc["org_id"] = options.effective_org_id
    dsc["sample_rand"] = sample_rand
    return dsc


def trace_state_for(decision: Decision, others: TraceState | None) -> TraceState:
    """Return the trace state that says this decision, before the members of others.

    Where Sentry's sampler decided, OpenTelemetry's own member says the same (`ot=th:`), or nothing: an upstream's
    threshold does not hold any more. A `sample_rand` that a Sentry SDK drew is told to OpenTelemetry's samplers as
    `ot=rv:`, so that those further on keep the same traces.
    """
    ours = format_sentry_member(SentryState(decision.sampled, decision.sample_rate, decision.sample_rand))
    members = {SENTRY_MEMBER: ours}
    theirs = dict(others or {})
    if decision.writes_threshold or decision.random_value is not None:
        before = parse_ot_member(theirs.pop(OTEL_MEMBER, ""))
        threshold = decision.threshold if decision.writes_threshold else before.threshold
        random_value = decision.random_value if before.random_value is None else before.random_value
        if ot := format_ot_member(OtState(threshold, random_value, before.rest)):
            members[OTEL_MEMBER] = ot
    for key, value in theirs.items():
        members.setdefault(key, value)
    return TraceState(list(members.items())[:MAX_MEMBERS])
