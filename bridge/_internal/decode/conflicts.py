"""Where headers disagree with each other, or their numbers with what was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge._internal.decode.report import DECISIONS, Problem, share
from bridge._internal.wire.baggage import BAGGAGE
from bridge._internal.wire.carrier import TRACEPARENT
from bridge._internal.wire.sample_rand import (
    RANDOM_BITS,
    parse_sample_rand,
    parse_sample_rate,
    sample_rand_from_random_bits,
)
from bridge._internal.wire.sentry_trace import SENTRY_TRACE
from bridge._internal.wire.tracestate import TRACESTATE, rate_for_threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.trace import SpanContext

    from bridge._internal.decode.parser import ParsedHeaders

_BITS_MASK = (1 << RANDOM_BITS) - 1
_RATE_TOLERANCE = 1e-4
"""OpenTelemetry's SDKs cut a threshold to a few digits."""
_RAND_TOLERANCE = 2e-6
_FLAG_OF_DSC = {"true": True, "false": False}


def find_conflicts(headers: Mapping[str, str], parsed: ParsedHeaders) -> Iterator[Problem]:
    """Go through all of them, those about ids first."""
    yield from _ids(parsed)
    yield from _stale_baggage(parsed)
    yield from _decisions(parsed)
    yield from _numbers_of_dsc(parsed)
    yield from _sentry_member(parsed)
    yield from _ot_member(parsed)
    yield from _incomplete(headers, parsed)


def _disagree(headers: tuple[str, ...], what: str, effect: str) -> Problem:
    return Problem("disagreement", headers, what, effect)


def _ids(parsed: ParsedHeaders) -> Iterator[Problem]:
    if parsed.sentry_trace is None or parsed.traceparent is None:
        return
    both = (SENTRY_TRACE, TRACEPARENT)
    if parsed.sentry_trace.trace_id != parsed.traceparent.trace_id:
        what = (
            f"They name different traces: {parsed.sentry_trace.trace_id:032x} and {parsed.traceparent.trace_id:032x}."
        )
        yield _disagree(both, what, "sentry-trace wins; traceparent and tracestate are ignored.")
    elif parsed.sentry_trace.span_id != parsed.traceparent.span_id:
        what = f"They name different parents: {parsed.sentry_trace.span_id:016x} and {parsed.traceparent.span_id:016x}."
        effect = "sentry-trace wins. Something between the services has spans of its own and knows one header only."
        yield _disagree(both, what, effect)


def _trace_of(parsed: ParsedHeaders) -> tuple[str, int] | None:
    """Return the header whose trace is continued, and that trace."""
    if parsed.sentry_trace is not None:
        return SENTRY_TRACE, parsed.sentry_trace.trace_id
    return None if parsed.traceparent is None else (TRACEPARENT, parsed.traceparent.trace_id)


def _same_trace(parsed: ParsedHeaders) -> SpanContext | None:
    """Return the W3C headers, where they are of the trace that is continued."""
    if parsed.traceparent is None or (
        parsed.sentry_trace is not None and parsed.sentry_trace.trace_id != parsed.traceparent.trace_id
    ):
        return None
    return parsed.traceparent


def _is_stale(parsed: ParsedHeaders) -> bool:
    trace, told = _trace_of(parsed), parsed.dsc.get("trace_id")
    return trace is not None and told is not None and told != f"{trace[1]:032x}"


def _stale_baggage(parsed: ParsedHeaders) -> Iterator[Problem]:
    trace = _trace_of(parsed)
    if trace is not None and _is_stale(parsed):
        what = f"Sentry's members are of trace {parsed.dsc['trace_id']}, and not of {trace[1]:032x}."
        yield _disagree((BAGGAGE, trace[0]), what, "They are stale and dropped; the user's members stay.")


def _decisions(parsed: ParsedHeaders) -> Iterator[Problem]:
    header, w3c = parsed.sentry_trace, _same_trace(parsed)
    if header is not None and header.sampled is not None and w3c is not None:
        flag = bool(w3c.trace_flags.sampled)
        if flag is not header.sampled:
            what = f"{SENTRY_TRACE} says {DECISIONS[header.sampled]}, {TRACEPARENT} says {DECISIONS[flag]}."
            effect = (
                "sentry-trace decides for both, unless the receiver has two samplers (sampler= and "
                "traces_sample_rate=). That is as it should be if the sender has two."
            )
            yield _disagree((SENTRY_TRACE, TRACEPARENT), what, effect)
    told = _FLAG_OF_DSC.get(parsed.dsc.get("sampled", ""))
    if header is not None and told is not None and told is not header.sampled and not _is_stale(parsed):
        what = f"The flag is {DECISIONS[header.sampled].partition(':')[0]}, sentry-sampled says {DECISIONS[told]}."
        yield _disagree((SENTRY_TRACE, BAGGAGE), what, "The flag decides; the members are passed on as they are.")


def _numbers_of_dsc(parsed: ParsedHeaders) -> Iterator[Problem]:
    rate, rand = parse_sample_rate(parsed.dsc.get("sample_rate")), parse_sample_rand(parsed.dsc.get("sample_rand"))
    sampled = _FLAG_OF_DSC.get(parsed.dsc.get("sampled", ""))
    if rate is None or rand is None or sampled is None:
        return
    if (float(rand) < rate) is not sampled:
        sign = "<" if float(rand) < rate else ">="
        numbers = f"sample_rand {rand} {sign} sample_rate {parsed.dsc['sample_rate']}"
        what = f"{numbers}, and yet sampled is {parsed.dsc['sampled']}."
        yield _disagree((BAGGAGE,), what, "The decision is kept. Services that go by the numbers decide otherwise.")


def _sentry_member(parsed: ParsedHeaders) -> Iterator[Problem]:
    state, w3c = parsed.sentry_member, _same_trace(parsed)
    if state is None or w3c is None:
        return
    if state.sampled is not None and parsed.sentry_trace is None and state.sampled is not bool(w3c.trace_flags.sampled):
        what = f"sentry= says {DECISIONS[state.sampled]}, the flag of {TRACEPARENT} says the contrary."
        yield _disagree((TRACESTATE, TRACEPARENT), what, "sentry= decides.")
    if (
        parsed.sentry_trace is not None
        and state.sampled is not None
        and state.sampled is not parsed.sentry_trace.sampled
    ):
        told = DECISIONS[parsed.sentry_trace.sampled].partition(":")[0]
        what = f"sentry= says {DECISIONS[state.sampled]}, {SENTRY_TRACE} says {told}."
        yield _disagree((TRACESTATE, SENTRY_TRACE), what, "sentry-trace decides.")
    if _is_stale(parsed):
        return
    rate, rand = parse_sample_rate(parsed.dsc.get("sample_rate")), parse_sample_rand(parsed.dsc.get("sample_rand"))
    if state.sample_rate is not None and rate is not None and state.sample_rate != rate:
        what = f"sentry= has the rate {state.sample_rate:g}, {BAGGAGE} has {rate:g}."
        yield _disagree((TRACESTATE, BAGGAGE), what, "The baggage's counts.")
    if state.sample_rand is not None and rand is not None and float(state.sample_rand) != float(rand):
        what = f"sentry= has the random number {state.sample_rand}, {BAGGAGE} has {rand}."
        yield _disagree((TRACESTATE, BAGGAGE), what, "The baggage's counts.")


def _ot_member(parsed: ParsedHeaders) -> Iterator[Problem]:
    ot, w3c = parsed.ot_member, _same_trace(parsed)
    if ot is None or w3c is None:
        return
    bits = w3c.trace_id & _BITS_MASK if ot.random_value is None else ot.random_value
    whose = "the trace id's last 56 bits" if ot.random_value is None else "rv"
    flag = bool(w3c.trace_flags.sampled)
    if ot.threshold is not None and (bits >= ot.threshold) is not flag:
        sign = ">=" if bits >= ot.threshold else "<"
        what = f"R ({whose}, {bits:014x}) {sign} T ({ot.threshold:014x}), and yet the flag says {DECISIONS[flag]}."
        effect = "The flag is kept. What OpenTelemetry counts by th is wrong for this trace."
        yield _disagree((TRACESTATE, TRACEPARENT), what, effect)
    if _is_stale(parsed):
        return
    rate, rand = parse_sample_rate(parsed.dsc.get("sample_rate")), parse_sample_rand(parsed.dsc.get("sample_rand"))
    if ot.threshold is not None and rate and abs(rate_for_threshold(ot.threshold) - rate) > _RATE_TOLERANCE:
        what = f"th is a probability of {share(rate_for_threshold(ot.threshold))}, sentry-sample_rate is {share(rate)}."
        effect = "Each side counts by its own. That is as it should be if the sender has two samplers."
        yield _disagree((TRACESTATE, BAGGAGE), what, effect)
    if ot.random_value is not None and rand is not None:
        own = sample_rand_from_random_bits(ot.random_value)
        if abs(own - float(rand)) > _RAND_TOLERANCE:
            what = f"rv stands for a sample_rand of {own:.6f}, sentry-sample_rand is {rand}."
            yield _disagree((TRACESTATE, BAGGAGE), what, "Sentry's samplers and OpenTelemetry's keep different traces.")


def _incomplete(headers: Mapping[str, str], parsed: ParsedHeaders) -> Iterator[Problem]:
    """Remark on what is allowed, and mostly not meant."""
    if parsed.dsc and not _is_stale(parsed):
        missing = [name for name in ("trace_id", "public_key") if not parsed.dsc.get(name)]
        if missing:
            what = f"Sentry's members lack {' and '.join(missing)}."
            yield Problem("note", (BAGGAGE,), what, "Sentry's server cannot sample by its own rules.")
    if _trace_of(parsed) is None and parsed.dsc:
        effect = "Alone they continue nothing: a new trace begins."
        yield Problem("note", (BAGGAGE,), "There is no trace that these members belong to.", effect)
    if parsed.traceparent is None and TRACESTATE in headers:
        yield Problem("note", (TRACESTATE,), "There is no traceparent that it belongs to.", "It is not read.")
    if parsed.sentry_trace is not None and not parsed.dsc:
        effect = "The trace goes on; its sample rate is not known further on."
        yield Problem("note", (SENTRY_TRACE,), "It came without Sentry's members of a baggage.", effect)
