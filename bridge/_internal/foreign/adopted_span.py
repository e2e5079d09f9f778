"""AdoptedSpan: a span of somebody else's SDK provider that is part of a segment of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal.tracing.execution import execution
from bridge._internal.tracing.span import ORIGIN_NATIVE, Span, SpanView, transaction_name_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from opentelemetry.sdk.trace import Span as SdkSpan
    from opentelemetry.trace import Link, SpanKind, Status

    from bridge._internal.context.scope import ScopeData


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
        noted: Any = span
        self.segment = noted.segment
        self._bridge_scopes = noted._bridge_scopes
        self._parent_span_id = noted._parent_span_id

    @property
    def name(self) -> str:
        """The span's name."""
        return self._sdk_span.name

    @property
    def kind(self) -> SpanKind:
        """The span's kind."""
        return self._sdk_span.kind

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The span's attributes."""
        return self._sdk_span.attributes or {}

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
    def events(self) -> Sequence[Any]:
        """The span's events."""
        return self._sdk_span.events

    @property
    def links(self) -> Sequence[Link]:
        """The span's links."""
        return self._sdk_span.links

    @property
    def resource(self) -> Any:
        """What the span's process is."""
        return self._sdk_span.resource

    @property
    def instrumentation_scope(self) -> Any:
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
        segment = self.segment
        if segment is not None and self.is_local_root and segment.execution == execution():
            segment.own_scope = data


def readable(spans: Sequence[Any]) -> list[Any]:
    """Return finished spans as payloads are made of them: those of other providers read as ours."""
    return [span if isinstance(span, Span) else AdoptedSpan(span) for span in spans]
