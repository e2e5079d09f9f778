"""What the bridge would do: the real propagator, sampler and provider, on the headers."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from opentelemetry import baggage as otel_baggage
from opentelemetry import trace as trace_api
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bridge._internal import active
from bridge._internal.decode.report import Outcome
from bridge._internal.otel_private import SPAN_KEY
from bridge._internal.propagation.propagator import SentryPropagator
from bridge._internal.sampling.sampler import SentrySampler, sample_rand_for
from bridge._internal.sampling.upstream import RemoteSpan
from bridge._internal.tracing.provider import TracerProvider
from bridge._internal.wire.carrier import READ, TRACEPARENT
from bridge._internal.wire.sentry_trace import SENTRY_TRACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge._internal.client import Client
    from bridge._internal.decode.parser import Said
    from bridge._internal.options import Options


class _Receiver:
    """Stands where the client stands, for the propagator, which reads the options there."""

    def __init__(self, options: Options) -> None:
        self.options = options


@contextmanager
def _in_force(options: Options) -> Iterator[None]:
    before = active.client
    active.activate(cast("Client", _Receiver(options)))
    try:
        yield
    finally:
        active.activate(before)


def receive(headers: Mapping[str, str], said: Said, options: Options) -> Outcome:
    """Let the bridge take a request with these headers, and start a span for it.

    Without a rate in the options it is tried with 0 and 1: where both decide alike, the rate does not matter.
    """
    with _in_force(options):
        propagator = SentryPropagator(CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()]))
        context = propagator.extract(dict(headers), Context())
        rates = (0.0, 1.0) if options.traces_sample_rate is None else (options.traces_sample_rate,)
        tried = [_start(propagator, context, options, rate) for rate in rates]
    decisions = {sampled for sampled, _ in tried}
    sampled = decisions.pop() if len(decisions) == 1 else None
    remote = context.get(SPAN_KEY)
    baggage = {name: str(value) for name, value in otel_baggage.get_all(context).items()}
    sends_on = tried[0][1] if sampled is not None else {}
    if not isinstance(remote, RemoteSpan):
        why = _why_new(said, options, sampled)
        return Outcome(None, None, None, sampled, why, None, None, baggage, sends_on, tuple(headers))
    upstream, parent = remote.upstream, remote.get_span_context()
    by = SENTRY_TRACE if said.header is not None else TRACEPARENT
    rand = sample_rand_for(upstream.trace_id, upstream)
    return Outcome(
        continues=by,
        trace_id=f"{parent.trace_id:032x}",
        parent_span_id=f"{parent.span_id:016x}",
        sampled=sampled,
        why=_why(said, upstream.sampled, by, rand, options),
        sample_rand=rand,
        sample_rate=upstream.sample_rate,
        user_baggage=baggage,
        sends_on=sends_on,
    )


def _start(
    propagator: SentryPropagator, context: Context, options: Options, rate: float
) -> tuple[bool | None, dict[str, str]]:
    """Start a span for the request, and return its decision and the headers of a request below it."""
    options = replace(options, traces_sample_rate=rate)
    provider = TracerProvider(SentrySampler(rate), options=options, shutdown_on_exit=False)
    span = provider.get_tracer("decode").start_span("request", context, kind=SpanKind.SERVER)
    sent: dict[str, str] = {}
    propagator.inject(sent, trace_api.set_span_in_context(span, context))
    span.end()
    return getattr(span, "sampled", None), {name: sent[name] for name in READ if name in sent}


def _why(said: Said, upstream_sampled: bool | None, by: str, rand: str, options: Options) -> str:
    if upstream_sampled is None:
        rate = options.traces_sample_rate
        if rate is not None:
            return f"{by} leaves it open, and its sample_rand is {rand}, at a rate of {rate:g}"
        return f"{by} leaves it to the receiver, which keeps it if its traces_sample_rate is above sample_rand {rand}"
    whose = "sentry= in tracestate" if by == TRACEPARENT and said.state is not None else f"the flag of {by}"
    return f"{whose} says so; only a traces_sampler of the receiver's may decide otherwise"


def _why_new(said: Said, options: Options, sampled: bool | None) -> str:
    decided = "" if sampled is None else f"; this one was decided at a rate of {options.traces_sample_rate:g}"
    if said.header is None and said.w3c is None:
        return f"no header names a trace: the receiver's traces_sample_rate decides{decided}"
    theirs, own = said.dsc.get("org_id"), options.effective_org_id
    if theirs and own:
        return f"it is of organisation {theirs}, and the receiver of {own}: nothing of it is continued{decided}"
    return f"strict_trace_continuation: only one side says its organisation, so nothing is continued{decided}"
