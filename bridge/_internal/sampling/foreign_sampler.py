"""Another OpenTelemetry sampler: what its decision means for Sentry, or Sentry's own among what it records."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.sdk.trace.sampling import Decision as OtelDecision
from opentelemetry.sdk.trace.sampling import ParentBased, StaticSampler, TraceIdRatioBased

from bridge._internal.otel_private import root_sampler
from bridge._internal.sampling.decision import Decision
from bridge._internal.sampling.sampler import SentrySampler, decide_by_rate, randomness_of
from bridge._internal.wire.sample_rand import (
    RANDOM_BITS,
    agreeing_sample_rand,
    backfill_sample_rand,
    format_sample_rand,
    sample_rand_from_random_bits,
)
from bridge._internal.wire.tracestate import (
    OTEL_MEMBER,
    SENTRY_MEMBER,
    is_kept,
    parse_ot_member,
    parse_sentry_member,
    rate_for_threshold,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
    from opentelemetry.trace.span import TraceState

    from bridge._internal.sampling.sampler import SpanStart
    from bridge._internal.sampling.upstream import Upstream

_SPARE_BITS = 64 - RANDOM_BITS
_STATIC_RATES = {"AlwaysOnSampler": 1.0, "AlwaysOffSampler": 0.0}


def sampler_rate(sampler: Sampler | None, *, at_head: bool) -> float | None:
    """Return the rate that a sampler keeps heads, or continued traces, at; `None` where it cannot be known."""
    if isinstance(sampler, TraceIdRatioBased):
        return sampler.rate
    if isinstance(sampler, StaticSampler):
        return _STATIC_RATES.get(sampler.get_description())
    if isinstance(sampler, ParentBased) and at_head:
        return sampler_rate(root_sampler(sampler), at_head=True)
    return None


def foreign_decision(
    sampled: bool,
    *,
    trace_id: int,
    upstream: Upstream | None,
    sampler: Sampler | None,
    trace_state: TraceState | None,
    record: bool,
) -> Decision:
    """Return the decision of another sampler as Sentry's, with the numbers that say the same.

    A decision that repeats the upstream's leaves everything as it came. Else `sample_rate` is the sampler's where it
    can be known and agrees with the trace's `sample_rand`; a head that is decided by another rule than ours gets a
    `sample_rand` that agrees.
    """
    rand, bits = randomness_of(trace_id, upstream)[:2]
    if upstream is not None and upstream.sampled is sampled:
        return Decision(sampled, rand, upstream.sample_rate, record=record, trace_state=trace_state)
    written_rate, written_rand = _numbers_in(trace_state)
    rate = sampler_rate(sampler, at_head=upstream is None) if written_rate is None else written_rate
    if upstream is None:
        rand = written_rand or rand
        if rate is not None and (float(rand) < rate) is not sampled:
            agreeing = backfill_sample_rand(bits, sampled, rate)
            rand, rate = (rand, None) if agreeing is None else (format_sample_rand(agreeing), rate)
    elif rate is None or (float(rand) < rate) is not sampled:
        rate = 1.0 if sampled else 0.0
    return Decision(sampled, rand, rate, overrides=True, record=record, trace_state=trace_state)


def _numbers_in(trace_state: TraceState | None) -> tuple[float | None, str | None]:
    """Return rate and rand as a sampler of ours, or one of OpenTelemetry's consistent ones, wrote them."""
    members: Mapping[str, str] = trace_state or {}
    ours = parse_sentry_member(members.get(SENTRY_MEMBER) or "")
    if ours is not None:
        return ours.sample_rate, ours.sample_rand
    threshold = parse_ot_member(members.get(OTEL_MEMBER) or "").threshold
    return None if threshold is None else rate_for_threshold(threshold), None


def decision_from_result(
    result: SamplingResult, sampler: Sampler, trace_id: int, upstream: Upstream | None
) -> Decision:
    """Return what another sampler's result for a local root means: one decision for both sides."""
    return foreign_decision(
        result.decision is OtelDecision.RECORD_AND_SAMPLE,
        trace_id=trace_id,
        upstream=upstream,
        sampler=sampler,
        trace_state=result.trace_state,
        record=result.decision is not OtelDecision.DROP,
    )


def independent_decisions(ours: Decision, result: SamplingResult) -> Decision:
    """Return two decisions: Sentry's, and another sampler's on what OpenTelemetry records and flags."""
    return _beside(
        ours,
        flag=result.decision is OtelDecision.RECORD_AND_SAMPLE,
        record=ours.sampled is True or result.decision is not OtelDecision.DROP,
        trace_state=result.trace_state,
    )


def _beside(ours: Decision, *, flag: bool, record: bool, trace_state: TraceState | None) -> Decision:
    both = Decision(
        ours.sampled,
        ours.sample_rand,
        ours.sample_rate,
        overrides=ours.overrides,
        record=record,
        flag=flag,
        trace_state=trace_state,
    )
    both.lowered = ours.lowered
    return both


def is_sentrys(sampler: Sampler | None) -> bool:
    """Whether it is Sentry's sampler that decides about heads, by itself or as the root of a `ParentBased`."""
    return isinstance(sampler, SentrySampler) or (
        isinstance(sampler, ParentBased) and is_sentrys(root_sampler(sampler))
    )


def has_decided_for_sentry(sampler: Sampler | None, trace_state: TraceState, upstream: Upstream | None) -> bool:
    """Whether a recorded span's own sampler was Sentry's: it is that, or it wrote our member of the trace state."""
    if is_sentrys(sampler):
        return True
    before = None if upstream is None else upstream.trace_state
    written = trace_state.get(SENTRY_MEMBER)
    return written is not None and (before is None or before.get(SENTRY_MEMBER) != written)


def decision_among_recorded(
    ours: SentrySampler, start: SpanStart, *, sampler: Sampler | None, flag: bool, trace_state: TraceState
) -> Decision:
    """Return Sentry's decision for a root that another sampler let be recorded, beside OpenTelemetry's `flag`."""
    recorded = _recorded_by(sampler, start, trace_state)
    by_rate = decide_by_rate if recorded is None else partial(_decide_among, recorded)
    return _beside(ours.decide(start, by_rate), flag=flag, record=True, trace_state=trace_state)


class _Recorded(NamedTuple):
    """Which traces another sampler records: those that OpenTelemetry's rule keeps at `ratio`, going by `bits`.

    So the ones that the rule keeps at a part of `ratio` are that part of them, and the same for each trace.
    """

    ratio: float
    bits: int


def _recorded_by(sampler: Sampler | None, start: SpanStart, trace_state: TraceState) -> _Recorded | None:
    """Return what a sampler records; `None` where Sentry decides as it does on our own provider.

    That is where everything is recorded, and in a trace that was continued, of which the upstream's numbers tell.
    OpenTelemetry's consistent samplers go by its rule. `TraceIdRatioBased` keeps the low ids, and by 64 bits. What
    another sampler goes by is not known: then it is by bits that have nothing to do with it.
    """
    upstream, trace_id = start.upstream, start.trace_id
    random = randomness_of(trace_id, upstream)
    if random.is_given or (upstream is not None and isinstance(sampler, ParentBased)):
        return None
    threshold = parse_ot_member(trace_state.get(OTEL_MEMBER) or "").threshold
    if threshold is not None and (upstream is None or upstream.ot is None or upstream.ot.threshold != threshold):
        return _Recorded(rate_for_threshold(threshold), random.bits)
    ratio = sampler_rate(sampler, at_head=True)
    if ratio in (0.0, 1.0):
        return None
    if ratio is not None:
        return _Recorded(ratio, (1 << RANDOM_BITS) - 1 - ((trace_id & TraceIdRatioBased.TRACE_ID_LIMIT) >> _SPARE_BITS))
    digest = hashlib.blake2b(trace_id.to_bytes(16, "big"), digest_size=RANDOM_BITS // 8).digest()
    return _Recorded(1.0, int.from_bytes(digest, "big"))


def _decide_among(recorded: _Recorded, trace_id: int, rate: float, upstream: Upstream | None) -> Decision:
    share = rate if recorded.ratio == 1.0 else float(f"{recorded.ratio * rate:.9g}")
    sampled = rate >= 1.0 or is_kept(recorded.bits, share)
    rand = format_sample_rand(sample_rand_from_random_bits(recorded.bits))
    return Decision(sampled, agreeing_sample_rand(rand, sampled, share), share, overrides=True)
