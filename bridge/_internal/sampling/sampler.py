"""The decision: whether a local root and all below it are sampled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace.sampling import Decision as OtelDecision
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult

from bridge._internal import active
from bridge._internal.guard import report_fault
from bridge._internal.kept_attributes import OP_ATTRIBUTE, SOURCE_ATTRIBUTE
from bridge._internal.sampling.decision import Decision, trace_state_for
from bridge._internal.sampling.upstream import Sampled, Upstream, upstream_of
from bridge._internal.wire.sample_rand import (
    RANDOM_BITS,
    agreeing_sample_rand,
    backfill_sample_rand,
    format_sample_rand,
    random_bits_from_sample_rand,
    sample_rand_from_random_bits,
)
from bridge._internal.wire.tracestate import is_kept, threshold_for_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind
    from opentelemetry.trace.span import TraceState
    from opentelemetry.util import types

    from bridge._internal.init_options import TracesSampler

DecideByRate: TypeAlias = "Callable[[int, float, Upstream | None], Decision]"
"""What decides at a rate, for a trace id and what the upstream said."""

_RANDOM_MASK = (1 << RANDOM_BITS) - 1
_SIX_DECIMALS = 1_000_000
_NO_ATTRIBUTES: Mapping[str, object] = {}


@dataclass(slots=True)
class SpanStart:
    """What a span is started with that a decision may want to know; of a root also its trace and who began that."""

    name: str
    kind: SpanKind
    attributes: types.Attributes = None
    links: Sequence[Link] | None = None
    trace_id: int = 0
    upstream: Upstream | None = None
    origin: str | None = None
    sampled: bool | None = None


class Randomness(NamedTuple):
    """What decides for a trace: Sentry's number, and OpenTelemetry's 56 bits, which say the same at every rate."""

    sample_rand: str
    bits: int
    is_given: bool = False  # by what the upstream said
    explicit: bool = False  # the bits are not the trace id's: OpenTelemetry's samplers must be told (`ot=rv:`)


def randomness_of(trace_id: int, upstream: Upstream | None) -> Randomness:
    """Return the upstream's own `sample_rand`, else one that agrees with its decision and rate, else the head's.

    A head's comes from `rv` of the `ot` trace-state member, else from the trace id. One that a Sentry SDK drew gives
    the bits, where there is no `rv`.
    """
    ot = None if upstream is None else upstream.ot
    random_value = None if ot is None else ot.random_value
    bits = trace_id & _RANDOM_MASK if random_value is None else random_value
    own = format_sample_rand(sample_rand_from_random_bits(bits))
    given = _given_sample_rand(bits, upstream)
    if given is None:
        return Randomness(own, bits)
    if random_value is not None or given == own:
        return Randomness(given, bits, is_given=True)
    return Randomness(given, random_bits_from_sample_rand(float(given)), is_given=True, explicit=True)


def sample_rand_for(trace_id: int, upstream: Upstream | None) -> str:
    """Return the `sample_rand` of a trace."""
    return randomness_of(trace_id, upstream).sample_rand


def _given_sample_rand(bits: int, upstream: Upstream | None) -> str | None:
    """Return what the upstream said, or what its decision at its rate leaves open; `None` where it said neither."""
    if upstream is None or upstream.sample_rand is not None:
        return None if upstream is None else upstream.sample_rand
    if upstream.sampled is None or upstream.sample_rate is None:
        return None
    fitting = backfill_sample_rand(bits, upstream.sampled, upstream.sample_rate)
    return None if fitting is None else format_sample_rand(fitting)


class HeadDecision(Decision):
    """A head's decision at a rate; its numbers are made when something leaves that tells them, in the worker mostly."""

    overrides = True
    writes_threshold = True

    def __init__(self, sampled: bool, trace_id: int, sample_rate: float) -> None:
        self.sampled = self.record = self.flag = sampled
        self.sample_rate: float = sample_rate
        self._trace_id = trace_id

    @property
    def sample_rand(self) -> str:
        """The trace's number, that agrees with the decision."""
        return agreeing_sample_rand(sample_rand_for(self._trace_id, None), self.flag, self.sample_rate)

    @property
    def threshold(self) -> int | None:
        """OpenTelemetry's rejection threshold, if it was kept."""
        return threshold_for_rate(self.sample_rate) if self.flag else None


def decide_by_rate(trace_id: int, rate: float, upstream: Upstream | None) -> Decision:
    """Decide at a rate: by the upstream's `sample_rand` if there is one, else as OpenTelemetry's samplers do.

    `sample_rand < sample_rate <=> sampled` holds either way.
    """
    if upstream is None:
        return HeadDecision(is_kept(trace_id & _RANDOM_MASK, rate), trace_id, rate)
    random = randomness_of(trace_id, upstream)
    rand = random.sample_rand
    kept = is_kept(random.bits, rate)
    sampled = float(rand) < rate if random.is_given else kept
    return Decision(
        sampled,
        rand if random.is_given else agreeing_sample_rand(rand, kept, rate),
        rate,
        overrides=True,
        threshold=threshold_for_rate(rate) if sampled and kept else None,
        writes_threshold=True,
        random_value=random.bits if random.explicit else None,
    )


def lowered_rate(rate: float, factor: float) -> float:
    """Return a lower rate, of six decimals as `sample_rand` has; one that is not 0 stays above it."""
    if factor >= 1.0 or rate <= 0.0:
        return rate
    return max(math.floor(rate * factor * _SIX_DECIMALS), 1) / _SIX_DECIMALS


def upstream_decision(trace_id: int, upstream: Upstream, *, record: bool | None = None) -> Decision:
    """Return the upstream's decision, with its numbers."""
    random = randomness_of(trace_id, upstream)
    return Decision(
        upstream.sampled,
        random.sample_rand,
        upstream.sample_rate,
        record=record,
        flag=upstream.sampled is True,
        random_value=random.bits if random.explicit else None,
    )


class SentrySampler(Sampler):
    """Decides for local roots: explicit `sampled=`, then `traces_sampler`, then the parent's decision, then the rate.

    With neither rate nor sampler it goes by those of the active client (`follows_client`). Where there are none either,
    tracing is off: nothing is recorded and a decision from upstream is kept as it is. A `traces_sampler` that raises or
    returns something else than a bool or a number in [0, 1] is logged once, and the next rule decides. Always
    `sample_rand < sample_rate <=> sampled`. `lowering` gives a factor in (0, 1] by which the rate of heads is lowered
    at the moment.
    """

    def __init__(
        self,
        traces_sample_rate: float | None = None,
        traces_sampler: TracesSampler | None = None,
        *,
        lowering: Callable[[], float] | None = None,
        follows_client: bool = True,
    ) -> None:
        self.traces_sample_rate = traces_sample_rate
        self.traces_sampler = traces_sampler
        self._lowering = lowering
        self._follows_client = follows_client and not self.enabled
        # Whether nothing is asked about a head but its trace id.
        self.is_rate_alone = traces_sampler is None and not self._follows_client

    @property
    def enabled(self) -> bool:
        """Whether anything was set to decide by."""
        return self.traces_sample_rate is not None or self.traces_sampler is not None

    def decide_head(self, trace_id: int) -> Decision:
        """Return the decision for a head about which nothing is asked but its trace id."""
        if self.traces_sample_rate is None:
            return Decision(None, sample_rand_for(trace_id, None), record=False)
        rate = self.traces_sample_rate
        if self._lowering is None or self._lowering() >= 1.0:
            return HeadDecision(is_kept(trace_id & _RANDOM_MASK, rate), trace_id, rate)
        return self._decide_by_rate(trace_id, rate, None)

    def decide(self, start: SpanStart, by_rate: DecideByRate = decide_by_rate) -> Decision:
        """Return the decision for a local root; `by_rate` is asked where it is a rate that decides."""
        upstream = start.upstream
        parent_sampled = None if upstream is None else upstream.sampled
        if self._follows_client and active.client is not None:
            return active.client.sampler.decide(start, by_rate)
        if not self.enabled:
            if upstream is not None:
                return upstream_decision(start.trace_id, upstream, record=False)
            return Decision(None, sample_rand_for(start.trace_id, None), record=False)
        if start.sampled is not None:
            return by_rate(start.trace_id, 1.0 if start.sampled else 0.0, upstream)
        if self.traces_sampler is not None:
            rate = self._ask_traces_sampler(self.traces_sampler, start)
            if rate is not None:
                return self._decide_by_rate(start.trace_id, rate, upstream, by_rate)
        if upstream is not None and parent_sampled is not None:
            return upstream_decision(start.trace_id, upstream)
        return self._decide_by_rate(start.trace_id, self.traces_sample_rate or 0.0, upstream, by_rate)

    def _decide_by_rate(
        self, trace_id: int, rate: float, upstream: Upstream | None, by_rate: DecideByRate = decide_by_rate
    ) -> Decision:
        factor = 1.0 if self._lowering is None or upstream is not None else self._lowering()
        if factor >= 1.0:
            return by_rate(trace_id, rate, upstream)
        decision = by_rate(trace_id, lowered_rate(rate, factor), upstream)
        if not decision.sampled:
            decision.lowered = by_rate(trace_id, rate, upstream).sampled is True
        return decision

    @staticmethod
    def _ask_traces_sampler(traces_sampler: TracesSampler, start: SpanStart) -> float | None:
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
        attributes: types.Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide for an OpenTelemetry provider that is not ours; children follow their parent."""
        parent = trace_api.get_current_span(parent_context)
        upstream = upstream_of(parent)
        if upstream is not None and not parent.get_span_context().is_remote:
            return self._sampling_result(upstream.sampled, attributes, upstream.trace_state)
        start = SpanStart(name, kind or trace_api.SpanKind.INTERNAL, attributes, links, trace_id, upstream)
        decision = self.decide(start)
        others = None if upstream is None else upstream.trace_state
        state = trace_state_for(decision, others)
        return self._sampling_result(decision.sampled if decision.record else False, attributes, state)

    @staticmethod
    def _sampling_result(
        sampled: Sampled, attributes: types.Attributes, trace_state: TraceState | None
    ) -> SamplingResult:
        decision = OtelDecision.RECORD_AND_SAMPLE if sampled is True else OtelDecision.DROP
        return SamplingResult(decision, attributes, trace_state)

    def get_description(self) -> str:
        """Return what OpenTelemetry shows of this sampler."""
        how = "traces_sampler" if self.traces_sampler is not None else str(self.traces_sample_rate)
        return f"SentrySampler{{{how}}}"


def _sampling_context(start: SpanStart) -> dict[str, Any]:
    upstream = start.upstream
    attributes = dict(start.attributes or _NO_ATTRIBUTES)
    op, source = _text(attributes.get(OP_ATTRIBUTE)), _text(attributes.get(SOURCE_ATTRIBUTE))
    return {
        "name": start.name,
        "op": op,
        "source": source,
        "origin": start.origin,
        "kind": start.kind,
        "attributes": attributes,
        "trace_id": f"{start.trace_id:032x}",
        "parent_sampled": None if upstream is None else upstream.sampled,
        "parent_sample_rate": None if upstream is None else upstream.sample_rate,
        "transaction_context": {"name": start.name, "op": op, "source": source},
    }


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
