"""SegmentParent: the nearest ancestor, in this process, that Sentry gets."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import trace as trace_api
from opentelemetry.trace import NonRecordingSpan, SpanContext

from bridge._internal.context.context_values import AnnotatedSpanContext, active_span
from bridge._internal.context.runtime import SCOPES_KEY, scoped_span
from bridge._internal.sampling.upstream import RemoteSpan
from bridge._internal.tracing.segment import segment_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import TraceFlags
    from opentelemetry.trace.span import TraceState

    from bridge._internal.context.scope import Scopes
    from bridge._internal.tracing.segment import Segment


class SegmentParent(NamedTuple):
    """What a span that starts below gets from its nearest ancestor that belongs to a segment and is sent with it.

    That is not always the parent that OpenTelemetry knows: a span of an isolated provider, a `NonRecordingSpan`, an
    OpenTracing shim or a span that another sampler dropped may be in between.
    """

    segment: Segment
    span_id: int
    span: trace_api.Span | None
    """Held, so that the root lives on while spans below it do; `None` if only its `SpanContext` was handed over."""


class SegmentSpanContext(AnnotatedSpanContext):
    """The `SpanContext` of a span that belongs to a segment: what is built on it finds the segment (weakly)."""

    _find_segment: weakref.ref[Segment]

    @classmethod
    def of_segment(
        cls, segment: Segment, span_id: int, trace_flags: TraceFlags, trace_state: TraceState
    ) -> SegmentSpanContext:
        """Return the context of a local span."""
        made: SegmentSpanContext = cls(segment.trace_id, span_id, False, trace_flags, trace_state)
        made.__dict__["_find_segment"] = weakref.ref(segment)
        return made

    @property
    def _bridge_segment(self) -> Segment | None:
        return self._find_segment()

    @property
    def _bridge_scopes(self) -> Scopes | None:
        segment = self._find_segment()
        return None if segment is None else segment.scopes


def parent_in(context: Context) -> trace_api.Span | None:
    """Return the parent of a span that starts under a Context.

    Where another propagator read the same headers after ours, the remote parent that it found is the one that we found.
    """
    span = active_span(context)
    entry: Any = context.get(SCOPES_KEY)
    if entry is None or span is None or isinstance(span, RemoteSpan):
        return span
    remote, found = entry.propagation.remote, span.get_span_context()
    if not isinstance(remote, RemoteSpan) or not found.is_remote:
        return span
    return remote if found == remote.beside or found.trace_id == remote.get_span_context().trace_id else span


def segment_parent_in(context: Context) -> SegmentParent | None:
    """Return the nearest ancestor that Sentry gets of a span that starts under a Context; `None` for a local root.

    A remote parent is another service, also where that is this process.
    """
    span = active_span(context)
    if span is None:
        return None
    if (segment := segment_of(span)) is not None:
        return segment_parent_of(span, segment)
    span_context = span.get_span_context()
    if not isinstance(span_context, SpanContext) or span_context.is_remote or not span_context.is_valid:
        return None
    scoped: Any = scoped_span(context, span)
    if (segment := segment_of(scoped)) is None:
        return None
    if isinstance(scoped, SegmentSpanContext):
        return SegmentParent(segment, scoped.span_id, None)
    return segment_parent_of(scoped, segment)


def segment_parent_of(span: Any, segment: Segment) -> SegmentParent:
    """Return a span of a segment, or the nearest one above it that is sent where another sampler dropped it."""
    if segment.recording and isinstance(span, NonRecordingSpan):
        above: SegmentParent | None = getattr(span, "_bridge_segment_parent", None)
        if above is not None:
            return above
    return SegmentParent(segment, span.get_span_context().span_id, span)


def segment_parent_span(span: Any) -> trace_api.Span | None:
    """Return the span that a span was started below, as its segment knows it; `None` if it is not at hand."""
    above: SegmentParent | None = getattr(span, "_bridge_segment_parent", None)
    if above is not None:
        return above.span
    found = getattr(span, "_parent_found", None)
    return found if isinstance(found, trace_api.Span) else None
