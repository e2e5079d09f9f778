"""SentrySpanProcessor: takes the spans of any SDK provider, with its sampler and its tracers as they are."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import TraceFlags

from bridge._internal import active
from bridge._internal.context.context_values import active_span
from bridge._internal.context.scope import current_scopes, find_scopes
from bridge._internal.foreign.adopted_span import (
    AdoptedSpan,
    adopted_root,
    lead_adopted,
    note_dropped,
    note_membership,
    note_taken,
    was_dropped,
)
from bridge._internal.guard import guard
from bridge._internal.options import Options
from bridge._internal.otel_private import RANDOM_TRACE_FLAG, processors_within, sampler_of_span, span_processors
from bridge._internal.sampling.decision import Decision
from bridge._internal.sampling.foreign_sampler import (
    decision_among_recorded,
    foreign_decision,
    has_decided_for_sentry,
)
from bridge._internal.sampling.sampler import SentrySampler, SpanStart, sample_rand_for
from bridge._internal.sampling.upstream import RemoteSpan, upstream_of
from bridge._internal.tracing.error_origin import note_span_of_error
from bridge._internal.tracing.follow_up import follow_up_below, segment_below
from bridge._internal.tracing.segment import Segment, SegmentSink, segment_of
from bridge._internal.tracing.segment_parent import parent_in, segment_parent_in, segment_parent_span
from bridge._internal.tracing.span import (
    ORIGIN_NATIVE,
    REQUEST_KINDS,
    RecordingSpan,
)

if TYPE_CHECKING:
    from opentelemetry import trace as trace_api
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace import Span as SdkSpan
    from opentelemetry.trace import SpanKind

    from bridge._internal.context.scope import Scopes
    from bridge._internal.sampling.upstream import Upstream

_FOLLOWING = SentrySampler()


class SentrySpanProcessor(SpanProcessor):
    """Makes segments of the spans that it is told of, of any provider but the bridge's own.

    Its provider decides what is recorded, Sentry's rate what of that goes to Sentry. It notes on the span what it knows
    of it. A span is taken once, however many of these are told of it: when it is ending, from the live span that other
    processors see too.

    `init` adds one. One that is wired by hand serves the active client. It may be wrapped, in a filter say, which need
    not pass `_on_ending` on: then a span is found by its id when `on_end` brings a copy of it.
    """

    def __init__(
        self,
        options: Options | None = None,
        sink: SegmentSink | None = None,
        sampler: SentrySampler | None = None,
    ) -> None:
        self._is_off = False
        self._started: weakref.WeakValueDictionary[int, SdkSpan] | None = None
        self.serve(options, sink, sampler)
        if options is None:
            self._started = weakref.WeakValueDictionary()

    def serve(self, options: Options | None, sink: SegmentSink | None, sampler: SentrySampler | None) -> None:
        """Serve a client, or with `None` the active one."""
        self._options = options
        self._sink = sink
        self._sentry_sampler = sampler
        self._is_off = False

    def turn_off(self) -> None:
        """Take no spans any more; for a provider that does not let it be taken off."""
        self._is_off = True

    @property
    def serves_active(self) -> bool:
        """Whether it was wired by hand, and serves the active client, whichever that is."""
        return self._options is None

    def serves_only(self, options: Options) -> bool:
        """Whether it is the one of the client with these options; one that was wired by hand serves any."""
        return self._options is options

    @property
    def options(self) -> Options:
        """Those that were given, else those of the active client."""
        return self._options or active.options() or Options()

    @property
    def sink(self) -> SegmentSink | None:
        """Where segments go: the one that was given, else the active client."""
        if self._options is not None:
            return self._sink
        return None if active.client is None else active.client.sink

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        """Note on the span which segment and which scopes it belongs to."""
        if self._is_off or isinstance(span, RecordingSpan) or segment_of(span) is not None:
            return
        try:
            context = context_api.get_current() if parent_context is None else parent_context
            self._adopt(span, context, is_current=parent_context is None)
            if self._started is not None:
                self._started[span.get_span_context().span_id] = span
        except Exception as error:
            with guard("capture", "the start of a span of another provider could not be noted"):
                raise error

    def _adopt(self, span: SdkSpan, context: Context, *, is_current: bool) -> None:
        above, scopes = segment_parent_in(context), find_scopes(context)
        if above is None:
            segment = self._root(span, parent_in(context), context, is_current=is_current)
            scopes = segment.scopes
        else:
            segment = segment_below(above, scopes, lead_adopted)
        note_membership(span, segment, scopes, above)
        if segment.sends and segment.options.capture_span_exceptions and segment.sink is not None:
            _capture_recorded_exceptions(span, segment.sink)

    def adopt_dropped(self, span: trace_api.Span, kind: SpanKind, context: Context, *, is_current: bool) -> None:
        """Note on a span that the provider's sampler dropped which scopes it belongs to, and which segment if any."""
        above, parent = segment_parent_in(context), active_span(context)
        if above is not None:
            note_dropped(span, find_scopes(context), above)
        elif parent is None or not was_dropped(parent):
            note_dropped(span, self._scopes_of_root(span, kind, parent, context, is_current=is_current)[0], None)
        else:
            note_dropped(span, find_scopes(context), None)

    def _scopes_of_root(
        self, span: trace_api.Span, kind: SpanKind, parent: trace_api.Span | None, context: Context, *, is_current: bool
    ) -> tuple[Scopes, Upstream | None]:
        """Return the scopes that a local root belongs to, and what the service before it says of the trace."""
        scopes = current_scopes(None if is_current or context is context_api.get_current() else context)
        if kind in REQUEST_KINDS:
            scopes = scopes.for_root_of_request(parent if isinstance(parent, RemoteSpan) else None)
        upstream = None if parent is None else upstream_of(parent)
        if upstream is None:
            scopes.propagation.adopt(lambda: span.get_span_context().trace_id)
        return scopes, upstream

    def _root(self, span: SdkSpan, parent: trace_api.Span | None, context: Context, *, is_current: bool) -> Segment:
        options, span_context = self.options, span.get_span_context()
        scopes, upstream = self._scopes_of_root(span, span.kind, parent, context, is_current=is_current)
        if (link := scopes.propagation.take_link()) is not None:
            span.add_link(link)
        sink = self.sink
        decision = self._decide(span, upstream)
        if decision.sampled is False and sink is not None:
            sink.root_not_sampled(decision)
        return Segment(
            span_context.trace_id,
            decision,
            scopes,
            options,
            sink,
            span_context.trace_flags & RANDOM_TRACE_FLAG,
            upstream,
        )

    def _decide(self, span: SdkSpan, upstream: Upstream | None) -> Decision:
        """Return Sentry's decision beside the provider's; with tracing off nothing is sent, whatever that is."""
        span_context, options = span.get_span_context(), self.options
        trace_id, trace_state = span_context.trace_id, span_context.trace_state
        if not options.tracing_enabled:
            sampled = None if upstream is None else upstream.sampled
            return Decision(sampled, sample_rand_for(trace_id, upstream), record=False)
        flag, theirs = bool(span_context.trace_flags & TraceFlags.SAMPLED), sampler_of_span(span)
        ours = self._sentry_sampler or _FOLLOWING
        if not options.decides_for_sentry or has_decided_for_sentry(theirs, trace_state, upstream):
            return foreign_decision(
                flag, trace_id=trace_id, upstream=upstream, sampler=theirs, trace_state=trace_state, record=True
            )
        start = SpanStart(span.name, span.kind, span.attributes, span.links, trace_id, upstream, origin=ORIGIN_NATIVE)
        return decision_among_recorded(ours, start, sampler=theirs, flag=flag, trace_state=trace_state)

    def _on_ending(self, span: SdkSpan) -> None:
        """Take the span into its segment."""
        if self._started is not None:
            self._started.pop(span.get_span_context().span_id, None)
        if isinstance(span, RecordingSpan):
            return
        try:
            segment = segment_of(span)
            if segment is None:
                return
            with segment.lock:  # under which a follow-up begins with an open span
                if not note_taken(span):
                    return
                root, segment = adopted_root(span), segment_of(span)
                if segment is None or (root is None and segment.keep(span)):
                    return
            ended = AdoptedSpan(span) if root is None else root
            if not segment.take(ended):
                segment.take_late(ended, follow_up_below(segment_parent_span(span), segment, lead_adopted))
        except Exception as error:
            with guard("capture", "a span of another provider could not be taken"):
                raise error

    def on_end(self, span: ReadableSpan) -> None:
        """Take the span that this is a copy of, where what wraps this did not tell that it was ending."""
        if self._started is not None and span.context is not None:
            live = self._started.get(span.context.span_id)
            if live is not None and live.get_span_context() == span.context:
                self._on_ending(live)

    def shutdown(self) -> None:
        """Have sent what waits for Sentry."""
        if self.sink is not None:
            self.sink.flush()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Have sent what waits for Sentry; `False` if that took too long."""
        return self.sink is None or self.sink.flush(timeout_millis / 1000)


def sentry_processors(provider: Any) -> list[SentrySpanProcessor]:
    """Return ours among the processors of a provider and what they pass on to, and the one remembered as added."""
    within = (one for outer in span_processors(provider) for one in processors_within(outer))
    found = [one for one in within if isinstance(one, SentrySpanProcessor)]
    known = remembered_processor(provider)
    return found if known is None else [*found, known]


def remember_processor(provider: Any, processor: SentrySpanProcessor) -> None:
    """Note on a provider, which does not show what is behind it, that this was added to it."""
    with suppress(AttributeError):  # an object that takes no attribute
        provider._bridge_processor = processor


def remembered_processor(provider: Any) -> SentrySpanProcessor | None:
    """Return what was noted as added to a provider."""
    known: SentrySpanProcessor | None = getattr(provider, "_bridge_processor", None)
    return known


def _capture_recorded_exceptions(span: SdkSpan, sink: SegmentSink) -> None:
    """Have exceptions that are recorded on this span sent; there is no hook of the SDK's that is given them."""
    find_span = weakref.ref(span)  # what stands on a span must not keep it

    def record_exception(exception: BaseException, *arguments: Any, **keywords: Any) -> None:
        recording = find_span()
        assert recording is not None  # it is the one that this was called on
        type(recording).record_exception(recording, exception, *arguments, **keywords)
        with guard("capture", "a recorded exception could not be captured"):
            note_span_of_error(exception, recording)
            sink.exception_recorded(exception)

    vars(span)["record_exception"] = record_exception  # shadows the method of this span alone
