"""Client: options, provider, capture and delivery wired together."""

from __future__ import annotations

import random
import socket
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api

from bridge._internal import sources
from bridge._internal.capture.control_flow import is_control_flow
from bridge._internal.capture.event import exception_event, message_event
from bridge._internal.capture.scope_data import SDK, apply_scope
from bridge._internal.capture.timestamps import rfc3339
from bridge._internal.capture.trace_lifecycle import StreamedSpans, WholeTransactions
from bridge._internal.capture.transaction import PayloadOptions, open_semantics_of
from bridge._internal.context import scope as scopes_of
from bridge._internal.context.scope import ScopeData, run_event_processors
from bridge._internal.delivery import outcomes as reasons
from bridge._internal.delivery.backpressure import Backpressure
from bridge._internal.delivery.custom import CustomTransport
from bridge._internal.delivery.envelope import ERROR_CATEGORY, EVENT, SPAN_CATEGORY, TRANSACTION_CATEGORY, Item
from bridge._internal.delivery.observer import Watcher
from bridge._internal.delivery.outcomes import Outcomes
from bridge._internal.delivery.sender import Sender
from bridge._internal.delivery.shown import ShownOnly
from bridge._internal.delivery.spotlight import SpotlightTransport
from bridge._internal.delivery.transport import HttpTransport
from bridge._internal.guard import guard, report_fault
from bridge._internal.integrations.instrumentors import Instrumentations
from bridge._internal.propagation.propagator import SentryPropagator
from bridge._internal.propagation.trace_link import TraceLink, link_of, link_of_span
from bridge._internal.semantics.privacy import Privacy
from bridge._internal.tracing.error_origin import span_of_error
from bridge._internal.tracing.open_segments import OpenSegments
from bridge._internal.tracing.span import parent_of
from bridge._internal.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge._internal.capture.transaction import SpanLike
    from bridge._internal.context.scope import Attachment
    from bridge._internal.delivery.envelope import Envelope
    from bridge._internal.delivery.outcomes import Accounting
    from bridge._internal.delivery.transport import Transport
    from bridge._internal.dsn import Dsn
    from bridge._internal.integrations.instrumentors import Instrumentation
    from bridge._internal.options import Options
    from bridge._internal.semantics.inference import Semantics
    from bridge._internal.tracing.segment import Decision, Segment


class Client:
    """What `init` makes: it decides nothing and measures nothing, it carries what was recorded to Sentry.

    `tracer` and `tracer_provider` are OpenTelemetry's; `options` says what is in force.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.outcomes = Outcomes()
        self._transport: Transport | None = _make_transport(options, self.outcomes)
        self._watcher = _make_watcher(options)
        self.tracer_provider: trace_api.TracerProvider = trace_api.NoOpTracerProvider()
        self._tracer: trace_api.Tracer | None = None
        self.propagator = SentryPropagator()
        self._payload_options = PayloadOptions(
            release=options.release,
            environment=options.environment,
            dist=options.dist,
            server_name=options.server_name or socket.gethostname(),
            privacy=Privacy(send_default_pii=options.send_default_pii, scrub_names=options.scrub_names),
            cache_prefixes=options.cache_prefixes,
        )
        streams = options.trace_lifecycle == "stream"
        self._sender = Sender(
            options,
            self._payload_options,
            self.outcomes,
            self._transport,
            tick=self._tick if streams or options.console else None,
            watcher=self._watcher,
        )
        self._lifecycle = StreamedSpans(self._sender) if streams else WholeTransactions(self._sender)
        self.open_segments = OpenSegments()
        self._instrumentations = Instrumentations(
            options.instrumentations, carries_context=options.patch_threads, cache_prefixes=options.cache_prefixes
        )
        self.backpressure = Backpressure(self.is_healthy)
        self._closed = False
        self.collects_spans = self.sends and options.trace_lifecycle != "none"
        self.streams_spans = streams
        if options.console:
            self._sender.worker.submit(partial(self._watcher.begin, options))

    @property
    def dsn(self) -> Dsn | None:
        """Where this client sends to."""
        return self.options.dsn

    @property
    def transport(self) -> Any:
        """What sends: what was given to `init`, else the HTTP transport; `None` where nobody would get anything."""
        return self._transport if self.options.transport is None else self.options.transport

    @property
    def trace_provider(self) -> trace_api.TracerProvider:
        """Another name for `tracer_provider`."""
        return self.tracer_provider

    @property
    def tracer(self) -> trace_api.Tracer:
        """The OpenTelemetry tracer that `start_span` uses."""
        # Kept: the SDK's get_tracer takes a lock and changes the warning filters at every call.
        if self._tracer is None:
            self._tracer = self.tracer_provider.get_tracer("bridge", __version__)
        return self._tracer

    def is_healthy(self) -> bool:
        """Whether delivery keeps up: the queue was not full, and the server does not refuse traces."""
        transport = getattr(self._transport, "behind", self._transport)
        limits = getattr(transport, "rate_limits", None)
        return not self._sender.worker.was_full() and not (limits and limits.is_limited(self._lifecycle.category))

    @property
    def sends(self) -> bool:
        """Whether anybody gets anything: a DSN, a transport, `spotlight` or `console` was given; not once closed."""
        return self._transport is not None and not self._closed

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called: nothing is sent any more."""
        return self._closed

    @property
    def waits_natively(self) -> bool:
        """Whether the delivery thread waits in C; with green threads it must not."""
        return self._sender.worker.waits_natively

    def start_instrumentations(self) -> None:
        """Activate what `instrumentations` named, now or once it is needed."""
        self._instrumentations.start(self.tracer_provider)

    def stop_instrumentations(self) -> None:
        """Take the instrumentations off that this client activated."""
        self._instrumentations.stop()

    def resume_instrumentations(self) -> None:
        """Put in force again what another client, that was closed meanwhile, may have taken off."""
        self._instrumentations.resume()

    def instrumentations(self) -> tuple[Instrumentation, ...]:
        """Return what became of each instrumentation that `init` was given, or found with `"auto"`."""
        return self._instrumentations.report()

    # What segments report while spans come and go (`bridge._internal.tracing.segment.SegmentSink`).

    def spans_started(self, quantity: int) -> None:
        """Count spans that were started sampled."""
        self.outcomes.spans_started(quantity)

    def segment_started(self, segment: Segment) -> None:
        """Know of a local root until it ends."""
        self.open_segments.add(segment)
        if self.streams_spans:
            self._sender.worker.start()

    def segment_ended(self, segment: Segment, children: list[SpanLike], overflow: int) -> None:
        """Send a local root with its finished children, off the caller's thread."""
        self.open_segments.discard(segment)
        self._lifecycle.segment_ended(segment, children, overflow)

    def spans_ended(self, segment: Segment, spans: list[SpanLike]) -> None:
        """Send finished children by themselves, off the caller's thread."""
        self._lifecycle.spans_ended(segment, spans)

    def spans_lost(self, quantity: int, *, with_root: bool) -> None:
        """Count spans that nobody will send: they never ended, or their root, one of them, was let go."""
        if with_root and not self.streams_spans:
            self.outcomes.lost(reasons.BUFFER_OVERFLOW, TRANSACTION_CATEGORY)
        self.outcomes.lost(reasons.BUFFER_OVERFLOW, SPAN_CATEGORY, quantity)
        self._watcher.count_lost(quantity)

    def exception_recorded(self, error: BaseException) -> None:
        """Send an exception that was recorded on a span, unless it was sent already or is no error."""
        with guard("capture", "a recorded exception could not be captured"):
            if not is_control_flow(error):
                self.capture_exception(error)

    def root_not_sampled(self, decision: Decision) -> None:
        """Count a local root that was decided against."""
        if self.options.tracing_enabled:
            reason = reasons.BACKPRESSURE if decision.lowered else reasons.SAMPLE_RATE
            self.outcomes.lost(reason, self._lifecycle.category, was_started=False)
            if self._watcher.count_not_sampled():
                self._sender.worker.submit(self._watcher.tell_not_sampled)

    # Errors and messages.

    def capture_exception(
        self, error: BaseException, hint: Mapping[str, Any] | None = None, call: ScopeData = scopes_of.EMPTY
    ) -> str | None:
        """Send an exception; the id of the event, or `None` if it was not sent."""
        if not self.sends:
            return None
        with guard("capture", "an exception could not be captured"):
            link = self._link_for(error)
            if not _first_in_trace(error, link.trace_id):
                return None
            event = exception_event(
                error,
                event_id=sources.current.error_id(),
                timestamp_ns=sources.current.time_ns(),
                with_locals=self.options.send_default_pii,
            )
            facts = {"exc_info": (type(error), error, error.__traceback__), **(hint or {})}
            return self._capture(event, facts, call, link, "error")
        return None

    def capture_message(
        self,
        message: str,
        level: str | None = None,
        hint: Mapping[str, Any] | None = None,
        call: ScopeData = scopes_of.EMPTY,
    ) -> str | None:
        """Send a message; its level is the scope's, else `info`, where it is not given."""
        if not self.sends:
            return None
        with guard("capture", "a message could not be captured"):
            current = sources.current
            event = message_event(str(message), event_id=current.error_id(), timestamp_ns=current.time_ns())
            if level is not None:
                event["level"] = level
            return self._capture(event, dict(hint or {}), call, None, "info")
        return None

    def capture_event(
        self,
        event: Mapping[str, Any],
        hint: Mapping[str, Any] | None = None,
        call: ScopeData = scopes_of.EMPTY,
    ) -> str | None:
        """Send an event of the user's making, completed from the scopes; its id, or `None` if it was not sent."""
        if not self.sends:
            return None
        with guard("capture", "an event could not be captured"):
            return self._capture(dict(event), dict(hint or {}), call, None, None)
        return None

    def _capture(
        self,
        event: dict[str, Any],
        hint: dict[str, Any],
        call: ScopeData,
        link: TraceLink | None,
        default_level: str | None,
    ) -> str | None:
        scopes = scopes_of.of()
        link = link or link_of(context_api.get_current(), self.options, is_current=True)
        layers = (scopes_of.global_scope()._read(), scopes.isolation._read(), scopes.current, call)
        self._complete(event, layers, link, default_level)
        processed = run_event_processors(event, hint, layers)
        if processed is None:
            self._lose_event(event, reasons.EVENT_PROCESSOR, "an event processor")
            return None
        if not self._error_is_sampled():
            self._lose_event(event, reasons.SAMPLE_RATE, "sample_rate")
            return None
        processed = self._sender.ask_hook(self.options.before_send, "before_send", processed, hint)
        if processed is None:
            self._lose_event(event, reasons.BEFORE_SEND, "before_send")
            return None
        event_id: str = processed["event_id"]
        attachments = [a for layer in layers for a in layer.attachments]
        job = partial(self._envelopes, processed, link, attachments, root_is_open=_is_below_open_root(link))
        if not self._sender.submit(job, {ERROR_CATEGORY: 1}):
            return None
        scopes.isolation.last_event_id = event_id
        return event_id

    def _lose_event(self, event: dict[str, Any], reason: str, by: str) -> None:
        self.outcomes.lost(reason, ERROR_CATEGORY)
        if self.options.console:
            self._sender.worker.submit(partial(self._watcher.dropped, event, by))

    def _complete(
        self,
        event: dict[str, Any],
        layers: Sequence[ScopeData],
        link: TraceLink,
        default_level: str | None,
    ) -> None:
        if "event_id" not in event:
            event["event_id"] = sources.current.error_id()
        event.setdefault("timestamp", rfc3339(sources.current.time_ns()))
        event.setdefault("platform", "python")
        apply_scope(event, *layers)
        if "transaction" not in event and (found := _transaction_of(link, self._payload_options)) is not None:
            event["transaction"], event["transaction_info"] = found.description, {"source": found.source}
        if default_level is not None:
            event.setdefault("level", default_level)
        contexts = event.setdefault("contexts", {})
        contexts["trace"] = {**_trace_context(link), **contexts.get("trace", {})}
        options = self._payload_options
        for key in ("release", "environment", "dist", "server_name"):
            value = getattr(options, key)
            if value is not None:
                event.setdefault(key, value)
        event.setdefault("sdk", SDK)

    def _link_for(self, error: BaseException) -> TraceLink:
        where = context_api.get_current()
        active = getattr(parent_of(where), "segment", None)
        span = span_of_error(error)
        segment = getattr(span, "segment", None)
        # Another root's span is of an earlier life of the same exception object, which is raised again here.
        if segment is not None and active in (None, segment):
            return link_of_span(span)
        return link_of(where, self.options, is_current=True)

    def _error_is_sampled(self) -> bool:
        rate = self.options.sample_rate
        return rate >= 1.0 or random.random() < rate

    def _envelopes(
        self, event: dict[str, Any], link: TraceLink, attachments: Sequence[Attachment], *, root_is_open: bool
    ) -> list[Envelope]:
        if root_is_open:
            self._watcher.expect_tree(event["event_id"])
        items = [Item(EVENT, event, {})]
        items += [item for item in map(_attachment_item, attachments) if item is not None]
        return [self._sender.envelope(link.dsc, items, event["event_id"])]

    # Life.

    def _tick(self) -> None:
        self.send_waiting()
        self._watcher.tick()

    def send_waiting(self) -> None:
        """Send what has ended below roots that are open, where spans are streamed."""
        if self.streams_spans:
            for segment in self.open_segments.all():
                segment.send_waiting()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything recorded so far was sent, at most `timeout` seconds (`shutdown_timeout` by default).

        `True` if it was; `True` at once with nothing to send.
        """
        seconds = self.options.shutdown_timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        with guard("client", "flushing failed"):
            self.send_waiting()
            flushed = self._sender.worker.flush(seconds)
            if self._transport is None:
                return flushed
            return self._transport.flush(max(0.0, deadline - time.monotonic())) and flushed
        return False

    def close(self, timeout: float | None = None) -> None:
        """Send what there is, at most `timeout` seconds (`shutdown_timeout` by default), and stop."""
        if self._closed:
            return
        seconds = self.options.shutdown_timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        with guard("client", "closing failed"):
            self.send_waiting()
            self._sender.worker.flush(seconds)
            self._closed = True
            self.collects_spans = False
            self.open_segments.let_go_all()
            if isinstance(self._transport, HttpTransport | SpotlightTransport):
                self._transport.stop_retrying()
            if self.options.console:
                self._sender.worker.submit(self._watcher.end)
            self._sender.worker.close(max(0.0, deadline - time.monotonic()))
            if self._transport is not None:
                self._transport.close(max(0.0, deadline - time.monotonic()))

    def accounting(self) -> Accounting:
        """Return where the spans are that were started sampled, since `init`."""
        for segment in self.open_segments.all():
            segment.tell_started()
        return self.outcomes.accounting()


def _make_transport(options: Options, outcomes: Outcomes) -> Transport | None:
    transport: Transport | None = None
    if options.transport is not None:
        transport = CustomTransport(options.transport, outcomes)
    elif options.dsn is not None:
        transport = HttpTransport(
            options.dsn,
            outcomes,
            http_client=options.http_client,
            send_client_reports=options.send_client_reports,
        )
    elif options.spotlight is not None or options.console:
        transport = ShownOnly(outcomes)
    if options.spotlight is not None:
        return SpotlightTransport(options.spotlight, transport)
    return transport


def _make_watcher(options: Options) -> Watcher:
    if not options.console:
        return Watcher()
    from bridge._internal.console.console import Console

    return Console()


def _is_below_open_root(link: TraceLink) -> bool:
    """Whether the root that something was captured below is still to be sent."""
    segment = getattr(link.span, "segment", None)
    return segment is not None and segment.collects and not segment.closed


def _transaction_of(link: TraceLink, options: PayloadOptions) -> Semantics | None:
    """Return the name, as it is now, of the transaction that an event belongs to, and where the name comes from."""
    segment = getattr(link.span, "segment", None)
    root = None if segment is None else segment.root
    return None if root is None else open_semantics_of(root, options)


def _trace_context(link: TraceLink) -> dict[str, Any]:
    context = {"trace_id": f"{link.trace_id:032x}", "span_id": f"{link.span_id:016x}"}
    if link.parent_span_id is not None:
        context["parent_span_id"] = f"{link.parent_span_id:016x}"
    op = getattr(link.span, "op", None)
    if op:
        context["op"] = op
    return context


def _first_in_trace(error: BaseException, trace_id: int) -> bool:
    """Mark an exception as sent; `False` if it was sent for this trace already."""
    if getattr(error, "_bridge_sent_in", None) == trace_id:
        return False
    try:
        error._bridge_sent_in = trace_id  # type: ignore[attr-defined]  # an exception takes any attribute
    except AttributeError:  # an exception type with slots cannot be marked
        return True
    return True


def _attachment_item(attachment: Attachment) -> Item | None:
    data = attachment.data
    if data is None:
        try:
            data = Path(attachment.path or "").read_bytes()
        except OSError as error:
            report_fault("capture", "an attachment could not be read", error)
            return None
    headers: dict[str, Any] = {"filename": attachment.filename, "attachment_type": "event.attachment"}
    if attachment.content_type:
        headers["content_type"] = attachment.content_type
    return Item("attachment", data, headers)
