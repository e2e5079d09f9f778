"""Spans: an OpenTelemetry span that is also the Sentry span."""

from __future__ import annotations

from time import time_ns
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, cast

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.trace import (
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
)

from bridge._internal.context.scope import activated
from bridge._internal.guard import guard, report_fault
from bridge._internal.kept_attributes import OP_ATTRIBUTE
from bridge._internal.otel_private import (
    EXCEPTION_ESCAPED,
    EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE,
    EXCEPTION_TYPE,
    event_attributes,
    freeze,
    scope_of_tracer,
    set_items,
    shared_attributes,
    span_limits,
)
from bridge._internal.semantics.names import head_name
from bridge._internal.tracing.block_error import record_block_error
from bridge._internal.tracing.error_origin import note_span_of_error
from bridge._internal.tracing.lazy_traceback import LazyTraceback, is_plain
from bridge._internal.tracing.segment_parent import SegmentSpanContext

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from contextvars import Token
    from threading import RLock
    from types import TracebackType

    from opentelemetry.attributes import BoundedAttributes
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.sdk.util.instrumentation import InstrumentationInfo, InstrumentationScope
    from opentelemetry.trace import Link, TraceFlags
    from opentelemetry.util import types
    from typing_extensions import Self

    from bridge._internal.context.scope import ScopeData, Scopes
    from bridge._internal.kept_attributes import KeptAttributes
    from bridge._internal.sampling.upstream import Sampled
    from bridge._internal.tracing.segment import Segment, SegmentRoot
    from bridge._internal.tracing.segment_parent import SegmentParent

    EventAttributes = dict[str, Any]

HTTP_STATUS_ATTRIBUTE = "http.response.status_code"
ORIGIN_NATIVE = "auto.otel"
ORIGIN_MANUAL = "manual"


def status_of(status: Status | StatusCode | str) -> Status | StatusCode:
    """Return OpenTelemetry's status for Sentry's word; what is OpenTelemetry's already stays."""
    if not isinstance(status, str):
        return status
    return Status(StatusCode.OK) if status == "ok" else Status(StatusCode.ERROR, status)


class Span(trace_api.Span):
    """An OpenTelemetry span with Sentry's vocabulary; every span that the bridge hands out is one.

    As a context manager a span of `start_span()` is active inside its block and ends with it. One that a native
    tracer's `start_span` made only ends with it, as in OpenTelemetry.
    """

    _bridge_segment: Segment | None = None
    is_local_root = False  # whether the first of its segment
    was_left_by_error = False  # whether an exception left the block of a native tracer's span
    headers_are_written = False  # whether the headers of the request that it is were written
    counterpart: Any = None  # what another SDK that shares this world has for it: its own span, or a view
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
        return None if self._bridge_segment is None else self._bridge_segment.sampled

    @property
    def root_span(self) -> Span | None:
        """The local root that this span is below, or itself."""
        root = None if self._bridge_segment is None else self._bridge_segment.root
        return root if isinstance(root, Span) else None

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
    def measurements(self) -> Mapping[str, Mapping[str, float | str]]:
        """The span's measurements: name -> {value, unit}."""
        return {}

    def set_tag(self, key: str, value: object) -> None:
        """Set a tag of this span; on a root it is a tag of the transaction."""

    def set_data(self, key: str, value: Any) -> None:
        """Set an attribute, under sentry-sdk's name for it."""
        self.set_attribute(key, value)

    def set_measurement(self, name: str, value: float, unit: str = "") -> None:
        """Set a measurement, such as `("memory", 12.5, "megabyte")`."""

    def set_status(self, status: Status | StatusCode | str, description: str | None = None) -> None:
        """Set the status, as OpenTelemetry does, or by Sentry's word for it: `"ok"`, `"not_found"`, `"cancelled"`."""

    def set_http_status(self, code: int) -> None:
        """Set the HTTP status code, which the span's status is derived from when it ends."""
        self.set_attribute(HTTP_STATUS_ATTRIBUTE, code)

    def finish(self, end_timestamp: int | None = None) -> None:
        """End the span, under sentry-sdk's name for it; `end_timestamp` in nanoseconds since the epoch."""
        self.end(end_timestamp)

    def __enter__(self) -> Self:
        if self._activates and self._token is None:
            self._token = context_api.attach(activated(context_api.get_current(), self.viewed, self._bridge_scopes))
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        token, self._token = self._token, None
        if token is not None:
            context_api.detach(token)
        if exc is not None:
            record_block_error(self.viewed, exc)
        self.end()


class SpanProvider(Protocol):
    """What a span needs of its tracer's provider."""

    @property
    def has_processors(self) -> bool: ...
    @property
    def resource(self) -> Resource: ...
    @property
    def sampler(self) -> Sampler: ...


class SpanTracer(Protocol):
    """What a span needs of the tracer that started it."""

    id_generator: IdGenerator
    plain_attributes: int
    plain_events: int
    plain_event_attributes: int

    @property
    def _bridge_provider(self) -> SpanProvider: ...
    @property
    def span_processor(self) -> SpanProcessor: ...
    @property
    def instrumentation_info(self) -> InstrumentationInfo: ...

    def take_late(self, span: RecordingSpan) -> None:
        """Have a span sent that has ended after its local root was sent."""


class LocalSpan(Span):
    """What the two kinds of spans that our tracers start have in common; their ids' context is made when asked for."""

    _bridge_segment: Segment
    custom_name = False
    user_attributes: Collection[str] = ()  # what the program set by hand, not through OpenTelemetry's API
    _flags: TraceFlags | None = None  # where they are not the segment's
    _parent_found: trace_api.Span | SpanContext | None
    _bridge_segment_parent: SegmentParent | None = None  # where it is not the parent that OpenTelemetry knows

    @property
    def _parent_span_id(self) -> int | None:  # type: ignore[override]  # a field of spans that others made
        above = self._bridge_segment_parent
        return span_id_of(self._parent_found) if above is None else above.span_id

    def transaction_name(self) -> str | None:
        """Return the name for a DSC that is about to be frozen: none while all that is known is a URL."""
        return transaction_name_of(cast("SegmentRoot", self))  # every class below is one

    def _context_of(self, span_id: int) -> SpanContext:
        segment = self._bridge_segment
        flags = segment.trace_flags if self._flags is None else self._flags
        return SegmentSpanContext.of_segment(segment, span_id, flags, segment.trace_state())


class RecordingSpan(LocalSpan, SdkSpan):
    """A sampled span: an SDK span for every processor, exporter and instrumentation.

    The SDK's constructor is not called: it makes eight objects that most spans never use, for two thirds of what a span
    costs (benchmarks/spans.py). What the SDK's methods look for is made when it is first asked for (`__getattr__`).
    The lock is the segment's: one for all its spans.
    """

    if not TYPE_CHECKING:
        # Straight to the interpreter's own: the SDK's is there to keep users from making spans by hand.
        __new__ = object.__new__

    origin = ORIGIN_NATIVE
    _bridge_thread: tuple[int, str] | None = None  # where it ended, if it is streamed
    _tags: dict[str, Any] | None = None
    _measurements: dict[str, dict[str, float | str]] | None = None
    # What the SDK's constructor would have set on each span.
    _end_time: int | None = None
    _status = Status(StatusCode.UNSET)
    _record_exception = True
    _set_status_on_exception = True
    _record_end_metrics: Callable[[], None] | None = None
    _trace_config = None
    _is_cleaned = False  # whether the SDK's own attributes were made
    _plain_events: list[tuple[str, EventAttributes, int]] | None = None
    _has_events = False  # whether the SDK's own events were made
    _has_links = False

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
        self._name = name
        self._kind = kind
        self._span_id = tracer.id_generator.generate_span_id()
        self._parent_found = parent
        self._bridge_scopes = scopes
        self._resource = tracer._bridge_provider.resource  # it may be another one when the span ends
        self._plain: dict[str, types.AttributeValue] = {}
        if attributes:
            self._put(attributes)

    def __getattr__(self, name: str) -> Any:
        """Make what the SDK's own methods expect, when one of them is called."""
        make = _MADE_WHEN_ASKED.get(name)
        if make is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self.__dict__.setdefault(name, make(self))

    @property
    def _lock(self) -> RLock:  # type: ignore[override]  # the SDK sets one on each span
        return self._bridge_segment.lock

    @property
    def thread(self) -> tuple[int, str] | None:
        """Id and name of the thread that the span ended in, if it is streamed."""
        return self._bridge_thread

    @property
    def is_manual(self) -> bool:
        """Whether the program started the span by `start_span`."""
        return self.origin != ORIGIN_NATIVE

    @property
    def trace_id(self) -> str:
        """The trace id, 32 lower-case hex digits."""
        return f"{self._bridge_segment.trace_id:032x}"

    @property
    def span_id(self) -> str:
        """The span id, 16 lower-case hex digits."""
        return f"{self._span_id:016x}"

    @property
    def attributes(self) -> types.Attributes:
        """The span's attributes, read-only."""
        if self._end_time is not None and not self._is_cleaned:
            return MappingProxyType(self._plain)
        return MappingProxyType(cast("BoundedAttributes", self._attributes))

    def taken_attributes(self) -> Mapping[str, Any]:
        """Return what limits took of the attributes: it is not sent, but tells what the span means."""
        return cast("KeptAttributes", self._attributes).taken() if self._is_cleaned else {}

    @property
    def events(self) -> Sequence[Event]:
        """The span's events, as they are now."""
        return tuple(self._events) if self._has_events or self._plain_events else ()

    @property
    def links(self) -> Sequence[Link]:
        """The span's links, as they are now."""
        return tuple(self._links) if self._has_links else ()

    @property
    def instrumentation_scope(self) -> InstrumentationScope | None:
        """What made the span."""
        return cast("InstrumentationScope | None", scope_of_tracer(self._tracer))

    @property
    def op(self) -> str | None:
        """The op that was given, or `None`: then it is inferred from the attributes when the span ends."""
        value = self.taken_attributes().get(OP_ATTRIBUTE) or self._plain.get(OP_ATTRIBUTE)
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
    def measurements(self) -> Mapping[str, Mapping[str, float | str]]:
        """The span's measurements: name -> {value, unit}."""
        return self._measurements or {}

    def set_status(self, status: Status | StatusCode | str, description: str | None = None) -> None:
        """Set the status, as OpenTelemetry does, or by Sentry's word for it: `"ok"`, `"not_found"`, `"cancelled"`."""
        SdkSpan.set_status(self, status_of(status), description)

    def set_tag(self, key: str, value: object) -> None:
        """Set a tag of this span; on a root it is a tag of the transaction."""
        with self._bridge_segment.lock:
            if self._end_time is None:
                self._tags = {**(self._tags or {}), key: value}

    def set_measurement(self, name: str, value: float, unit: str = "") -> None:
        """Set a measurement, such as `("memory", 12.5, "megabyte")`."""
        with self._bridge_segment.lock:
            if self._end_time is None:
                self._measurements = {**(self._measurements or {}), name: {"value": value, "unit": unit}}

    def set_data(self, key: str, value: Any) -> None:
        """Set an attribute, under sentry-sdk's name for it; it is sent as it is."""
        self.set_attribute(key, value)
        self.user_attributes = {*self.user_attributes, key}

    def set_attribute(self, key: str, value: types.AttributeValue) -> None:
        """Set an attribute, as the SDK does."""
        # Values of these types need no cleaning, which is nine tenths of the SDK's cost (benchmarks/spans.py).
        if type(value) in _PLAIN_TYPES and type(key) is str and key:
            with self._bridge_segment.lock:
                plain = self._plain
                if self._end_time is None and len(plain) < self._tracer.plain_attributes:
                    if key in plain:
                        del plain[key]  # what is set again is the last
                    plain[key] = value
                    return
        super().set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, types.AttributeValue]) -> None:
        """Set attributes, as the SDK does."""
        with self._bridge_segment.lock:
            if self._end_time is None:
                self._put(attributes)
                return
        super().set_attributes(attributes)

    def _put(self, attributes: Mapping[str, types.AttributeValue]) -> None:
        plain = self._plain
        if _are_plain(attributes, self._tracer.plain_attributes - len(plain)):
            if plain:
                for key in attributes:
                    plain.pop(key, None)
            plain.update(attributes)
        else:
            set_items(cast("BoundedAttributes", self._attributes), attributes)

    def get_span_context(self) -> SpanContext:
        """Return the span's ids, flags and trace state."""
        context: SpanContext = self._context  # type: ignore[assignment]  # the SDK's may be None
        return context

    def is_recording(self) -> bool:
        """Whether the span has not ended."""
        return self._end_time is None

    def add_event(self, name: str, attributes: types.Attributes = None, timestamp: int | None = None) -> None:
        """Add an event, as the SDK does."""
        if not attributes or _are_plain(attributes, self._tracer.plain_event_attributes):
            given = dict(attributes) if attributes else {}
            if self._keep_event(name, given, timestamp):
                return
        super().add_event(name, attributes, timestamp)

    def _keep_event(self, name: str, attributes: EventAttributes, timestamp: int | None) -> bool:
        """Keep an event that needs no cleaning as it is, until it is read."""
        with self._bridge_segment.lock:
            if self._end_time is not None or self._has_events:
                return False
            plain = self._plain_events
            if plain is None:
                plain = self._plain_events = []
            if len(plain) >= self._tracer.plain_events:
                return False
            plain.append((name, attributes, time_ns() if timestamp is None else timestamp))
            return True

    def record_exception(
        self,
        exception: BaseException,
        attributes: types.Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Record an exception as a span event, as the SDK does."""
        note_span_of_error(exception, self)
        try:
            if attributes or not is_plain(exception) or not self._keep_exception(exception, timestamp, escaped=escaped):
                super().record_exception(exception, attributes, timestamp, escaped)
        except Exception as error:  # the exception's own `__str__`
            report_fault("tracing", "an exception could not be recorded", error)
        segment = self._bridge_segment
        if segment.options.capture_span_exceptions and segment.sink is not None:
            segment.sink.exception_recorded(exception)

    def _keep_exception(self, error: BaseException, timestamp: int | None, *, escaped: bool) -> bool:
        if self._tracer.plain_event_attributes < 4:
            return False
        kind = type(error)
        message = str(error)
        given = {
            EXCEPTION_TYPE: kind.__qualname__
            if kind.__module__ in ("builtins", "", None)
            else f"{kind.__module__}.{kind.__qualname__}",
            EXCEPTION_MESSAGE: message,
            EXCEPTION_STACKTRACE: LazyTraceback(error, message),
            EXCEPTION_ESCAPED: str(escaped),
        }
        return self._keep_event("exception", given, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """End the span at `end_time`, nanoseconds since the epoch, or now. Never raises, never blocks on I/O."""
        segment, tracer = self._bridge_segment, self._tracer
        with segment.lock:
            first = self._end_time is None
            if first:
                self._end_time = time_ns() if end_time is None else end_time
                if self._is_cleaned:
                    freeze(cast("BoundedAttributes", self._attributes))
                is_watched = tracer._bridge_provider.has_processors or self._record_end_metrics is not None
                if not is_watched and not self.is_local_root and segment.keep(self):
                    return
        if not first:
            SdkSpan.end(self, end_time)  # which says so
            return
        try:
            if self._record_end_metrics is not None:
                self._record_end_metrics()
            if tracer._bridge_provider.has_processors:
                tracer.span_processor._on_ending(self)
                tracer.span_processor.on_end(self._readable_span())
        except Exception as error:  # a span processor of the user's
            report_fault("tracing", "a span processor raised when a span ended", error)
        try:
            segment = self._bridge_segment  # a follow-up may have begun with this span before it ended
            if not segment.take(self):
                tracer.take_late(self)
        except Exception as error:
            with guard("tracing", "a finished span could not be handed over"):
                raise error

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._activates:
            Span.__exit__(self, exc_type, exc, tb)
        else:
            SdkSpan.__exit__(self, exc_type, exc, tb)

    def _bridge_note_own_scope(self, data: ScopeData) -> None:
        """Take what the root's own block wrote to its current scope; other tasks' and threads' writes are theirs."""
        if self.is_local_root:
            self._bridge_segment.note_own_scope(data)

    def _make_attributes(self) -> BoundedAttributes:
        self._is_cleaned = True
        return shared_attributes(self._limits, self._plain, frozen=self._end_time is not None)

    def _make_events(self) -> Sequence[Event]:
        with self._bridge_segment.lock:
            if not self._has_events:
                self._has_events = True
                events = cast("Any", self)._new_events()
                for name, attributes, timestamp in self._plain_events or ():
                    if EXCEPTION_STACKTRACE in attributes:
                        attributes[EXCEPTION_STACKTRACE] = str(attributes[EXCEPTION_STACKTRACE])
                    events.append(Event(name, event_attributes(self._limits, attributes), timestamp))
                self._plain_events = None
                self._events = events
            return self._events

    def _make_links(self, links: Sequence[Link]) -> Sequence[Link]:
        self._has_links = True
        made: Sequence[Link] = cast("Any", self)._new_links(links)
        return made

    def _find_parent(self) -> SpanContext | None:
        found = self._parent_found
        return found.get_span_context() if isinstance(found, trace_api.Span) else found


_PLAIN_TYPES = frozenset({str, int, float, bool})
_TEXT_TYPES = frozenset({str})


def _are_plain(attributes: Mapping[str, object], most: int) -> bool:
    """Whether attributes need none of the SDK's cleaning, and are not too many."""
    return (
        type(attributes) is dict
        and len(attributes) <= most
        and _PLAIN_TYPES.issuperset(map(type, attributes.values()))
        and _TEXT_TYPES.issuperset(map(type, attributes))
        and "" not in attributes
    )


_MADE_WHEN_ASKED: Mapping[str, Callable[[RecordingSpan], object]] = {
    "_attributes": RecordingSpan._make_attributes,
    "_context": lambda span: span._context_of(span._span_id),
    "_events": RecordingSpan._make_events,
    "_instrumentation_info": lambda span: span._tracer.instrumentation_info,
    "_instrumentation_scope": lambda span: scope_of_tracer(span._tracer),
    "_limits": lambda span: span_limits(span._tracer),
    "_links": lambda span: span._make_links(()),
    "_parent": RecordingSpan._find_parent,
    "_sampler": lambda span: span._tracer._bridge_provider.sampler,
    "_span_processor": lambda span: span._tracer.span_processor,
}
"""What the SDK's spans have from the start: name -> how it is made when it is first asked for."""


def transaction_name_of(span: SegmentRoot) -> str | None:
    """Return the name that a span's attributes tell; none while all that is known is a URL."""
    return head_name(span.name, span.kind, span.attributes or {}, custom_name=span.custom_name)


def span_id_of(parent: trace_api.Span | SpanContext | None) -> int | None:
    """Return the span id of a parent, whatever kind it is."""
    # By type first: asking for an abstract class costs as much as a third of writing the headers
    # (benchmarks/propagation.py).
    if parent is None:
        return None
    if type(parent) is RecordingSpan:
        return int(parent._span_id)
    if type(parent) is SpanContext:
        return parent.span_id
    return parent.get_span_context().span_id if isinstance(parent, trace_api.Span) else parent.span_id


def parent_span_id_of(span: trace_api.Span) -> int | None:
    """Return the span id of a span's parent, of any provider; `None` if it has none or does not know it."""
    # By type first: see span_id_of.
    if type(span) is RecordingSpan or isinstance(span, Span):
        return span._parent_span_id
    parent = span.parent if isinstance(span, ReadableSpan) else None
    return None if parent is None else parent.span_id


REQUEST_KINDS = frozenset({SpanKind.SERVER, SpanKind.CONSUMER})
"""Kinds of a root that is the start of a request or job: it gets an isolation scope of its own."""
