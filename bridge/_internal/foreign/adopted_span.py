"""AdoptedSpan: a span of another SDK provider that is part of one of our segments.

What `SentrySpanProcessor` notes on the live span stands here, each name with the prefix `_bridge_`: the segment and the
scopes, the parent, for a local root the `AdoptedSpan` that its segment has as root, and whether the span was taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from bridge._internal.context.scope import remembered_scopes
from bridge._internal.foreign.span_view import SpanView
from bridge._internal.otel_private import kept_attributes
from bridge._internal.tracing.segment import SegmentMember, segment_of
from bridge._internal.tracing.span import ORIGIN_NATIVE, Span, parent_span_id_of, transaction_name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from opentelemetry import trace as trace_api
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event
    from opentelemetry.sdk.trace import Span as SdkSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanKind, Status
    from opentelemetry.util import types

    from bridge._internal.context.scope import ScopeData, Scopes
    from bridge._internal.tracing.finished_span import EndedSpan, FinishedSpan
    from bridge._internal.tracing.segment import Segment
    from bridge._internal.tracing.segment_parent import SegmentParent


class AdoptedSpan(SpanView):
    """Reads an SDK span, on which `SentrySpanProcessor` noted what it belongs to, as payloads are made of it.

    A local root has one from its start; for a child it is made when that is sent.
    """

    origin = ORIGIN_NATIVE
    custom_name = False
    is_manual = False

    def __init__(self, span: SdkSpan) -> None:
        super().__init__(span)
        self._sdk_span = span
        self._bridge_segment = segment_of(span)
        self._bridge_scopes = remembered_scopes(span)
        above = cast("_Notes", span)._bridge_segment_parent
        self._parent_span_id = parent_span_id_of(span) if above is None else above.span_id

    @property
    def parent_span_id(self) -> str | None:
        """The span id of the nearest ancestor that Sentry gets, 16 lower-case hex digits; `None` for a head."""
        return None if self._parent_span_id is None else f"{self._parent_span_id:016x}"

    @property
    def name(self) -> str:
        """The span's name."""
        return self._sdk_span.name

    @property
    def kind(self) -> SpanKind:
        """The span's kind."""
        return self._sdk_span.kind

    @property
    def attributes(self) -> Mapping[str, types.AttributeValue]:
        """The span's attributes."""
        return self._sdk_span.attributes or {}

    def taken_attributes(self) -> Mapping[str, Any]:
        """Return what limits took of the attributes: it is not sent, but tells what the span means."""
        kept = kept_attributes(self._sdk_span)
        return {} if kept is None else kept.taken()

    @property
    def status(self) -> Status:
        """The span's status."""
        return self._sdk_span.status

    @property
    def start_time(self) -> int | None:
        """Nanoseconds since the epoch."""
        return self._sdk_span.start_time

    @property
    def end_time(self) -> int | None:
        """Nanoseconds since the epoch."""
        return self._sdk_span.end_time

    @property
    def events(self) -> Sequence[Event]:
        """The span's events."""
        return self._sdk_span.events

    @property
    def links(self) -> Sequence[Link]:
        """The span's links."""
        return self._sdk_span.links

    @property
    def resource(self) -> Resource:
        """What the span's process is."""
        return self._sdk_span.resource

    @property
    def instrumentation_scope(self) -> InstrumentationScope | None:
        """What made the span."""
        return self._sdk_span.instrumentation_scope

    @property
    def user_attributes(self) -> Collection[str]:
        """The names of the attributes that the program set by hand."""
        return getattr(self._sdk_span, "_bridge_user_attributes", ())

    @property
    def thread(self) -> tuple[int, str] | None:
        """Where the span ended, if it is streamed."""
        return getattr(self._sdk_span, "_bridge_thread", None)

    def transaction_name(self) -> str | None:
        """Return the name for a DSC that is about to be frozen: none while all that is known is a URL."""
        return transaction_name_of(self)

    def note_own_scope(self, data: ScopeData) -> None:
        """Take what the root's own block wrote to its current scope."""
        if self._bridge_segment is not None and self.is_local_root:
            self._bridge_segment.note_own_scope(data)


class _Notes(SegmentMember, Protocol):
    """What is noted on a live span of another provider."""

    _bridge_scopes: Scopes | None
    _bridge_segment_parent: SegmentParent | None
    _bridge_root: AdoptedSpan
    _bridge_note_own_scope: Callable[[ScopeData], None]
    _bridge_is_taken: bool


def note_membership(span: SdkSpan, segment: Segment, scopes: Scopes | None, above: SegmentParent | None) -> None:
    """Note on a span that has started what it belongs to; the first of a segment becomes its root."""
    notes = cast("_Notes", span)
    notes._bridge_segment = segment
    notes._bridge_scopes = scopes
    kept_attributes(span)
    notes._bridge_segment_parent = above  # while a span is held its root is, to which its segment refers weakly
    if segment.was_opened:
        if segment.collects:
            with segment.lock:
                segment.started += 1
        return
    lead_adopted(span, segment)
    segment.announce()


def lead_adopted(span: trace_api.Span, segment: Segment) -> None:
    """Make a span of another provider the root of a segment."""
    notes = cast("_Notes", span)
    notes._bridge_segment = segment
    root = AdoptedSpan(cast("SdkSpan", span))
    notes._bridge_root = root
    notes._bridge_note_own_scope = root.note_own_scope
    segment.lead_by(root, lambda: root)


class _DroppedNotes(Protocol):
    """What is noted on a span that the sampler of another provider dropped."""

    _bridge_scopes: Scopes | None
    _bridge_was_dropped: bool
    _bridge_segment: Segment
    _bridge_segment_parent: SegmentParent


def note_dropped(span: trace_api.Span, scopes: Scopes | None, above: SegmentParent | None) -> None:
    """Note on a span that its provider dropped which scopes hold inside it, and the segment that it is below."""
    notes = cast("_DroppedNotes", span)
    notes._bridge_scopes = scopes
    notes._bridge_was_dropped = True
    if above is not None:
        notes._bridge_segment = above.segment
        notes._bridge_segment_parent = above


def was_dropped(span: trace_api.Span) -> bool:
    """Whether a span is one that its adopted provider dropped."""
    return getattr(span, "_bridge_was_dropped", False)


def note_taken(span: SdkSpan) -> bool:
    """Note on a span that has ended that its segment takes it; `False` if it did already."""
    notes = cast("_Notes", span)
    is_first = not getattr(span, "_bridge_is_taken", False)
    notes._bridge_is_taken = True
    return is_first


def adopted_root(span: SdkSpan) -> AdoptedSpan | None:
    """Return a span as its segment's root; `None` if it is not the root."""
    root: AdoptedSpan | None = getattr(span, "_bridge_root", None)
    return root


def finished_spans(spans: Sequence[EndedSpan]) -> list[FinishedSpan]:
    """Return finished spans as payloads are made of them: those of other providers read as ours."""
    return [
        cast("FinishedSpan", span) if isinstance(span, Span) else AdoptedSpan(cast("SdkSpan", span)) for span in spans
    ]
