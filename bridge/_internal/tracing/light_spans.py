"""Spans that record nothing: decided against, or not traced at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, SpanContext, SpanKind

from bridge._internal.tracing.span import LocalSpan, Span, parent_span_id_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry import trace as trace_api
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.util import types

    from bridge._internal.context.scope import Scopes
    from bridge._internal.tracing.segment import Segment
    from bridge._internal.tracing.span import SpanTracer


class UnsampledSpan(LocalSpan, NonRecordingSpan):
    """A span that was decided against, or that is deferred: valid ids and a decision to pass on, nothing more.

    It keeps what it was started with, by reference, for the DSC's name and for `trace_propagation_targets`. Its ids are
    made on demand: most are never read, and they are most of its cost (benchmarks/spans.py).
    """

    instrumentation_scope: InstrumentationScope | None = None

    def __init__(
        self,
        tracer: SpanTracer,
        segment: Segment,
        name: str,
        kind: SpanKind,
        attributes: types.Attributes,
        parent: trace_api.Span | SpanContext | None,
        scopes: Scopes | None,
    ) -> None:
        self._bridge_segment = segment
        self._tracer = tracer
        self.name = name
        self.kind = kind
        self.attributes = attributes
        self._parent_found = parent
        self._bridge_scopes = scopes

    def __getattr__(self, name: str) -> Any:
        """Make the ids when they are first asked for."""
        if name == "_context":
            made = self._context_of(self._tracer.id_generator.generate_span_id())
            return self.__dict__.setdefault(name, made)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class NoOpSpan(Span, NonRecordingSpan):
    """What `start_span` returns where there is nothing to trace: not initialised, or suppressed.

    Without `propagates` Sentry's headers are not written under it either.
    """

    def __init__(self, context: SpanContext = INVALID_SPAN_CONTEXT, *, propagates: bool = True) -> None:
        super().__init__(context)
        self.propagates = propagates


NO_OP = NoOpSpan()
"""The one that knows of no trace. It keeps nothing, so one is enough."""


class FoldedSpan(NonRecordingSpan):
    """A span that doubles one of another API right above: what is written goes there, its end is nothing."""

    def __init__(self, to: Any, scopes: Any) -> None:
        super().__init__(to.get_span_context())
        self._to = to
        self._bridge_segment = to._bridge_segment
        self.counterpart = to.counterpart
        self.is_local_root = False
        self._parent_span_id = parent_span_id_of(to)
        self._bridge_scopes = scopes

    @property
    def kind(self) -> SpanKind:
        """What kind of work it is."""
        return self._to.kind  # type: ignore[no-any-return]  # as SDK spans have it

    @property
    def attributes(self) -> types.Attributes:
        """What was written so far."""
        return getattr(self._to, "attributes", None)

    @property
    def name(self) -> str:
        """The name."""
        return str(getattr(self._to, "name", ""))

    @property
    def headers_are_written(self) -> bool:
        """Whether the headers of this request are on it."""
        return getattr(self._to, "headers_are_written", False)

    @headers_are_written.setter
    def headers_are_written(self, value: bool) -> None:
        self._to.headers_are_written = value

    def set_attribute(self, key: str, value: types.AttributeValue) -> None:
        self._to.set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, types.AttributeValue]) -> None:
        self._to.set_attributes(attributes)

    def is_recording(self) -> bool:
        return bool(self._to.is_recording())

    def record_exception(self, exception: BaseException, *arguments: Any, **named: Any) -> None:
        self._to.record_exception(exception, *arguments, **named)

    def set_status(self, status: Any, description: str | None = None) -> None:
        self._to.set_status(status, description)

    def add_event(self, name: str, *arguments: Any, **named: Any) -> None:
        self._to.add_event(name, *arguments, **named)
