"""Spans: an OpenTelemetry span that is also the Sentry span, and its light kin."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
)

from bridge._guard import guard, report_fault
from bridge._otel import SPAN_KEY
from bridge.capture.semantics import infer
from bridge.context.scope import put

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token
    from types import TracebackType

    from opentelemetry.context import Context
    from opentelemetry.util import types
    from typing_extensions import Self

    from bridge.context.scope import ScopeData, Scopes
    from bridge.tracing.segment import Segment
    from bridge.tracing.upstream import Sampled, Upstream

OP_ATTRIBUTE = "sentry.op"
SOURCE_ATTRIBUTE = "sentry.source"
HTTP_STATUS_ATTRIBUTE = "http.response.status_code"
ORIGIN_NATIVE = "auto.otel"
ORIGIN_MANUAL = "manual"


def execution() -> tuple[int, Any]:
    """Return which thread and asyncio task runs: writes of others to the current scope are not a block's own."""
    loop = asyncio._get_running_loop()
    return threading.get_ident(), None if loop is None else asyncio.current_task(loop)


def is_error(error: BaseException) -> bool:
    """Whether an exception that leaves a block means that the block failed."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return not isinstance(error, asyncio.CancelledError | GeneratorExit)


def note_span_of_error(error: BaseException, span: Any) -> None:
    """Remember the innermost span that an exception came through, for whoever captures it further out.

    Each span on its way out notes itself as the last one; an exception object that is raised again elsewhere comes
    from a span that is no child of this one, and starts anew.
    """
    last: Any = getattr(error, "_bridge_last_span", None)
    if last is span:
        return
    try:
        if last is None or last._parent_span_id != span.get_span_context().span_id:
            error._bridge_span = span  # type: ignore[attr-defined]  # an exception takes any attribute
        error._bridge_last_span = span  # type: ignore[attr-defined]  # the same
    except AttributeError:  # an exception type with slots links to the span that is active at its capture
        return


class Span(trace_api.Span):
    """An OpenTelemetry span with Sentry's vocabulary; every span that the bridge hands out is one.

    As a context manager a span of `start_span()` is active inside its block and ends with it. One that a native
    tracer's `start_span` made only ends with it, as in OpenTelemetry.
    """

    segment: Segment | None = None
    _bridge_scopes: Scopes | None = None
    _activates = False
    _token: Token[Context] | None = None
    _parent_span_id: int | None = None

    @property
    def viewed(self) -> trace_api.Span:
        """The span that OpenTelemetry's Context holds while this one is active: itself."""
        return self

    @property
    def trace_id(self) -> str:
        """The trace id, 32 lower-case hex digits."""
        return f"{self.get_span_context().trace_id:032x}"

    @property
    def span_id(self) -> str:
        """The span id, 16 lower-case hex digits."""
        return f"{self.get_span_context().span_id:016x}"

    @property
    def parent_span_id(self) -> str | None:
        """The parent's span id, 16 lower-case hex digits; `None` for the head of a trace."""
        return None if self._parent_span_id is None else f"{self._parent_span_id:016x}"

    @property
    def sampled(self) -> Sampled:
        """The trace's decision here: `True`, `False`, or `None` while it is deferred."""
        return None if self.segment is None else self.segment.sampled

    @property
    def root_span(self) -> Span | None:
        """The local root that this span is below, or itself."""
        return None if self.segment is None else self.segment.root

    @property
    def op(self) -> str | None:
        """What kind of work the span is, as Sentry names it (`db`, `http.server`, `task`); `None` if not given."""
        return None

    @op.setter
    def op(self, value: str | None) -> None: ...

    @property
    def description(self) -> str | None:
        """What Sentry calls the span's description: its name."""
        return None

    @description.setter
    def description(self, value: str) -> None: ...

    @property
    def tags(self) -> Mapping[str, str]:
        """The span's own tags."""
        return {}

    @property
    def measurements(self) -> Mapping[str, Mapping[str, Any]]:
        """The span's measurements: name -> {value, unit}."""
        return {}

    def set_tag(self, key: str, value: Any) -> None:
        """Set a tag of this span; on a root it is a tag of the transaction."""

    def set_data(self, key: str, value: Any) -> None:
        """Set an attribute, under sentry-sdk's name for it."""
        self.set_attribute(key, value)

    def set_measurement(self, name: str, value: float, unit: str = "") -> None:
        """Set a measurement, such as `("memory", 12.5, "megabyte")`."""

    def set_http_status(self, code: int) -> None:
        """Set the HTTP status code, which the span's status is derived from when it ends."""
        self.set_attribute(HTTP_STATUS_ATTRIBUTE, code)

    def finish(self, end_timestamp: int | None = None) -> None:
        """End the span, under sentry-sdk's name for it; `end_timestamp` in nanoseconds since the epoch."""
        self.end(end_timestamp)

    def __enter__(self) -> Self:
        if self._activates and self._token is None:
            self._token = context_api.attach(put(context_api.get_current(), SPAN_KEY, self.viewed))
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        token, self._token = self._token, None
        if token is not None:
            context_api.detach(token)
        if exc is not None:
            self._fail(exc)
        self.end()

    def _fail(self, error: BaseException) -> None:
        """Take note of an exception that leaves the span's block."""
        if is_error(error):
            note_span_of_error(error, self)


class RecordingSpan(Span, SdkSpan):
    """A sampled span: an SDK span for every processor, exporter and instrumentation."""

    segment: Segment
    origin = ORIGIN_NATIVE
    custom_name = False
    _tags: dict[str, str] | None = None
    _measurements: dict[str, dict[str, Any]] | None = None
    _handed_over = False

    @property
    def op(self) -> str | None:
        """The op that was given, or `None`: then it is inferred from the attributes when the span ends."""
        value = (self._attributes or {}).get(OP_ATTRIBUTE)
        return value if isinstance(value, str) else None

    @op.setter
    def op(self, value: str | None) -> None:
        if value is not None:
            self.set_attribute(OP_ATTRIBUTE, value)

    @property
    def description(self) -> str | None:
        """The span's name."""
        return self._name

    @description.setter
    def description(self, value: str) -> None:
        self.custom_name = True
        self.update_name(value)

    @property
    def tags(self) -> Mapping[str, str]:
        """The span's own tags."""
        return self._tags or {}

    @property
    def measurements(self) -> Mapping[str, Mapping[str, Any]]:
        """The span's measurements: name -> {value, unit}."""
        return self._measurements or {}

    def set_tag(self, key: str, value: Any) -> None:
        """Set a tag of this span; on a root it is a tag of the transaction."""
        with self._lock:
            if self._end_time is None:
                self._tags = {**(self._tags or {}), key: value}

    def set_measurement(self, name: str, value: float, unit: str = "") -> None:
        """Set a measurement, such as `("memory", 12.5, "megabyte")`."""
        with self._lock:
            if self._end_time is None:
                self._measurements = {**(self._measurements or {}), name: {"value": value, "unit": unit}}

    def record_exception(
        self,
        exception: BaseException,
        attributes: types.Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Record an exception as a span event, as the SDK does."""
        note_span_of_error(exception, self)
        super().record_exception(exception, attributes, timestamp, escaped)
        segment = self.segment
        if segment.options.capture_span_exceptions and segment.sink is not None:
            segment.sink.exception_recorded(exception)

    def end(self, end_time: int | None = None) -> None:
        """End the span at `end_time`, nanoseconds since the epoch, or now. Never raises, never blocks on I/O."""
        try:
            super().end(end_time)
        except Exception as error:  # a processor that somebody added
            report_fault("tracing", "a span processor raised when a span ended", error)
        with self._lock:
            first, self._handed_over = not self._handed_over, True
        if first:
            with guard("tracing", "a finished span could not be handed over"):
                self.segment.take(self)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._activates:
            Span.__exit__(self, exc_type, exc, tb)
        else:
            SdkSpan.__exit__(self, exc_type, exc, tb)

    def _fail(self, error: BaseException) -> None:
        if not is_error(error) or not self.is_recording():
            return
        self.record_exception(error, escaped=True)
        if self._status.status_code is StatusCode.UNSET:
            self.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))

    def _note_own_scope(self, data: ScopeData) -> None:
        """Take what the root's own block wrote to its current scope; other tasks' and threads' writes are theirs."""
        segment = self.segment
        if segment.root is self and segment.execution == execution():
            segment.own_scope = data

    def transaction_name(self) -> str | None:
        """Return the name for a DSC that is about to be frozen: none while all that is known is a URL."""
        return transaction_name_of(self)


def transaction_name_of(span: Any) -> str | None:
    """Return the name that a span's attributes tell; none while all that is known is a URL."""
    found = infer(span.name, span.kind, span.attributes or {}, custom_name=span.custom_name)
    return None if found.source == "url" else found.description


class UnsampledSpan(Span, NonRecordingSpan):
    """A span that was decided against, or that is deferred: valid ids and a decision to pass on, nothing more.

    It keeps what it was started with, by reference, for the DSC's name and for `trace_propagation_targets`.
    """

    segment: Segment

    def __init__(
        self, context: SpanContext, name: str, kind: SpanKind, attributes: types.Attributes, custom_name: bool
    ) -> None:
        super().__init__(context)
        self.name = name
        self.kind = kind
        self.attributes = attributes
        self.custom_name = custom_name

    def transaction_name(self) -> str | None:
        """Return the name for a DSC that is about to be frozen: none while all that is known is a URL."""
        return transaction_name_of(self)


class NoOpSpan(Span, NonRecordingSpan):
    """What `start_span` returns where there is nothing to trace: not initialised, or suppressed.

    `silent`: under it Sentry's headers are not written either.
    """

    def __init__(self, context: SpanContext = INVALID_SPAN_CONTEXT, *, silent: bool = False) -> None:
        super().__init__(context)
        self.silent = silent


class RemoteSpan(NonRecordingSpan):
    """A parent in another service, as headers told of it; brings the scopes that `extract` forked for it."""

    def __init__(self, context: SpanContext, upstream: Upstream) -> None:
        super().__init__(context)
        self.upstream = upstream
        self._bridge_scopes: Scopes | None = None

    def without_scopes(self) -> RemoteSpan:
        """Return the same parent, knowing of no scopes."""
        return RemoteSpan(self.get_span_context(), self.upstream)


class SpanView(Span):
    """A span of somebody else's provider, with Sentry's vocabulary."""

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
        """Whether the span's own provider sampled it."""
        return bool(self.get_span_context().trace_flags.sampled)

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
        value = (getattr(self._span, "attributes", None) or {}).get(OP_ATTRIBUTE)
        return value if isinstance(value, str) else None

    @op.setter
    def op(self, value: str | None) -> None:
        if value is not None:
            self._span.set_attribute(OP_ATTRIBUTE, value)

    def set_tag(self, key: str, value: Any) -> None:
        """Set a tag, which is an attribute on a span that is not ours."""
        self._span.set_attribute(key, str(value))

    def set_measurement(self, name: str, value: float, unit: str = "") -> None:
        """Set a measurement, which is an attribute on a span that is not ours."""
        self._span.set_attribute(name, value)

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

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status of the span behind this view."""
        self._span.set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: types.Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Record an exception on the span behind this view."""
        self._span.record_exception(exception, attributes, timestamp, escaped)


def view(span: trace_api.Span) -> Span | None:
    """Return a local span as `Span`, viewing one that another provider made; `None` if there is no local span."""
    if isinstance(span, Span):
        return span if span.get_span_context().is_valid else None
    context = span.get_span_context()
    if isinstance(context, SpanContext) and context.is_valid and not context.is_remote:
        return SpanView(span)
    return None


def parent_of(context: Context) -> trace_api.Span | None:
    """Return the span that a Context's children have as parent, whatever made it."""
    span = context.get(SPAN_KEY)
    return span if isinstance(span, trace_api.Span) else None


REQUEST_KINDS = frozenset({SpanKind.SERVER, SpanKind.CONSUMER})
"""Kinds of a root that is the start of a request or job: it gets an isolation scope of its own."""
