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
    backfill_sample_rand,
    format_sample_rand,
    sample_rand_from_random_bits,
)
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
    bits = random_bits(trace_id, upstream)
    if upstream is not None:
        if upstream.sample_rand is not None:
            return upstream.sample_rand
        if upstream.sampled is not None and upstream.sample_rate is not None:
            fitting = backfill_sample_rand(bits, upstream.sampled, upstream.sample_rate)
            if fitting is not None:
                return format_sample_rand(fitting)
    return format_sample_rand(sample_rand_from_random_bits(bits))


class SentrySampler(Sampler):
    """Decides for roots: explicit `sampled=`, then `traces_sampler`, then the parent's decision, then the rate.

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
        rand = sample_rand_for(start.trace_id, upstream)
        parent_sampled = None if upstream is None else upstream.sampled
        if not self.enabled:
            return Decision(parent_sampled, rand, record=False)
        if start.sampled is not None:
            return self._by_rate(1.0 if start.sampled else 0.0, rand, overrides=True)
        if self.traces_sampler is not None:
            rate = self._ask(self.traces_sampler, start)
            if rate is not None:
                return self._by_rate(rate, rand, overrides=True)
        if upstream is not None and parent_sampled is not None:
            return Decision(parent_sampled, rand, upstream.sample_rate)
        if self.traces_sample_rate is None:
            return Decision(False, rand, 0.0, overrides=True)
        return self._by_rate(self.traces_sample_rate, rand, overrides=True)

    @staticmethod
    def _by_rate(rate: float, rand: str, *, overrides: bool) -> Decision:
        return Decision(float(rand) < rate, rand, rate, overrides=overrides)

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
        state = trace_state_for(decision, others, head=upstream is None)
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
