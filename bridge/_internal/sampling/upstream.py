"""Upstream: what another service, or another tracer in this process, said of a trace that we continue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from bridge._internal.wire.tracestate import OTEL_MEMBER, SENTRY_MEMBER, parse_ot_member, parse_sentry_member

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from opentelemetry.trace.span import TraceState

    from bridge._internal.wire.baggage import Dsc
    from bridge._internal.wire.tracestate import OtState

Sampled = bool | None
"""A decision: `True`, `False`, or `None` while it is deferred to a service downstream."""


class Upstream:
    """What another service said of the trace: its decision, rate and frozen DSC."""

    __slots__ = ("dsc", "sample_rand", "sample_rate", "sampled", "trace_id", "trace_state")

    def __init__(
        self,
        trace_id: int,
        sampled: Sampled,
        *,
        dsc: Dsc | None = None,
        sample_rate: float | None = None,
        sample_rand: str | None = None,
        trace_state: TraceState | None = None,
    ) -> None:
        self.trace_id = trace_id
        self.sampled = sampled
        self.dsc = dsc  # None where the upstream is not a Sentry SDK; empty where it froze an empty one
        self.sample_rate = sample_rate
        self.sample_rand = sample_rand
        self.trace_state = trace_state

    @property
    def ot(self) -> OtState | None:
        """OpenTelemetry's own sampling numbers (`ot=` in the trace state), if it sent any."""
        member = None if self.trace_state is None else self.trace_state.get(OTEL_MEMBER)
        return None if member is None else parse_ot_member(member)


class RemoteSpan(NonRecordingSpan):
    """A parent in another service, as headers described it."""

    def __init__(self, context: SpanContext, upstream: Upstream, *, beside: SpanContext | None = None) -> None:
        """`beside`: the parent that other propagators find in the same headers."""
        super().__init__(context)
        self.upstream = upstream
        self.beside = beside


def upstream_of(span: Span) -> Upstream | None:
    """Return what a parent span that is not ours says of its trace; `None` if it is no valid parent.

    The span may come from another provider, another vendor's API, or W3C headers. Our member of its trace state
    decides where it is there; else its sampled flag, compared by mask (the random bit may be set beside it).
    """
    if isinstance(span, RemoteSpan):
        return span.upstream
    context = span.get_span_context()
    if not isinstance(context, SpanContext) or not context.is_valid:
        return None
    return upstream_from_w3c(context)


def upstream_from_w3c(context: SpanContext, dsc: Dsc | None = None) -> Upstream:
    """Return what a W3C span context says, with the DSC that came beside it in the baggage, if any."""
    member = context.trace_state.get(SENTRY_MEMBER)
    state = None if member is None else parse_sentry_member(member)
    sampled: Sampled = bool(context.trace_flags & TraceFlags.SAMPLED)
    if state is not None:
        sampled = state.sampled
    return Upstream(
        context.trace_id,
        sampled,
        dsc=dsc,
        sample_rate=None if state is None else state.sample_rate,
        sample_rand=None if state is None else state.sample_rand,
        trace_state=context.trace_state,
    )
