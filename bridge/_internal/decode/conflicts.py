"""Conflicts between headers, and between sampling numbers and decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge._internal.decode.report import DECISIONS, Finding, share
from bridge._internal.wire.baggage import BAGGAGE
from bridge._internal.wire.carrier import TRACEPARENT
from bridge._internal.wire.sample_rand import RANDOM_BITS, sample_rand_from_random_bits
from bridge._internal.wire.sentry_trace import SENTRY_TRACE
from bridge._internal.wire.tracestate import TRACESTATE, rate_for_threshold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge._internal.decode.parser import ParsedHeaders

_BITS_MASK = (1 << RANDOM_BITS) - 1
_RATE_TOLERANCE = 1e-4
"""OpenTelemetry's SDKs cut a threshold to a few digits."""
_RAND_TOLERANCE = 2e-6


def find_conflicts(parsed: ParsedHeaders) -> Iterator[Finding]:
    """Yield every conflict, those between ids first."""
    yield from _ids(parsed)
    yield from _stale_baggage(parsed)
    yield from _decisions(parsed)
    yield from _dsc_numbers(parsed)
    yield from _sentry_member(parsed)
    yield from _ot_member(parsed)


def _conflict(what: str, effect: str, *headers: str) -> Finding:
    return Finding("disagreement", headers, what, effect)


def _ids(parsed: ParsedHeaders) -> Iterator[Finding]:
    ours, w3c = parsed.sentry_trace, parsed.traceparent
    if ours is None or w3c is None:
        return
    if ours.trace_id != w3c.trace_id:
        what = f"They name different traces: {ours.trace_id:032x} and {w3c.trace_id:032x}."
        effect = "sentry-trace wins; traceparent and tracestate are ignored."
        yield _conflict(what, effect, SENTRY_TRACE, TRACEPARENT)
    elif ours.span_id != w3c.span_id:
        what = f"They name different parents: {ours.span_id:016x} and {w3c.span_id:016x}."
        yield _conflict(what, "sentry-trace wins.", SENTRY_TRACE, TRACEPARENT)


def _stale_baggage(parsed: ParsedHeaders) -> Iterator[Finding]:
    if parsed.continued is not None and parsed.is_stale:
        header, trace_id = parsed.continued
        what = f"The Sentry members describe trace {parsed.dsc['trace_id']} instead of {trace_id:032x}."
        yield _conflict(what, "They are dropped as stale; user members are kept.", BAGGAGE, header)


def _decisions(parsed: ParsedHeaders) -> Iterator[Finding]:
    ours, w3c = parsed.sentry_trace, parsed.same_traceparent
    if ours is None:
        return
    if ours.sampled is not None and w3c is not None and w3c.trace_flags.sampled is not ours.sampled:
        what = f"{SENTRY_TRACE} says {DECISIONS[ours.sampled]}, {TRACEPARENT} says {DECISIONS[not ours.sampled]}."
        effect = "sentry-trace decides for both, unless the receiver has two samplers."
        yield _conflict(what, effect, SENTRY_TRACE, TRACEPARENT)
    dsc_sampled = parsed.dsc_sampled
    if dsc_sampled is not None and dsc_sampled is not ours.sampled and not parsed.is_stale:
        what = f"The flag is {_short(ours.sampled)}, sentry-sampled says {DECISIONS[dsc_sampled]}."
        yield _conflict(what, "The flag decides; the members are forwarded unchanged.", SENTRY_TRACE, BAGGAGE)


def _short(sampled: bool | None) -> str:
    return DECISIONS[sampled].partition(":")[0]


def _dsc_numbers(parsed: ParsedHeaders) -> Iterator[Finding]:
    rate, rand, sampled = parsed.dsc_rate, parsed.dsc_rand, parsed.dsc_sampled
    if rate is None or rand is None or sampled is None:
        return
    is_below = float(rand) < rate
    if is_below is not sampled:
        numbers = f"sample_rand {rand} {'<' if is_below else '>='} sample_rate {parsed.dsc['sample_rate']}"
        yield _conflict(f"{numbers}, but sampled is {parsed.dsc['sampled']}.", "The decision is kept.", BAGGAGE)


def _sentry_member(parsed: ParsedHeaders) -> Iterator[Finding]:
    state, w3c, ours = parsed.sentry_member, parsed.same_traceparent, parsed.sentry_trace
    if state is None or w3c is None:
        return
    if state.sampled is not None and ours is None and state.sampled is not w3c.trace_flags.sampled:
        what = f"sentry= says {DECISIONS[state.sampled]}, the flag of {TRACEPARENT} says otherwise."
        yield _conflict(what, "sentry= decides.", TRACESTATE, TRACEPARENT)
    if state.sampled is not None and ours is not None and state.sampled is not ours.sampled:
        what = f"sentry= says {DECISIONS[state.sampled]}, {SENTRY_TRACE} says {_short(ours.sampled)}."
        yield _conflict(what, "sentry-trace decides.", TRACESTATE, SENTRY_TRACE)
    if parsed.is_stale:
        return
    rate, rand = parsed.dsc_rate, parsed.dsc_rand
    if state.sample_rate is not None and rate is not None and state.sample_rate != rate:
        what = f"sentry= has the rate {state.sample_rate:g}, {BAGGAGE} has {rate:g}."
        yield _conflict(what, "The value in baggage counts.", TRACESTATE, BAGGAGE)
    if state.sample_rand is not None and rand is not None and float(state.sample_rand) != float(rand):
        what = f"sentry= has the random number {state.sample_rand}, {BAGGAGE} has {rand}."
        yield _conflict(what, "The value in baggage counts.", TRACESTATE, BAGGAGE)


def _ot_member(parsed: ParsedHeaders) -> Iterator[Finding]:
    ot, w3c = parsed.ot_member, parsed.same_traceparent
    if ot is None or w3c is None:
        return
    bits = w3c.trace_id & _BITS_MASK if ot.random_value is None else ot.random_value
    source = "the trace id's last 56 bits" if ot.random_value is None else "rv"
    flag = w3c.trace_flags.sampled
    if ot.threshold is not None and (bits >= ot.threshold) is not flag:
        sign = ">=" if bits >= ot.threshold else "<"
        what = f"R ({source}, {bits:014x}) {sign} T ({ot.threshold:014x}), but the flag says {DECISIONS[flag]}."
        yield _conflict(what, "The flag is kept.", TRACESTATE, TRACEPARENT)
    if parsed.is_stale:
        return
    rate, rand = parsed.dsc_rate, parsed.dsc_rand
    if ot.threshold is not None and rate and abs(rate_for_threshold(ot.threshold) - rate) > _RATE_TOLERANCE:
        what = f"th is a probability of {share(rate_for_threshold(ot.threshold))}, sentry-sample_rate is {share(rate)}."
        yield _conflict(what, "Sentry and OpenTelemetry extrapolate with different rates.", TRACESTATE, BAGGAGE)
    if ot.random_value is not None and rand is not None:
        own = sample_rand_from_random_bits(ot.random_value)
        if abs(own - float(rand)) > _RAND_TOLERANCE:
            what = f"rv stands for a sample_rand of {own:.6f}, sentry-sample_rand is {rand}."
            yield _conflict(what, "Sentry and OpenTelemetry samplers keep different traces.", TRACESTATE, BAGGAGE)
