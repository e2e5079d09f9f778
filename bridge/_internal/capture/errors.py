"""Errors, messages and users' own events: from the call that captures one to the envelope that carries it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry import context as context_api

from bridge._internal import active, sources
from bridge._internal.capture.event import exception_event, message_event
from bridge._internal.capture.hooks import ask_hook
from bridge._internal.capture.scope_data import apply_scope
from bridge._internal.context.context_values import active_span
from bridge._internal.context.scope import EMPTY, ScopeData, current_scopes, global_scope, run_event_processors
from bridge._internal.delivery import outcomes as reasons
from bridge._internal.delivery.envelope import ATTACHMENT, ERROR_CATEGORY, EVENT, Item
from bridge._internal.guard import guard, report_fault
from bridge._internal.propagation.trace_link import TraceLink, link_of, link_of_span
from bridge._internal.semantics.inference import infer
from bridge._internal.timestamps import rfc3339
from bridge._internal.tracing.error_origin import span_of_error
from bridge._internal.tracing.segment import segment_of
from bridge._internal.tracing.span import Span
from bridge._internal.version import EVENT_SDK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge._internal.capture.transaction import PayloadOptions
    from bridge._internal.context.scope import Attachment
    from bridge._internal.delivery.envelope import Envelope
    from bridge._internal.delivery.sender import Sender
    from bridge._internal.options import Options
    from bridge._internal.payload import Data, Payload
    from bridge._internal.semantics.inference import Semantics


class ErrorCapture:
    """Makes events of exceptions and messages, completes them from the scopes and the trace, and queues them."""

    def __init__(self, options: Options, payload_options: PayloadOptions, sender: Sender) -> None:
        self._options = options
        self._sender = sender
        common = {
            "release": payload_options.release,
            "environment": payload_options.environment,
            "dist": payload_options.dist,
            "server_name": payload_options.server_name,
        }
        self._common = {key: value for key, value in common.items() if value is not None}

    def capture_exception(self, error: BaseException, hint: Data | None = None, call: ScopeData = EMPTY) -> str | None:
        """Send an exception; the id of the event, or `None` if it was not sent."""
        if active.guest is not None:
            return active.guest.capture_exception(error, hint, call)
        if not self._sender.sends:
            return None
        with guard("capture", "an exception could not be captured"):
            link = self._link_for(error)
            if not _first_in_trace(error, link.trace_id):
                return None
            event = exception_event(
                error,
                event_id=sources.current.error_id(),
                timestamp_ns=sources.current.time_ns(),
                with_locals=self._options.send_default_pii,
            )
            facts = {"exc_info": (type(error), error, error.__traceback__), **(hint or {})}
            return self._capture(event, facts, call, link, "error")
        return None

    def capture_message(
        self, message: str, level: str | None = None, hint: Data | None = None, call: ScopeData = EMPTY
    ) -> str | None:
        """Send a message; its level is the scope's, else `info`, where it is not given."""
        if active.guest is not None:
            return active.guest.capture_message(message, level, hint, call)
        if not self._sender.sends:
            return None
        with guard("capture", "a message could not be captured"):
            current = sources.current
            event = message_event(str(message), event_id=current.error_id(), timestamp_ns=current.time_ns())
            if level is not None:
                event["level"] = level
            return self._capture(event, dict(hint or {}), call, None, "info")
        return None

    def capture_event(self, event: Data, hint: Data | None = None, call: ScopeData = EMPTY) -> str | None:
        """Send an event of the user's making, completed from the scopes; its id, or `None` if it was not sent."""
        if active.guest is not None:
            return active.guest.capture_event(event, hint, call)
        if not self._sender.sends:
            return None
        with guard("capture", "an event could not be captured"):
            return self._capture(dict(event), dict(hint or {}), call, None, None)
        return None

    def _capture(
        self, event: Payload, hint: Payload, call: ScopeData, link: TraceLink | None, default_level: str | None
    ) -> str | None:
        scopes = current_scopes()
        link = link or link_of(context_api.get_current(), self._options, is_current=True)
        layers = (global_scope()._read(), scopes.isolation._read(), scopes.current, call)
        self._complete(event, layers, link, default_level)
        processed = run_event_processors(event, hint, layers)
        if processed is None:
            self._lose(event, reasons.EVENT_PROCESSOR, "an event processor")
            return None
        if not self._is_sampled():
            self._lose(event, reasons.SAMPLE_RATE, "sample_rate")
            return None
        processed = ask_hook(self._options.before_send, "before_send", processed, hint)
        if processed is None:
            self._lose(event, reasons.BEFORE_SEND, "before_send")
            return None
        event_id: str = processed["event_id"]
        attachments = [a for layer in layers for a in layer.attachments]
        job = partial(self._envelopes, processed, link, attachments, root_is_open=_is_below_open_root(link))
        if not self._sender.submit(job, {ERROR_CATEGORY: 1}):
            return None
        scopes.isolation.last_event_id = event_id
        return event_id

    def _lose(self, event: Payload, reason: str, by: str) -> None:
        self._sender.outcomes.lost(reason, ERROR_CATEGORY)
        if self._sender.is_observed:
            self._sender.worker.submit(partial(self._sender.observer.dropped, event, by))

    def _complete(
        self, event: Payload, layers: Sequence[ScopeData], link: TraceLink, default_level: str | None
    ) -> None:
        if "event_id" not in event:
            event["event_id"] = sources.current.error_id()
        event.setdefault("timestamp", rfc3339(sources.current.time_ns()))
        event.setdefault("platform", "python")
        apply_scope(event, *layers)
        if "transaction" not in event and (found := _transaction_of(link)) is not None:
            event["transaction"], event["transaction_info"] = found.description, {"source": found.source}
        if default_level is not None:
            event.setdefault("level", default_level)
        contexts = event.setdefault("contexts", {})
        contexts["trace"] = {**_trace_context(link), **contexts.get("trace", {})}
        for key, value in self._common.items():
            event.setdefault(key, value)
        event.setdefault("sdk", EVENT_SDK)

    def _link_for(self, error: BaseException) -> TraceLink:
        context = context_api.get_current()
        active = segment_of(active_span(context))
        span = span_of_error(error)
        segment = segment_of(span)
        # Another root's span is of an earlier life of the same exception object, which is raised again here.
        if span is not None and segment is not None and active in (None, segment):
            return link_of_span(span, segment)
        return link_of(context, self._options, is_current=True)

    def _is_sampled(self) -> bool:
        rate = self._options.sample_rate
        return rate >= 1.0 or sources.chance() < rate

    def _envelopes(
        self, event: Payload, link: TraceLink, attachments: Sequence[Attachment], *, root_is_open: bool
    ) -> list[Envelope]:
        if root_is_open:
            self._sender.observer.expect_tree(event["event_id"])
        items = [Item(EVENT, event, {})]
        items += [item for item in map(_attachment_item, attachments) if item is not None]
        return [self._sender.envelope(link.dsc, items, event["event_id"])]


def _is_below_open_root(link: TraceLink) -> bool:
    """Whether the root that an event was captured below is still to be sent."""
    segment = segment_of(link.span)
    return segment is not None and segment.collects and not segment.closed


def _transaction_of(link: TraceLink) -> Semantics | None:
    """Return the name, as it is now, of the transaction that an event belongs to, and where the name comes from."""
    segment = segment_of(link.span)
    root = None if segment is None else segment.root
    return None if root is None else infer(root.name, root.kind, root.attributes or {}, custom_name=root.custom_name)


def _trace_context(link: TraceLink) -> Payload:
    context = {"trace_id": f"{link.trace_id:032x}", "span_id": f"{link.span_id:016x}"}
    if link.parent_span_id is not None:
        context["parent_span_id"] = f"{link.parent_span_id:016x}"
    op = link.span.op if isinstance(link.span, Span) else None
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
    headers: Payload = {"filename": attachment.filename, "attachment_type": "event.attachment"}
    if attachment.content_type:
        headers["content_type"] = attachment.content_type
    return Item(ATTACHMENT, data, headers)
