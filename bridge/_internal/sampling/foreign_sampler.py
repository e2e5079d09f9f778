"""Following: what the decision of another OpenTelemetry sampler means for Sentry, and two decisions side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.sampling import Decision as OtelDecision
from opentelemetry.sdk.trace.sampling import ParentBased, StaticSampler, TraceIdRatioBased

from bridge._internal.otel_private import root_sampler
from bridge._internal.sampling.decision import Decision
from bridge._internal.sampling.sampler import randomness_of
from bridge._internal.wire.sample_rand import backfill_sample_rand, format_sample_rand
from bridge._internal.wire.tracestate import (
    OTEL_MEMBER,
    SENTRY_MEMBER,
    parse_ot_member,
    parse_sentry_member,
    rate_for_threshold,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
    from opentelemetry.trace.span import TraceState

    from bridge._internal.sampling.upstream import Upstream

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
    return Decision(
        ours.sampled,
        ours.sample_rand,
        ours.sample_rate,
        overrides=ours.overrides,
        record=ours.sampled is True or result.decision is not OtelDecision.DROP,
        flag=result.decision is OtelDecision.RECORD_AND_SAMPLE,
        trace_state=result.trace_state,
    )
