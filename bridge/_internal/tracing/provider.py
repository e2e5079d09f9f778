"""TracerProvider and Tracer: the SDK's, whose spans are the bridge's."""

from __future__ import annotations

import sys
import weakref
from time import time_ns
from typing import TYPE_CHECKING, Any, TypeVar, cast

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator as SdkRandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision as OtelDecision
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Link, SpanContext, SpanKind, TraceFlags

from bridge._internal import active
from bridge._internal.context.runtime import SCOPES_KEY
from bridge._internal.context.scope import activated, current_scopes, find_scopes
from bridge._internal.guard import guard
from bridge._internal.kept_attributes import OP_ATTRIBUTE, SOURCE_ATTRIBUTE
from bridge._internal.options import Options
from bridge._internal.otel_private import (
    RANDOM_TRACE_FLAG,
    SPAN_KEY,
    counts_spans,
    enabled_check,
    record_end_metrics,
    span_limits,
    trace_id_is_random,
)
from bridge._internal.sampling.foreign_sampler import decision_from_result, independent_decisions
from bridge._internal.sampling.sampler import SentrySampler, SpanStart
from bridge._internal.sampling.upstream import RemoteSpan, upstream_of
from bridge._internal.sources import RandomIds
from bridge._internal.tracing.block_error import record_block_error_as_otel
from bridge._internal.tracing.decorator import decorate
from bridge._internal.tracing.follow_up import follow_up_below, segment_below
from bridge._internal.tracing.light_spans import NO_OP, NoOpSpan, UnsampledSpan
from bridge._internal.tracing.segment import Segment
from bridge._internal.tracing.segment_parent import parent_in, segment_parent_in, segment_parent_span
from bridge._internal.tracing.span import REQUEST_KINDS, RecordingSpan, Span
from bridge._internal.tracing.suppression import SUPPRESS_TRACING_KEY, is_own_request, is_suppressed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
    from opentelemetry.trace.span import TraceState
    from opentelemetry.util import types

    from bridge._internal.context.scope import Scopes
    from bridge._internal.sampling.decision import Decision
    from bridge._internal.sampling.upstream import Upstream
    from bridge._internal.tracing.segment import SegmentSink
    from bridge._internal.tracing.segment_parent import SegmentParent

F = TypeVar("F")


class RandomIdGenerator(RandomIds, SdkRandomIdGenerator):
    """Makes random ids; unlike those of the SDK's generator they do not come from the program's own `random`."""


class TracerProvider(SdkTracerProvider):
    """OpenTelemetry's SDK provider, whose tracers make spans that are Sentry's too.

    It takes what the SDK's takes. A sampler that is assigned later reaches the tracers that exist already.
    `beside` is the sampler of Sentry's side where another one decides for OpenTelemetry's.
    """

    beside: SentrySampler | None = None
    has_processors = False
    """Whether any span processor is registered."""

    def __init__(
        self,
        sampler: Sampler | None = None,
        *args: Any,
        options: Options | None = None,
        sink: SegmentSink | None = None,
        **kwargs: Any,
    ) -> None:
        self.options = options or Options()
        self.sink = sink
        super().__init__(sampler or SentrySampler(), *args, **kwargs)
        if type(self.id_generator) is SdkRandomIdGenerator:
            self.id_generator = RandomIdGenerator()

    def configure(
        self,
        options: Options | None,
        sampler: Sampler,
        sink: SegmentSink | None,
        beside: SentrySampler | None = None,
    ) -> None:
        """Replace the set-up, for existing tracers too; open spans keep theirs."""
        self.options = options or Options()
        self.sampler = sampler
        self.beside = beside
        self.sink = sink

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Add a processor; it gets every recorded span, as in OpenTelemetry."""
        super().add_span_processor(span_processor)
        self.has_processors = True

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Have every processor send what it has, and what waits for Sentry sent; `False` if that took too long."""
        deadline = time_ns() + timeout_millis * 1_000_000
        flushed = super().force_flush(timeout_millis)
        if self.sink is None:
            return flushed
        return self.sink.flush(max(0, deadline - time_ns()) / 1e9) and flushed

    def shutdown(self) -> None:
        """Shut the processors down, and have sent what waits for Sentry."""
        super().shutdown()
        if self.sink is not None:
            self.sink.flush()

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: types.Attributes = None,
    ) -> trace_api.Tracer:
        """Return the tracer of an instrumentation scope; the same one for the same scope."""
        tracer = super().get_tracer(instrumenting_module_name, instrumenting_library_version, schema_url, attributes)
        if type(tracer) is SdkTracer:
            # The SDK names its own class in its get_tracer. Turning the tracer into ours in place keeps its cache,
            # its tracer configurator and its resource updates at work on the same object.
            tracer.__class__ = Tracer
            cast("Tracer", tracer)._belong_to(self)
        return tracer


class Tracer(SdkTracer):
    """The SDK's tracer; starts `RecordingSpan`s where the trace is sampled and light spans where it is not."""

    _bridge_provider: TracerProvider
    _bridge_plainly: bool  # no metrics of spans are kept
    _bridge_is_enabled: Callable[[], bool]
    _bridge_flagged: tuple[IdGenerator | None, int] = (
        None,
        0,
    )  # an id generator, and the flag of the trace ids that it makes
    plain_attributes: int
    """How many attributes a span may have without the SDK's cleaning; -1 if each value's length must be looked at."""
    plain_events: int
    plain_event_attributes: int
    """The same of events, and of the attributes of one."""

    def _belong_to(self, provider: TracerProvider) -> None:
        limits = span_limits(self)
        self._bridge_provider = provider
        self._bridge_plainly = not counts_spans(self)
        self._bridge_is_enabled = enabled_check(self)
        self.plain_attributes = _plain_limit(limits.max_span_attributes, limits.max_span_attribute_length)
        self.plain_events = _plain_limit(limits.max_events, limits.max_attribute_length)
        self.plain_event_attributes = _plain_limit(limits.max_event_attributes, limits.max_attribute_length)

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: types.Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """Start a span that is not active, as in OpenTelemetry."""
        return self.begin(name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception)

    def start_as_current_span(  # type: ignore[override]  # the SDK's is a generator made a context manager
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: types.Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> CurrentSpan:
        """Return a context manager, or decorator, that starts a span and makes it active for the block."""
        start = (name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception)
        return CurrentSpan(self, start, end_on_exit)

    def begin(
        self,
        name: str,
        context: Context | None,
        kind: SpanKind,
        attributes: types.Attributes,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        op: str | None = None,
        source: str | None = None,
        origin: str | None = None,
        sampled: bool | None = None,
    ) -> Span:
        """Start a span of either API under `context`, or under what is current; always a span, never an exception."""
        span: Span
        provider = self._bridge_provider
        try:
            parent_context = context_api.get_current() if context is None else context
            guest = active.guest
            if guest is not None and (attributes or kind is not _INTERNAL):
                folded: Any = guest.fold(kind, attributes, parent_context, is_current=context is None)
                if folded is not None:
                    return folded  # type: ignore[no-any-return]  # a span, though perhaps not one of ours
            parent: Any = parent_context.get(SPAN_KEY)
            sampler: Any = provider.sampler
            # Nearly every span is a child of one of ours that needs no decision, or a head that the rate alone decides
            # about: nothing is made for those but what they are, and nothing is called that can be read
            # (benchmarks/spans.py).
            is_plain = (
                self._bridge_plainly
                and type(sampler) is SentrySampler
                and SUPPRESS_TRACING_KEY not in parent_context
                and (kind is not _CLIENT or not attributes)
                and self._bridge_is_enabled()
            )
            if is_plain and type(parent) in _BRIDGE_SPANS and not (segment := parent._bridge_segment).closed:
                entry: Any = parent_context.get(SCOPES_KEY)
                scopes = entry if entry is not None and entry.owner is parent else parent._bridge_scopes or entry
                if not segment.recording:
                    span = UnsampledSpan(self, segment, name, kind, attributes, parent, scopes)
                else:
                    if segment.collects:
                        with segment.lock:
                            segment.started += 1
                    span = RecordingSpan(self, segment, name, kind, attributes, parent, scopes)
                    if op is not None or source is not None:
                        span.set_attributes(with_op_and_source(None, op, source) or {})
            elif is_plain and parent is None and sampled is None and sampler.is_rate_alone:
                span = self._start_head(
                    name, kind, with_op_and_source(attributes, op, source), parent_context, is_current=context is None
                )
            else:
                start = SpanStart(
                    name,
                    kind,
                    with_op_and_source(attributes, op, source),
                    links,
                    origin=origin,
                    sampled=sampled,
                )
                span = self._start(start, parent_context, is_current=context is None)
            if type(span) is not RecordingSpan:
                if origin is not None and type(span) is UnsampledSpan:
                    span.custom_name = True
                return span
            if origin is not None:
                span.origin = origin
                span.custom_name = True
                if attributes:
                    span.user_attributes = attributes
            if links and not span._has_links:
                span._links = span._make_links(links)
            if not record_exception:
                span._record_exception = False
            if not set_status_on_exception:
                span._set_status_on_exception = False
            span._start_time = time_ns() if start_time is None else start_time
            if provider.has_processors:
                self.span_processor.on_start(span, parent_context=parent_context)
            return span
        except Exception as error:
            with guard("tracing", "a span could not be started"):
                raise error
        return NO_OP

    def _start(self, start: SpanStart, parent_context: Context, *, is_current: bool) -> Span:
        parent = parent_in(parent_context)
        if not self._bridge_is_enabled() or is_suppressed(parent_context):
            return NO_OP if parent is None else NoOpSpan(parent.get_span_context())
        if is_own_request(start.kind, start.attributes, self._bridge_provider.options.dsn):
            return NoOpSpan(INVALID_SPAN_CONTEXT if parent is None else parent.get_span_context(), propagates=False)
        above = None if parent is None else segment_parent_in(parent_context)
        if parent is None or above is None:
            return self._start_root(start, parent_context, parent, is_current=is_current)
        return self._start_child(start, parent_context, parent, above)

    def _start_child(
        self, start: SpanStart, parent_context: Context, parent: trace_api.Span, above: SegmentParent
    ) -> Span:
        segment, scopes = above.segment, find_scopes(parent_context)
        attributes = start.attributes
        recording, flags = segment.recording, None
        provider = self._bridge_provider
        if recording and segment.closed:
            segment = segment_below(above, scopes)
        elif not isinstance(provider.sampler, SentrySampler):
            trace_state = parent.get_span_context().trace_state
            result = _ask_sampler(provider.sampler, start, parent_context, segment.trace_id, trace_state)
            attributes = result.attributes
            recording = result.decision is not OtelDecision.DROP or (provider.beside is not None and segment.sends)
            flags = segment.flags_of(result.decision is OtelDecision.RECORD_AND_SAMPLE)
        return self._make(start.name, start.kind, attributes, segment, parent, scopes, recording, flags, above)

    def _start_head(
        self, name: str, kind: SpanKind, attributes: types.Attributes, parent_context: Context, *, is_current: bool
    ) -> Span:
        """Start a root without a parent; of the sampler nothing is asked but the rate."""
        entry: Any = parent_context.get(SCOPES_KEY)
        scopes: Scopes = current_scopes(None if is_current else parent_context) if entry is None else entry
        if scopes.propagation.parent_of_process is not None or scopes.propagation.link is not None:
            return self._start_root(SpanStart(name, kind, attributes), parent_context, None, is_current=is_current)
        if kind is not _INTERNAL and kind in REQUEST_KINDS:
            scopes = scopes.for_root_of_request(None)
        trace_id = scopes.propagation.adopt(self.id_generator.generate_trace_id)
        decision = cast("SentrySampler", self._bridge_provider.sampler).decide_head(trace_id)
        return self._make_root(name, kind, attributes, trace_id, decision, scopes)

    def _start_root(
        self, start: SpanStart, parent_context: Context, parent: trace_api.Span | None, *, is_current: bool
    ) -> Span:
        scopes = current_scopes(None if is_current else parent_context)
        if start.kind in REQUEST_KINDS:
            scopes = scopes.for_root_of_request(parent if isinstance(parent, RemoteSpan) else None)
        start.upstream = upstream = None if parent is None else upstream_of(parent)
        if upstream is None and (parent := scopes.propagation.parent_of_process) is not None:
            start.upstream = upstream = upstream_of(parent)
        if upstream is None or parent is None:
            trace_id, parent_span_context = scopes.propagation.adopt(self.id_generator.generate_trace_id), None
        else:
            trace_id, parent_span_context = upstream.trace_id, parent.get_span_context()
        start.trace_id = trace_id
        decision, attributes = self._decide(start, parent_context)
        span = self._make_root(
            start.name, start.kind, attributes, trace_id, decision, scopes, upstream, parent_span_context
        )
        if (link := scopes.propagation.take_link()) is not None and isinstance(span, RecordingSpan):
            span._links = span._make_links([Link(link), *(start.links or ())])
        return span

    def _decide(self, start: SpanStart, parent_context: Context) -> tuple[Decision, types.Attributes]:
        """Return the decision for a root, and the attributes that a sampler made of those it was started with."""
        sampler, beside = self._bridge_provider.sampler, self._bridge_provider.beside
        if isinstance(sampler, SentrySampler):
            return sampler.decide(start), start.attributes
        trace_id, upstream = start.trace_id, start.upstream
        result = _ask_sampler(
            sampler, start, parent_context, trace_id, None if upstream is None else upstream.trace_state
        )
        if beside is None:
            return decision_from_result(result, sampler, trace_id, upstream), result.attributes
        return independent_decisions(beside.decide(start), result), result.attributes

    def _make_root(
        self,
        name: str,
        kind: SpanKind,
        attributes: types.Attributes,
        trace_id: int,
        decision: Decision,
        scopes: Scopes,
        upstream: Upstream | None = None,
        parent: SpanContext | None = None,
    ) -> Span:
        provider = self._bridge_provider
        sink = provider.sink
        options = provider.options if active.guest is None else active.guest.options()
        random_flag = self._random_flag() if parent is None else parent.trace_flags & RANDOM_TRACE_FLAG
        segment = Segment(trace_id, decision, scopes, options, sink, random_flag, upstream)
        if decision.sampled is False and sink is not None:
            sink.root_not_sampled(decision)
        return self._make(name, kind, attributes, segment, parent, scopes, decision.record)

    def stand_in(
        self,
        name: str,
        kind: SpanKind,
        segment: Segment,
        parent: SpanContext | None,
        scopes: Scopes | None,
        *,
        span_id: int,
        start_time: int,
        recording: bool,
    ) -> RecordingSpan | UnsampledSpan:
        """Start the span that stands for one of another SDK, under the same ids; the first of a segment opens it."""
        span: RecordingSpan | UnsampledSpan
        if recording:
            span = RecordingSpan(self, segment, name, kind, None, parent, scopes)
            span._span_id, span._start_time = span_id, start_time
        else:
            span = UnsampledSpan(self, segment, name, kind, None, parent, scopes)
            span.__dict__["_context"] = span._context_of(span_id)
        if not segment.was_opened:
            segment.open(span, weakref.ref(span))
        elif recording and segment.collects:
            with segment.lock:
                segment.started += 1
        if isinstance(span, RecordingSpan) and self._bridge_provider.has_processors:
            self.span_processor.on_start(span, parent_context=context_api.get_current())
        return span

    def take_late(self, span: RecordingSpan) -> None:
        """Have a span sent that has ended after its local root was sent: with what is open above it, or by itself."""
        segment = span._bridge_segment
        segment.take_late(span, follow_up_below(segment_parent_span(span), segment))

    def _random_flag(self) -> int:
        """Return the flag for a trace id that the tracer's generator made, which says once whether it is random."""
        generator = self.id_generator
        if self._bridge_flagged[0] is not generator:
            self._bridge_flagged = generator, RANDOM_TRACE_FLAG if trace_id_is_random(generator) else 0
        return self._bridge_flagged[1]

    def _make(
        self,
        name: str,
        kind: SpanKind,
        attributes: types.Attributes,
        segment: Segment,
        parent: trace_api.Span | SpanContext | None,
        scopes: Scopes | None,
        recording: bool,
        flags: TraceFlags | None = None,
        above: SegmentParent | None = None,
    ) -> Span:
        make = RecordingSpan if recording else UnsampledSpan
        span: RecordingSpan | UnsampledSpan = make(self, segment, name, kind, attributes, parent, scopes)
        if not self._bridge_plainly:
            flagged = bool((segment.trace_flags if flags is None else flags) & TraceFlags.SAMPLED)
            decided = OtelDecision.RECORD_AND_SAMPLE if flagged else OtelDecision.RECORD_ONLY
            context = parent.get_span_context() if isinstance(parent, trace_api.Span) else parent
            ended = record_end_metrics(self, context, decided if recording else OtelDecision.DROP)
            if isinstance(span, RecordingSpan):
                span._record_end_metrics = ended
        if flags is not None:
            span._flags = flags
        if above is not None and (above.span is not parent or not recording):
            span._bridge_segment_parent = above
        if not segment.was_opened:  # before the span's processors run: one may ask for the headers
            segment.open(span, weakref.ref(span))
        elif recording and segment.collects:
            with segment.lock:
                segment.started += 1
        return span


def _plain_limit(limit: int | None, longest: int | None) -> int:
    if longest is not None:
        return -1
    return sys.maxsize if limit is None else limit


# Looking up a member of an enumeration costs as much as reading the Context.
_CLIENT, _INTERNAL = SpanKind.CLIENT, SpanKind.INTERNAL
_BRIDGE_SPANS = frozenset({RecordingSpan, UnsampledSpan})


def with_op_and_source(attributes: types.Attributes, op: str | None, source: str | None) -> types.Attributes:
    """Return attributes with op and source among them, where they are given."""
    if op is None and source is None:
        return attributes
    given = {OP_ATTRIBUTE: op, SOURCE_ATTRIBUTE: source}
    return {**(attributes or {}), **{key: value for key, value in given.items() if value is not None}}


def _ask_sampler(
    sampler: Sampler, start: SpanStart, parent_context: Context, trace_id: int, trace_state: TraceState | None
) -> SamplingResult:
    """Ask another sampler; the trace state, if there is one, has the random value that a consistent one goes by."""
    facts = (parent_context, trace_id, start.name, start.kind, start.attributes, start.links or ())
    return sampler.should_sample(*facts, trace_state) if trace_state else sampler.should_sample(*facts)


class CurrentSpan:
    """What `start_as_current_span` returns: a span is started and active from `__enter__` to `__exit__`.

    One class where the SDK stacks two generator context managers.
    """

    __slots__ = ("_end_on_exit", "_span", "_start", "_token", "_tracer")

    def __init__(self, tracer: Tracer, start: tuple[Any, ...], end_on_exit: bool) -> None:
        self._tracer = tracer
        self._start = start
        self._end_on_exit = end_on_exit

    def start(self) -> Span:
        """Start the span of one call of a decorated function."""
        return self._tracer.begin(*self._start)

    def end(self, span: trace_api.Span, error: BaseException | None) -> None:
        """End the span of one call of a decorated function."""
        if error is not None:
            if isinstance(span, RecordingSpan) and isinstance(error, Exception) and span.is_recording():
                span.was_left_by_error = True
            record_exception, set_status_on_exception = self._start[-2:]
            record_block_error_as_otel(
                span, error, record_exception=record_exception, set_status_on_exception=set_status_on_exception
            )
        if self._end_on_exit:
            span.end()

    def __enter__(self) -> Span:
        span = self._span = self._tracer.begin(*self._start)
        self._token = context_api.attach(activated(context_api.get_current(), span, span._bridge_scopes))
        return span

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        context_api.detach(self._token)
        if exc is None and self._end_on_exit:
            self._span.end()
        else:
            self.end(self._span, exc)

    def __call__(self, func: F) -> F:
        """Decorate a function: each call gets a span of its own."""
        return decorate(func, lambda: self)
