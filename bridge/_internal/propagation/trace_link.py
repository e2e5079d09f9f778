"""TraceLink: what is said of the trace wherever something leaves the process: headers, events, envelopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bridge._internal.context.scope import current_scopes
from bridge._internal.sampling.decision import base_dsc, format_sampled, trace_state_for
from bridge._internal.sampling.sampler import sample_rand_for, upstream_decision
from bridge._internal.sampling.upstream import upstream_of
from bridge._internal.tracing.segment_parent import parent_in, segment_parent_in, segment_parent_of
from bridge._internal.tracing.span import parent_span_id_of
from bridge._internal.wire.tracestate import OTEL_MEMBER, SENTRY_MEMBER

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span
    from opentelemetry.trace.span import TraceState

    from bridge._internal.context.propagation_context import PropagationContext
    from bridge._internal.options import Options
    from bridge._internal.sampling.upstream import Sampled, Upstream
    from bridge._internal.tracing.segment import Segment
    from bridge._internal.tracing.segment_parent import SegmentParent
    from bridge._internal.wire.baggage import Dsc


class TraceLink(NamedTuple):
    """The trace at one place: ids, decision, DSC; `span` is the active local span, if there is one.

    `state` has what goes into the trace state though the span's own `SpanContext` does not have it: our member, and the
    random value that a Sentry SDK drew.
    """

    trace_id: int
    span_id: int
    parent_span_id: int | None
    sampled: Sampled
    dsc: Dsc
    span: Span | None = None
    state: tuple[tuple[str, str], ...] = ()


def link_of(context: Context, options: Options, *, is_current: bool = False) -> TraceLink:
    """Return the trace that a Context belongs to: its span's, else the one that surrounds it.

    Asking freezes the DSC of a trace that starts here.
    """
    span = parent_in(context)
    above = segment_parent_in(context)
    if span is not None and above is not None:
        return _link_below(above, span.get_span_context().trace_state)
    upstream = None if span is None else upstream_of(span)
    if span is None or upstream is None:
        return _link_without_span(current_scopes(None if is_current else context).propagation, options)
    span_context = span.get_span_context()
    if span_context.is_remote:
        propagation = current_scopes(None if is_current else context).propagation
        return _continued_link(upstream, propagation.span_id, span_context.span_id, options)
    remote = current_scopes(None if is_current else context).propagation.remote
    if remote is not None and remote.get_span_context().trace_id == upstream.trace_id:
        return _dropped_link(span, upstream_of(remote) or upstream, options)
    return _continued_link(upstream, span_context.span_id, parent_span_id_of(span), options, span)


def _dropped_link(span: Span, upstream: Upstream, options: Options) -> TraceLink:
    """Return the trace of a local span that its provider dropped: what the upstream said is passed on."""
    context = span.get_span_context()
    state = trace_state_for(upstream_decision(upstream.trace_id, upstream), upstream.trace_state)
    link = _continued_link(upstream, context.span_id, parent_span_id_of(span), options, span)
    return link._replace(state=_not_in(context.trace_state, state))


def link_of_span(span: Span, segment: Segment) -> TraceLink:
    """Return the trace of a span that belongs to a segment."""
    return _link_below(segment_parent_of(span, segment), span.get_span_context().trace_state)


def _link_below(above: SegmentParent, trace_state: TraceState) -> TraceLink:
    """Return the trace below a span that Sentry gets; `trace_state` is that of the active span."""
    segment, span = above.segment, above.span
    state = segment.trace_state()
    written = () if trace_state is state else _not_in(trace_state, state)
    parent_span_id = None if span is None else parent_span_id_of(span)
    return TraceLink(segment.trace_id, above.span_id, parent_span_id, segment.sampled, segment.dsc(), span, written)


def _not_in(theirs: TraceState, state: TraceState) -> tuple[tuple[str, str], ...]:
    """Return what a trace state of ours has to say beside that of a span that another provider made."""
    members = {name: state.get(name) for name in (SENTRY_MEMBER, OTEL_MEMBER)}
    if OTEL_MEMBER in theirs:  # its own sampler's
        del members[OTEL_MEMBER]
    return tuple((name, value) for name, value in members.items() if value and theirs.get(name) != value)


def _link_without_span(propagation: PropagationContext, options: Options) -> TraceLink:
    upstream = None if propagation.remote is None else upstream_of(propagation.remote)
    if propagation.remote is not None and upstream is not None:
        parent_span_id = propagation.remote.get_span_context().span_id
        return _continued_link(upstream, propagation.span_id, parent_span_id, options)
    trace_id = propagation.trace_id
    dsc = base_dsc(trace_id, sample_rand_for(trace_id, None), options)
    return TraceLink(trace_id, propagation.span_id, None, None, dsc)


def _continued_link(
    upstream: Upstream, span_id: int, parent_span_id: int | None, options: Options, span: Span | None = None
) -> TraceLink:
    dsc = upstream.dsc
    if dsc is None:
        dsc = base_dsc(upstream.trace_id, sample_rand_for(upstream.trace_id, upstream), options)
        if span is not None and upstream.sampled is not None:  # dropped by another provider
            dsc["sampled"] = format_sampled(upstream.sampled)
    return TraceLink(upstream.trace_id, span_id, parent_span_id, upstream.sampled, dsc, span)
