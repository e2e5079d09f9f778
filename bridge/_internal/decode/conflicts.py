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

    from bridge._internal.decode.parser import Said

_BITS_MASK = (1 << RANDOM_BITS) - 1
_RATE_TOLERANCE = 1e-4
"""OpenTelemetry's SDKs cut a threshold to a few digits."""
_RAND_TOLERANCE = 2e-6
_FLAG_OF_DSC = {"true": True, "false": False}


def disagreements(headers: Mapping[str, str], said: Said) -> Iterator[Problem]:
    """Go through all of them, those about ids first."""
    yield from _ids(said)
    yield from _stale_baggage(said)
    yield from _decisions(said)
    yield from _numbers_of_dsc(said)
    yield from _sentry_member(said)
    yield from _ot_member(said)
    yield from _incomplete(headers, said)


def _disagree(headers: tuple[str, ...], what: str, effect: str) -> Problem:
    return Problem("disagreement", headers, what, effect)


def _ids(said: Said) -> Iterator[Problem]:
    if said.header is None or said.w3c is None:
        return
    both = (SENTRY_TRACE, TRACEPARENT)
    if said.header.trace_id != said.w3c.trace_id:
        what = f"They name different traces: {said.header.trace_id:032x} and {said.w3c.trace_id:032x}."
        yield _disagree(both, what, "sentry-trace wins; traceparent and tracestate are ignored.")
    elif said.header.span_id != said.w3c.span_id:
        what = f"They name different parents: {said.header.span_id:016x} and {said.w3c.span_id:016x}."
        effect = "sentry-trace wins. Something between the services has spans of its own and knows one header only."
        yield _disagree(both, what, effect)


def _trace_of(said: Said) -> tuple[str, int] | None:
    """Return the header whose trace is continued, and that trace."""
    if said.header is not None:
        return SENTRY_TRACE, said.header.trace_id
    return None if said.w3c is None else (TRACEPARENT, said.w3c.trace_id)


def _same_trace(said: Said) -> SpanContext | None:
    """Return the W3C headers, where they are of the trace that is continued."""
    if said.w3c is None or (said.header is not None and said.header.trace_id != said.w3c.trace_id):
        return None
    return said.w3c


def _is_stale(said: Said) -> bool:
    trace, told = _trace_of(said), said.dsc.get("trace_id")
    return trace is not None and told is not None and told != f"{trace[1]:032x}"


def _stale_baggage(said: Said) -> Iterator[Problem]:
    trace = _trace_of(said)
    if trace is not None and _is_stale(said):
        what = f"Sentry's members are of trace {said.dsc['trace_id']}, and not of {trace[1]:032x}."
        yield _disagree((BAGGAGE, trace[0]), what, "They are stale and dropped; the user's members stay.")


def _decisions(said: Said) -> Iterator[Problem]:
    header, w3c = said.header, _same_trace(said)
    if header is not None and header.sampled is not None and w3c is not None:
        flag = bool(w3c.trace_flags.sampled)
        if flag is not header.sampled:
            what = f"{SENTRY_TRACE} says {DECISIONS[header.sampled]}, {TRACEPARENT} says {DECISIONS[flag]}."
            effect = (
                "sentry-trace decides for both, unless the receiver has two samplers (sampler= and "
                "traces_sample_rate=). That is as it should be if the sender has two."
            )
            yield _disagree((SENTRY_TRACE, TRACEPARENT), what, effect)
    told = _FLAG_OF_DSC.get(said.dsc.get("sampled", ""))
    if header is not None and told is not None and told is not header.sampled and not _is_stale(said):
        what = f"The flag is {DECISIONS[header.sampled].partition(':')[0]}, sentry-sampled says {DECISIONS[told]}."
        yield _disagree((SENTRY_TRACE, BAGGAGE), what, "The flag decides; the members are passed on as they are.")


def _numbers_of_dsc(said: Said) -> Iterator[Problem]:
    rate, rand = parse_sample_rate(said.dsc.get("sample_rate")), parse_sample_rand(said.dsc.get("sample_rand"))
    sampled = _FLAG_OF_DSC.get(said.dsc.get("sampled", ""))
    if rate is None or rand is None or sampled is None:
        return
    if (float(rand) < rate) is not sampled:
        sign = "<" if float(rand) < rate else ">="
        numbers = f"sample_rand {rand} {sign} sample_rate {said.dsc['sample_rate']}"
        what = f"{numbers}, and yet sampled is {said.dsc['sampled']}."
        yield _disagree((BAGGAGE,), what, "The decision is kept. Services that go by the numbers decide otherwise.")


def _sentry_member(said: Said) -> Iterator[Problem]:
    state, w3c = said.state, _same_trace(said)
    if state is None or w3c is None:
        return
    if state.sampled is not None and said.header is None and state.sampled is not bool(w3c.trace_flags.sampled):
        what = f"sentry= says {DECISIONS[state.sampled]}, the flag of {TRACEPARENT} says the contrary."
        yield _disagree((TRACESTATE, TRACEPARENT), what, "sentry= decides.")
    if said.header is not None and state.sampled is not None and state.sampled is not said.header.sampled:
        told = DECISIONS[said.header.sampled].partition(":")[0]
        what = f"sentry= says {DECISIONS[state.sampled]}, {SENTRY_TRACE} says {told}."
        yield _disagree((TRACESTATE, SENTRY_TRACE), what, "sentry-trace decides.")
    if _is_stale(said):
        return
    rate, rand = parse_sample_rate(said.dsc.get("sample_rate")), parse_sample_rand(said.dsc.get("sample_rand"))
    if state.sample_rate is not None and rate is not None and state.sample_rate != rate:
        what = f"sentry= has the rate {state.sample_rate:g}, {BAGGAGE} has {rate:g}."
        yield _disagree((TRACESTATE, BAGGAGE), what, "The baggage's counts.")
    if state.sample_rand is not None and rand is not None and float(state.sample_rand) != float(rand):
        what = f"sentry= has the random number {state.sample_rand}, {BAGGAGE} has {rand}."
        yield _disagree((TRACESTATE, BAGGAGE), what, "The baggage's counts.")


def _ot_member(said: Said) -> Iterator[Problem]:
    ot, w3c = said.ot, _same_trace(said)
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
    if _is_stale(said):
        return
    rate, rand = parse_sample_rate(said.dsc.get("sample_rate")), parse_sample_rand(said.dsc.get("sample_rand"))
    if ot.threshold is not None and rate and abs(rate_for_threshold(ot.threshold) - rate) > _RATE_TOLERANCE:
        what = f"th is a probability of {share(rate_for_threshold(ot.threshold))}, sentry-sample_rate is {share(rate)}."
        effect = "Each side counts by its own. That is as it should be if the sender has two samplers."
        yield _disagree((TRACESTATE, BAGGAGE), what, effect)
    if ot.random_value is not None and rand is not None:
        own = sample_rand_from_random_bits(ot.random_value)
        if abs(own - float(rand)) > _RAND_TOLERANCE:
            what = f"rv stands for a sample_rand of {own:.6f}, sentry-sample_rand is {rand}."
            yield _disagree((TRACESTATE, BAGGAGE), what, "Sentry's samplers and OpenTelemetry's keep different traces.")


def _incomplete(headers: Mapping[str, str], said: Said) -> Iterator[Problem]:
    """Remark on what is allowed, and mostly not meant."""
    if said.dsc and not _is_stale(said):
        missing = [name for name in ("trace_id", "public_key") if not said.dsc.get(name)]
        if missing:
            what = f"Sentry's members lack {' and '.join(missing)}."
            yield Problem("note", (BAGGAGE,), what, "Sentry's server cannot sample by its own rules.")
    if _trace_of(said) is None and said.dsc:
        effect = "Alone they continue nothing: a new trace begins."
        yield Problem("note", (BAGGAGE,), "There is no trace that these members belong to.", effect)
    if said.w3c is None and TRACESTATE in headers:
        yield Problem("note", (TRACESTATE,), "There is no traceparent that it belongs to.", "It is not read.")
    if said.header is not None and not said.dsc:
        effect = "The trace goes on; its sample rate is not known further on."
        yield Problem("note", (SENTRY_TRACE,), "It came without Sentry's members of a baggage.", effect)
