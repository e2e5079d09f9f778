"""What bridge would do with the headers, found out by the real propagator, sampler and provider."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from opentelemetry import baggage as otel_baggage
from opentelemetry import trace as trace_api
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bridge._internal.decode.report import Outcome
from bridge._internal.otel_private import SPAN_KEY
from bridge._internal.propagation.propagator import SentryPropagator
from bridge._internal.sampling.sampler import SentrySampler, sample_rand_for
from bridge._internal.sampling.upstream import RemoteSpan
from bridge._internal.tracing.provider import TracerProvider
from bridge._internal.wire.carrier import READ, TRACEPARENT
from bridge._internal.wire.sentry_trace import SENTRY_TRACE, parse_sentry_trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge._internal.decode.parser import ParsedHeaders
    from bridge._internal.options import Options
    from bridge._internal.sampling.upstream import Upstream


def outcome_of(headers: Mapping[str, str], parsed: ParsedHeaders, options: Options) -> Outcome:
    """Receive a request with these headers, start a span for it, and return the result.

    Without a rate in the options, rates 0 and 1 are tried: if both lead to one decision, the rate does not matter.
    """
    wrapped = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
    propagator = SentryPropagator(wrapped, options=options)
    context = propagator.extract(dict(headers), Context())
    rates = (0.0, 1.0) if options.traces_sample_rate is None else (options.traces_sample_rate,)
    tried = [_headers_below(propagator, context, options, rate) for rate in rates]
    decisions = {_decision_in(sent) for sent in tried}
    sampled = decisions.pop() if len(decisions) == 1 else None
    baggage = {name: str(value) for name, value in otel_baggage.get_all(context).items()}
    sends_on = {} if sampled is None else tried[0]
    remote = context.get(SPAN_KEY)
    if not isinstance(remote, RemoteSpan) or parsed.continued is None:
        return Outcome(sampled=sampled, why=_why_new(parsed, options), user_baggage=baggage, sends_on=sends_on)
    upstream, parent = remote.upstream, remote.get_span_context()
    rand = sample_rand_for(upstream.trace_id, upstream)
    return Outcome(
        continues=parsed.continued[0],
        trace_id=f"{parent.trace_id:032x}",
        parent_span_id=f"{parent.span_id:016x}",
        sampled=sampled,
        why=_why(parsed, parsed.continued[0], upstream, rand, options.traces_sample_rate),
        sample_rand=rand,
        sample_rate=upstream.sample_rate,
        user_baggage=baggage,
        sends_on=sends_on,
    )


def _headers_below(propagator: SentryPropagator, context: Context, options: Options, rate: float) -> Mapping[str, str]:
    """Start a span for the request and return the headers of an outgoing request within it."""
    options = replace(options, traces_sample_rate=rate)
    provider = TracerProvider(SentrySampler(rate), options=options, shutdown_on_exit=False)
    span = provider.get_tracer("decode").start_span("request", context, kind=SpanKind.SERVER)
    sent: dict[str, str] = {}
    propagator.inject(sent, trace_api.set_span_in_context(span, context))
    span.end()
    return {name: sent[name] for name in READ if name in sent}


def _decision_in(headers: Mapping[str, str]) -> bool | None:
    sentry_trace = parse_sentry_trace(headers.get(SENTRY_TRACE))
    return None if sentry_trace is None else sentry_trace.sampled


def _why(parsed: ParsedHeaders, header: str, upstream: Upstream, rand: str, rate: float | None) -> str:
    if upstream.sampled is not None:
        is_sentry_member = header == TRACEPARENT and parsed.sentry_member is not None
        return f"{'sentry= in tracestate' if is_sentry_member else f'the flag of {header}'} says so"
    if rate is not None:
        return f"{header} defers the decision, and its sample_rand is {rand}, at a rate of {rate:g}"
    return f"{header} defers the decision: sampled if the receiver's traces_sample_rate is above sample_rand {rand}"


def _why_new(parsed: ParsedHeaders, options: Options) -> str:
    if parsed.continued is None:
        return "no header names a trace: the receiver's traces_sample_rate decides"
    theirs, own = parsed.dsc.get("org_id"), options.effective_org_id
    if theirs and own:
        return f"the trace is of organisation {theirs}, the receiver of {own}, so nothing is continued"
    return "strict_trace_continuation: only one side names its organisation, so nothing is continued"
