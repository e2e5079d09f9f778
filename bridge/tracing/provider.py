"""TracerProvider and Tracer: the SDK's, whose spans are the bridge's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.sampling import Decision as OtelDecision
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from bridge._guard import guard
from bridge._otel import (
    RANDOM_TRACE_FLAG,
    SPAN_KEY,
    record_end_metrics,
    scope_of_tracer,
    span_limits,
    trace_id_is_random,
    tracer_is_enabled,
)
from bridge.context import scope as scopes_of
from bridge.context.scope import put
from bridge.options import Options
from bridge.tracing.decorating import decorate
from bridge.tracing.following import decision_of, side_by_side
from bridge.tracing.sampler import RootStart, SentrySampler
from bridge.tracing.segment import Segment
from bridge.tracing.span import (
    REQUEST_KINDS,
    NoOpSpan,
    RecordingSpan,
    RemoteSpan,
    Span,
    UnsampledSpan,
    execution,
    note_span_of_error,
    parent_of,
)
from bridge.tracing.suppression import is_own_request, is_suppressed
from bridge.tracing.upstream import upstream_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
    from opentelemetry.trace import Link
    from opentelemetry.trace.span import TraceState
    from opentelemetry.util import types

    from bridge.context.scope import Scopes
    from bridge.tracing.segment import Decision, SegmentSink
    from bridge.tracing.upstream import Upstream

F = TypeVar("F")


class TracerProvider(SdkTracerProvider):
    """OpenTelemetry's SDK provider, whose tracers make spans that are Sentry's too.

    It takes what the SDK's takes. A sampler that is assigned later reaches the tracers that exist already.
    `beside` is the sampler of Sentry's side where another one decides for OpenTelemetry's.
    """

    beside: SentrySampler | None = None

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

    def configure(
        self,
        options: Options | None,
        sampler: Sampler,
        sink: SegmentSink | None,
        beside: SentrySampler | None = None,
    ) -> None:
        """Put another set-up in force, for tracers that exist as well; spans that are open keep theirs."""
        self.options = options or Options()
        self.sampler = sampler
        self.beside = beside
        self.sink = sink

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
            tracer._bridge_provider = self  # type: ignore[attr-defined]  # read by our Tracer only
            tracer.__class__ = Tracer
        return tracer


class Tracer(SdkTracer):
    """The SDK's tracer; starts `RecordingSpan`s where the trace is sampled and light spans where it is not."""

    _bridge_provider: TracerProvider

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
        return self.start(
            SpanStart(name, kind, attributes, links, start_time, record_exception, set_status_on_exception),
            context,
        )

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
        start = SpanStart(name, kind, attributes, links, start_time, record_exception, set_status_on_exception)
        return CurrentSpan(self, start, context, end_on_exit)

    def start(self, start: SpanStart, context: Context | None = None) -> Span:
        """Start a span of either API under `context`, or under what is current; always a span, never an exception."""
        with guard("tracing", "a span could not be started"):
            return self._start(start, context)
        return NoOpSpan()

    def _start(self, start: SpanStart, context: Context | None) -> Span:
        where = context_api.get_current() if context is None else context
        parent = parent_of(where)
        if not tracer_is_enabled(self) or is_suppressed(where):
            return NoOpSpan() if parent is None else NoOpSpan(parent.get_span_context())
        if is_own_request(start, self._bridge_provider.options.dsn):
            return NoOpSpan(INVALID_SPAN_CONTEXT if parent is None else parent.get_span_context(), silent=True)
        segment: Segment | None = getattr(parent, "segment", None)
        if segment is None:
            return self._start_root(start, where, parent, is_current=context is None)
        assert parent is not None
        return self._start_child(start, where, parent, segment)

    def _start_child(self, start: SpanStart, where: Context, parent: trace_api.Span, segment: Segment) -> Span:
        parent_context = parent.get_span_context()
        scopes = scopes_of.find(where)
        if segment.recording and segment.closed:
            segment = segment.follow_up(scopes, execution())
            span = self._make(start, segment, parent_context, scopes, where)
            segment.root = span
            return span
        provider = self._bridge_provider
        if isinstance(provider.sampler, SentrySampler):
            return self._make(start, segment, parent_context, scopes, where)
        result = _ask(provider.sampler, start, where, segment.trace_id, parent_context.trace_state)
        start = start.with_attributes(result.attributes)
        recording = result.decision is not OtelDecision.DROP or (provider.beside is not None and segment.sends)
        flags = segment.flags_of(result.decision is OtelDecision.RECORD_AND_SAMPLE)
        return self._make(start, segment, parent_context, scopes, where, recording, flags)

    def _start_root(self, start: SpanStart, where: Context, parent: trace_api.Span | None, *, is_current: bool) -> Span:
        provider = self._bridge_provider
        scopes = scopes_of.of(None if is_current else where)
        if start.kind in REQUEST_KINDS:
            scopes = scopes.for_root_of_request(parent if isinstance(parent, RemoteSpan) else None)
        upstream = None if parent is None else upstream_of(parent)
        if upstream is None and (parent := scopes.propagation.parent_of_process) is not None:
            upstream = upstream_of(parent)
        parent_context = None if upstream is None or parent is None else parent.get_span_context()
        if upstream is None:
            trace_id = scopes.propagation.adopt(self.id_generator.generate_trace_id)
        else:
            trace_id = upstream.trace_id
        start, decision = self._decide(start, where, trace_id, upstream)
        if parent_context is not None:
            is_random = bool(parent_context.trace_flags & RANDOM_TRACE_FLAG)
        else:
            is_random = trace_id_is_random(self.id_generator)
        segment = Segment(
            trace_id,
            decision,
            upstream=upstream,
            scopes=scopes,
            options=provider.options,
            sink=provider.sink,
            execution=execution(),
            random_trace_id=is_random,
        )
        if decision.sampled is False and provider.sink is not None:
            provider.sink.root_not_sampled(decision)
        # The root is set before the span's processors run: a processor may ask for its SpanContext's headers.
        return self._make(start, segment, parent_context, scopes, where)

    def _decide(
        self, start: SpanStart, where: Context, trace_id: int, upstream: Upstream | None
    ) -> tuple[SpanStart, Decision]:
        sampler, beside = self._bridge_provider.sampler, self._bridge_provider.beside
        if isinstance(sampler, SentrySampler):
            return start, sampler.decide(start.of_root(trace_id, upstream))
        result = _ask(sampler, start, where, trace_id, None if upstream is None else upstream.trace_state)
        if beside is None:
            decision = decision_of(result, sampler, trace_id, upstream)
        else:
            decision = side_by_side(beside.decide(start.of_root(trace_id, upstream)), result)
        return start.with_attributes(result.attributes), decision

    def _make(
        self,
        start: SpanStart,
        segment: Segment,
        parent_context: SpanContext | None,
        scopes: Scopes | None,
        where: Context,
        recording: bool | None = None,
        flags: TraceFlags | None = None,
    ) -> Span:
        recording = segment.recording if recording is None else recording
        span_context = SpanContext(
            segment.trace_id,
            self.id_generator.generate_span_id(),
            is_remote=False,
            trace_flags=segment.trace_flags if flags is None else flags,
            trace_state=segment.trace_state(),
        )
        if not recording:
            light = UnsampledSpan(span_context, start.name, start.kind, start.attributes, start.origin is not None)
            self._adopt(light, start, segment, parent_context, scopes)
            return light
        flagged = bool(span_context.trace_flags & TraceFlags.SAMPLED)
        decision = OtelDecision.RECORD_AND_SAMPLE if flagged else OtelDecision.RECORD_ONLY
        span = RecordingSpan(
            name=start.name,
            context=span_context,
            parent=parent_context,
            sampler=self._bridge_provider.sampler,
            resource=self._bridge_provider.resource,
            attributes=start.attributes,
            span_processor=self.span_processor,
            kind=start.kind,
            links=start.links or (),
            instrumentation_info=self.instrumentation_info,
            record_exception=start.record_exception,
            set_status_on_exception=start.set_status_on_exception,
            limits=span_limits(self),
            instrumentation_scope=scope_of_tracer(self),
            **record_end_metrics(self, parent_context, decision),
        )
        if start.origin is not None:
            span.origin = start.origin
            span.custom_name = True
        self._adopt(span, start, segment, parent_context, scopes)
        segment.count_start()
        span.start(start_time=start.start_time, parent_context=where)
        return span

    @staticmethod
    def _adopt(
        span: Span,
        start: SpanStart,
        segment: Segment,
        parent_context: SpanContext | None,
        scopes: Scopes | None,
    ) -> None:
        span.segment = segment
        span._bridge_scopes = scopes
        span._parent_span_id = None if parent_context is None else parent_context.span_id
        span._activates = start.activates
        if segment.root is None:
            segment.root = span


@dataclass(slots=True)
class SpanStart:
    """What a span is started with; the fields that OpenTelemetry does not know are those of `start_span`."""

    name: str
    kind: SpanKind = SpanKind.INTERNAL
    attributes: types.Attributes = None
    links: Sequence[Link] | None = ()
    start_time: int | None = None
    record_exception: bool = True
    set_status_on_exception: bool = True
    op: str | None = None
    source: str | None = None
    origin: str | None = None
    sampled: bool | None = None
    activates: bool = False

    def of_root(self, trace_id: int, upstream: Upstream | None) -> RootStart:
        """Return what Sentry's sampler is told of a root that starts like this."""
        return RootStart(
            trace_id,
            self.name,
            self.kind,
            self.attributes,
            upstream,
            self.op,
            self.source,
            self.origin,
            self.sampled,
        )

    def with_attributes(self, attributes: types.Attributes) -> SpanStart:
        """Return the same start with the attributes that a sampler made of it."""
        return replace(self, attributes=attributes)


def _ask(
    sampler: Sampler, start: SpanStart, where: Context, trace_id: int, trace_state: TraceState | None
) -> SamplingResult:
    """Ask another sampler; the trace state, if there is one, has the random value that a consistent one goes by."""
    facts = (where, trace_id, start.name, start.kind, start.attributes, start.links or ())
    return sampler.should_sample(*facts, trace_state) if trace_state else sampler.should_sample(*facts)


class CurrentSpan:
    """What `start_as_current_span` returns: a span is started and active from `__enter__` to `__exit__`.

    One class where the SDK stacks two generator context managers.
    """

    __slots__ = ("_context", "_end_on_exit", "_span", "_start", "_token", "_tracer")

    def __init__(self, tracer: Tracer, start: SpanStart, context: Context | None, end_on_exit: bool) -> None:
        self._tracer = tracer
        self._start = start
        self._context = context
        self._end_on_exit = end_on_exit

    def start(self) -> Span:
        """Start the span of one call of a decorated function."""
        return self._tracer.start(self._start, self._context)

    def end(self, span: trace_api.Span, error: BaseException | None) -> None:
        """End the span of one call of a decorated function."""
        if isinstance(error, Exception):
            _record_failure(span, error, self._start)
        if self._end_on_exit:
            span.end()

    def __enter__(self) -> Span:
        span = self._span = self.start()
        where = put(context_api.get_current(), SPAN_KEY, span)
        if self._context is not None and span._bridge_scopes is not None:
            # A span of another provider that is started inside must find this request's scopes too.
            where = scopes_of.with_scopes(where, span._bridge_scopes)
        self._token = context_api.attach(where)
        return span

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        context_api.detach(self._token)
        self.end(self._span, exc)

    def __call__(self, func: F) -> F:
        """Decorate a function: each call gets a span of its own."""
        return decorate(func, lambda: self)


def _record_failure(span: trace_api.Span, error: Exception, start: SpanStart) -> None:
    """Record an exception as OpenTelemetry's `use_span` does."""
    note_span_of_error(error, span)
    if not span.is_recording():
        return
    if start.record_exception:
        span.record_exception(error)
    if start.set_status_on_exception:
        span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
