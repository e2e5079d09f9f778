"""SpanView: a span of another provider, with Sentry's vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanContext, Status, StatusCode

from bridge._internal.kept_attributes import OP_ATTRIBUTE
from bridge._internal.otel_private import kept_attributes
from bridge._internal.tracing.segment import segment_of
from bridge._internal.tracing.span import Span, status_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry import trace as trace_api
    from opentelemetry.util import types

    from bridge._internal.sampling.upstream import Sampled


class SpanView(Span):
    """A span of another provider, with Sentry's vocabulary."""

    def __init__(self, span: trace_api.Span, *, activates: bool = False) -> None:
        self._span = span
        self._activates = activates

    @property
    def viewed(self) -> trace_api.Span:
        """The span behind this view: what OpenTelemetry's Context holds while it is active."""
        return self._span

    def get_span_context(self) -> SpanContext:
        """Return the ids of the span behind this view."""
        return self._span.get_span_context()

    @property
    def sampled(self) -> Sampled:
        """Sentry's decision; for a span that is not Sentry's, whether its own provider sampled it."""
        segment = segment_of(self._span)
        return bool(self.get_span_context().trace_flags.sampled) if segment is None else segment.sampled

    @property
    def parent_span_id(self) -> str | None:
        """The parent's span id, where the span tells it."""
        parent = getattr(self._span, "parent", None)
        return None if parent is None else f"{parent.span_id:016x}"

    @property
    def description(self) -> str | None:
        """The span's name, where it tells it."""
        name = getattr(self._span, "name", None)
        return name if isinstance(name, str) else None

    @description.setter
    def description(self, value: str) -> None:
        self._span.update_name(value)

    @property
    def op(self) -> str | None:
        """The op that was given, if any."""
        kept = kept_attributes(self._span)
        value = None if kept is None else {**kept, **kept.taken()}.get(OP_ATTRIBUTE)
        return value if isinstance(value, str) else None

    @op.setter
    def op(self, value: str | None) -> None:
        if value is not None:
            self._span.set_attribute(OP_ATTRIBUTE, value)

    def set_tag(self, key: str, value: object) -> None:
        """Set a tag, which is an attribute on a span that is not ours."""
        self.set_data(key, str(value))

    def set_measurement(self, name: str, value: float, unit: str = "") -> None:
        """Set a measurement, which is an attribute on a span that is not ours."""
        self.set_data(name, value)

    def set_data(self, key: str, value: Any) -> None:
        """Set an attribute of the span behind this view; it is sent as it is."""
        self._span.set_attribute(key, value)
        self.note_user_attributes((key,))

    def note_user_attributes(self, keys: Iterable[str]) -> None:
        """Note on the span behind this view that the program set these by hand."""
        if self._span.is_recording():
            noted: Any = self._span
            noted._bridge_user_attributes = {*getattr(noted, "_bridge_user_attributes", ()), *keys}

    def end(self, end_time: int | None = None) -> None:
        """End the span behind this view."""
        self._span.end(end_time)

    def set_attributes(self, attributes: Mapping[str, types.AttributeValue]) -> None:
        """Set attributes of the span behind this view."""
        self._span.set_attributes(attributes)

    def set_attribute(self, key: str, value: types.AttributeValue) -> None:
        """Set an attribute of the span behind this view."""
        self._span.set_attribute(key, value)

    def add_event(self, name: str, attributes: types.Attributes = None, timestamp: int | None = None) -> None:
        """Add an event to the span behind this view."""
        self._span.add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: types.Attributes = None) -> None:
        """Add a link to the span behind this view."""
        self._span.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """Rename the span behind this view."""
        self._span.update_name(name)

    def is_recording(self) -> bool:
        """Whether the span behind this view records."""
        return self._span.is_recording()

    def set_status(self, status: Status | StatusCode | str, description: str | None = None) -> None:
        """Set the status of the span behind this view."""
        self._span.set_status(status_of(status), description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: types.Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Record an exception on the span behind this view."""
        self._span.record_exception(exception, attributes, timestamp, escaped)


def span_view(span: trace_api.Span) -> Span | None:
    """Return a local span as `Span`, viewing one that another provider made; `None` if there is no local span."""
    if isinstance(span, Span):
        return span if span.get_span_context().is_valid else None
    context = span.get_span_context()
    if isinstance(context, SpanContext) and context.is_valid and not context.is_remote:
        return SpanView(span)
    return None
