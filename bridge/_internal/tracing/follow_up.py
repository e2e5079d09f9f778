"""Follow-ups: what is still open when its local root is sent, each with all that ends below it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, cast

from bridge._internal.context.scope import remembered_scopes
from bridge._internal.tracing.segment import segment_of
from bridge._internal.tracing.segment_parent import segment_parent_span
from bridge._internal.tracing.span import RecordingSpan

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from opentelemetry import trace as trace_api

    from bridge._internal.context.scope import Scopes
    from bridge._internal.tracing.segment import Segment
    from bridge._internal.tracing.segment_parent import SegmentParent

    Lead: TypeAlias = Callable[[trace_api.Span, Segment], None]
    """Makes a span the root of a segment."""


def segment_below(above: SegmentParent, scopes: Scopes | None, lead_other: Lead | None = None) -> Segment:
    """Return the segment of a span that starts below another: that one's, or one that follows it."""
    segment = above.segment
    if not segment.recording or not segment.closed or (segment.waits and segment.is_own_block()):
        return segment
    return follow_up_below(above.span, segment, lead_other) or segment.follow_up(scopes)


def follow_up_below(span: trace_api.Span | None, sent: Segment, lead_other: Lead | None = None) -> Segment | None:
    """Return the segment of what starts or ends below a span after the local root was sent.

    That is the one of the outermost span that is still open, which begins it if it has none. `None` if no span above
    is open, where spans are sent by themselves, and where that span is another provider's and there is no
    `lead_other`, which makes such a span a root.
    """
    top = _outermost_open(span, sent.first)
    known = segment_of(top)
    lead = lead_recording if isinstance(top, RecordingSpan) else lead_other
    if top is None or known is None or lead is None:
        return None
    with known.lock:
        segment = segment_of(top)
        assert segment is not None
        if not segment.closed:
            return segment
        if not _is_open(top):
            return None
        follower = segment.follow_up_of(remembered_scopes(top))
        lead(top, follower)
    follower.announce()
    segment.settle_if_done()
    return follower


def lead_recording(span: trace_api.Span, segment: Segment) -> None:
    """Make a span of ours the root of a segment."""
    root = cast("RecordingSpan", span)
    root._bridge_segment = segment
    segment.lead_by(root, weakref.ref(root))


def _outermost_open(span: trace_api.Span | None, first: Segment) -> trace_api.Span | None:
    found = None
    while span is not None:
        segment = segment_of(span)
        if segment is None or segment.first is not first:
            break
        if segment.may_be_followed() and _is_open(span):
            found = span
        span = segment_parent_span(span)
    return found


def _is_open(span: trace_api.Span) -> bool:
    # One of another provider is taken by the processor after its provider has ended it.
    return span.is_recording() and not getattr(span, "_bridge_is_taken", False)
