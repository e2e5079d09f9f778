"""The decision: whether a local root and all below it are sampled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace.sampling import Decision as OtelDecision
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult

from bridge._guard import report_fault
from bridge.propagation.sample_rand import (
    RANDOM_BITS,
    agreeing_sample_rand,
    backfill_sample_rand,
    format_sample_rand,
    sample_rand_from_random_bits,
)
from bridge.propagation.tracestate import is_kept, threshold_for_rate
from bridge.tracing.segment import Decision, trace_state_for
from bridge.tracing.upstream import Sampled, Upstream, upstream_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind
    from opentelemetry.trace.span import TraceState

    from bridge.options import TracesSampler

_RANDOM_MASK = (1 << RANDOM_BITS) - 1
_NO_ATTRIBUTES: Mapping[str, Any] = {}


@dataclass(slots=True)
class RootStart:
    """What is known when a local root starts."""

    trace_id: int
    name: str
    kind: SpanKind
    attributes: Mapping[str, Any] | None = None
    upstream: Upstream | None = None
    op: str | None = None
    source: str | None = None
    origin: str | None = None
    sampled: bool | None = None


def random_bits(trace_id: int, upstream: Upstream | None) -> int:
    """Return the 56 bits that decide for this trace: `rv` of the `ot` trace-state member, else the trace id's."""
    ot = None if upstream is None else upstream.ot
    if ot is not None and ot.random_value is not None:
        return ot.random_value
    return trace_id & _RANDOM_MASK


def sample_rand_for(trace_id: int, upstream: Upstream | None) -> str:
    """Return the trace's `sample_rand`: the upstream's own, else one that agrees with its decision, else the head's."""
    given = _given_sample_rand(trace_id, upstream)
    return given or format_sample_rand(sample_rand_from_random_bits(random_bits(trace_id, upstream)))


def _given_sample_rand(trace_id: int, upstream: Upstream | None) -> str | None:
    """Return what the upstream said, or what its decision at its rate leaves open; `None` where it said neither."""
    if upstream is None or upstream.sample_rand is not None:
        return None if upstream is None else upstream.sample_rand
    if upstream.sampled is None or upstream.sample_rate is None:
        return None
    fitting = backfill_sample_rand(random_bits(trace_id, upstream), upstream.sampled, upstream.sample_rate)
    return None if fitting is None else format_sample_rand(fitting)


def decide_by_rate(trace_id: int, rate: float, upstream: Upstream | None) -> Decision:
    """Decide at a rate: by the upstream's `sample_rand` if there is one, else as OpenTelemetry's samplers do.

    `sample_rand < sample_rate <=> sampled` holds either way.
    """
    bits = random_bits(trace_id, upstream)
    kept = is_kept(bits, rate)
    given = _given_sample_rand(trace_id, upstream)
    if given is not None:
        sampled, rand = float(given) < rate, given
    else:
        sampled = kept
        rand = agreeing_sample_rand(format_sample_rand(sample_rand_from_random_bits(bits)), kept, rate)
    threshold = threshold_for_rate(rate) if sampled and kept else None
    return Decision(sampled, rand, rate, overrides=True, threshold=threshold, writes_threshold=True)


class SentrySampler(Sampler):
    """Decides for local roots: explicit `sampled=`, then `traces_sampler`, then the parent's decision, then the rate.

    With neither rate nor sampler, tracing is off: nothing is recorded and a decision from upstream is kept as it is.
    A `traces_sampler` that raises or returns something else than a bool or a number in [0, 1] is logged once, and the
    next rule decides. Always `sample_rand < sample_rate <=> sampled`.
    """

    def __init__(self, traces_sample_rate: float | None = None, traces_sampler: TracesSampler | None = None) -> None:
        self.traces_sample_rate = traces_sample_rate
        self.traces_sampler = traces_sampler

    @property
    def enabled(self) -> bool:
        """Whether anything was set to decide by."""
        return self.traces_sample_rate is not None or self.traces_sampler is not None

    def decide(self, start: RootStart) -> Decision:
        """Return the decision for a local root."""
        upstream = start.upstream
        parent_sampled = None if upstream is None else upstream.sampled
        if not self.enabled:
            rand = sample_rand_for(start.trace_id, upstream)
            return Decision(parent_sampled, rand, record=False, flag=parent_sampled is True)
        if start.sampled is not None:
            return decide_by_rate(start.trace_id, 1.0 if start.sampled else 0.0, upstream)
        if self.traces_sampler is not None:
            rate = self._ask(self.traces_sampler, start)
            if rate is not None:
                return decide_by_rate(start.trace_id, rate, upstream)
        if upstream is not None and parent_sampled is not None:
            return Decision(parent_sampled, sample_rand_for(start.trace_id, upstream), upstream.sample_rate)
        return decide_by_rate(start.trace_id, self.traces_sample_rate or 0.0, upstream)

    @staticmethod
    def _ask(traces_sampler: TracesSampler, start: RootStart) -> float | None:
        try:
            answer = traces_sampler(_sampling_context(start))
        except Exception as error:  # a user's callback
            report_fault("tracing", "traces_sampler raised; the next rule decided", error)
            return None
        if isinstance(answer, bool | int | float) and math.isfinite(answer) and 0 <= answer <= 1:
            return float(answer)
        if answer is not None:
            report_fault(
                "tracing",
                "traces_sampler returned something else than a bool or a number in [0, 1]; the next rule decided",
                TypeError(f"traces_sampler returned {answer!r}"),
            )
        return None

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide for an OpenTelemetry provider that is not ours; children follow their parent."""
        parent = trace_api.get_current_span(parent_context)
        upstream = upstream_of(parent)
        if upstream is not None and not parent.get_span_context().is_remote:
            return self._follow(upstream.sampled, attributes, upstream.trace_state)
        start = RootStart(trace_id, name, kind or trace_api.SpanKind.INTERNAL, attributes, upstream)
        decision = self.decide(start)
        others = None if upstream is None else upstream.trace_state
        state = trace_state_for(decision, others)
        return self._follow(decision.sampled if decision.record else False, attributes, state)

    @staticmethod
    def _follow(
        sampled: Sampled, attributes: Mapping[str, Any] | None, trace_state: TraceState | None
    ) -> SamplingResult:
        decision = OtelDecision.RECORD_AND_SAMPLE if sampled is True else OtelDecision.DROP
        return SamplingResult(decision, attributes, trace_state)

    def get_description(self) -> str:
        """Return what OpenTelemetry shows of this sampler."""
        how = "traces_sampler" if self.traces_sampler is not None else str(self.traces_sample_rate)
        return f"SentrySampler{{{how}}}"


def _sampling_context(start: RootStart) -> dict[str, Any]:
    upstream = start.upstream
    return {
        "name": start.name,
        "op": start.op,
        "source": start.source,
        "origin": start.origin,
        "kind": start.kind,
        "attributes": dict(start.attributes or _NO_ATTRIBUTES),
        "trace_id": f"{start.trace_id:032x}",
        "parent_sampled": None if upstream is None else upstream.sampled,
        "parent_sample_rate": None if upstream is None else upstream.sample_rate,
        "transaction_context": {"name": start.name, "op": start.op, "source": start.source},
    }
