"""What becomes of spans that have ended: whole transactions, or spans by themselves as they end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bridge._internal import sources
from bridge._internal.capture.hooks import ask_hook
from bridge._internal.capture.ignore_spans import (
    facts_of_child,
    facts_of_streamed,
    facts_of_transaction,
    is_ignored,
    without_ignored,
)
from bridge._internal.capture.span_v2 import segment_attributes, streamed_span
from bridge._internal.capture.transaction import transaction_payload
from bridge._internal.context.scope import global_scope, run_event_processors
from bridge._internal.delivery import outcomes as reasons
from bridge._internal.delivery.envelope import SPAN_CATEGORY, TRANSACTION, TRANSACTION_CATEGORY, Item
from bridge._internal.delivery.limits import span_containers
from bridge._internal.foreign.adopted_span import finished_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge._internal.capture.ignore_spans import FactsOf
    from bridge._internal.capture.transaction import PayloadOptions
    from bridge._internal.context.scope import ScopeData
    from bridge._internal.delivery.envelope import Envelope
    from bridge._internal.delivery.sender import Sender
    from bridge._internal.options import Options
    from bridge._internal.payload import Payload
    from bridge._internal.tracing.finished_span import EndedSpan, FinishedSpan
    from bridge._internal.tracing.segment import Segment


class WholeTransactions:
    """`trace_lifecycle="static"`: a local root and its finished children are one event."""

    def __init__(self, options: Options, payload_options: PayloadOptions, sender: Sender) -> None:
        self._options = options
        self._payload_options = payload_options
        self._sender = sender

    def segment_ended(self, segment: Segment, children: list[EndedSpan], overflow: int) -> None:
        """Queue the transaction of a root that has ended."""
        if overflow:
            self._sender.outcomes.lost(reasons.BUFFER_OVERFLOW, SPAN_CATEGORY, overflow)
        layers = segment.ended_with or layers_of(segment)
        job = partial(self._envelopes, segment, segment.payload_root, children, layers, overflow)
        self._sender.submit(job, _losses(len(children)))

    def spans_ended(self, segment: Segment, spans: list[EndedSpan]) -> None:
        """Children go with their root."""
        raise NotImplementedError  # pragma: no cover - asked only of what streams

    def _envelopes(
        self,
        segment: Segment,
        root: FinishedSpan,
        children: Sequence[EndedSpan],
        layers: Sequence[ScopeData],
        overflow: int,
    ) -> list[Envelope]:
        sender, options, observer = self._sender, self._options, self._sender.observer
        event: Payload | None = transaction_payload(
            root,
            finished_spans(children),
            event_id=sources.current.transaction_id(),
            layers=layers,
            options=self._payload_options,
        )
        assert event is not None
        if segment.late:
            event["contexts"]["trace"].setdefault("data", {})["sentry.parent_span_already_sent"] = True
        rules = options.ignore_spans
        if rules and is_ignored(facts_of_transaction(event), rules):
            sender.lose(reasons.EVENT_PROCESSOR, _losses(len(children)))
            observer.dropped(event, "ignore_spans")
            return []
        observer.left_out(root.trace_id, overflow, f"over max_spans={options.max_spans}, not sent")
        event["spans"] = chosen_spans(options, sender, event["spans"], facts_of_child)
        chosen = len(event["spans"])
        whole = event
        event = run_event_processors(event, {}, layers)
        if event is None:
            sender.lose(reasons.EVENT_PROCESSOR, _losses(chosen))
            observer.dropped(whole, "an event processor")
            return []
        event = ask_hook(options.before_send_transaction, "before_send_transaction", event, {})
        if event is None:
            sender.lose(reasons.BEFORE_SEND, _losses(chosen))
            observer.dropped(whole, "before_send_transaction")
            return []
        # A hook may take spans out, which is counted, and put others in, which nobody had started.
        left = min(chosen, len(event.get("spans") or ()))
        sender.outcomes.lost(reasons.BEFORE_SEND, SPAN_CATEGORY, chosen - left)
        observer.left_out(root.trace_id, chosen - left, "taken out by before_send_transaction")
        event_id = str(event.get("event_id") or sources.current.transaction_id())
        return [sender.envelope(segment.dsc(), [Item(TRANSACTION, event, {}, _losses(left))], event_id)]


class StreamedSpans:
    """`trace_lifecycle="stream"`: spans are sent as they end, in batches of one trace.

    `before_send_transaction` and event processors, which take events, have nothing to do here.
    """

    def __init__(self, options: Options, payload_options: PayloadOptions, sender: Sender) -> None:
        self._options = options
        self._payload_options = payload_options
        self._sender = sender

    def segment_ended(self, segment: Segment, children: list[EndedSpan], overflow: int) -> None:
        """Queue what is left of a segment, the root last."""
        self.spans_ended(segment, [*children, segment.payload_root])

    def spans_ended(self, segment: Segment, spans: list[EndedSpan]) -> None:
        """Queue spans of one segment."""
        job = partial(self._envelopes, segment, spans, layers_of(segment))
        self._sender.submit(job, {SPAN_CATEGORY: len(spans)})

    def _envelopes(self, segment: Segment, spans: Sequence[EndedSpan], layers: Sequence[ScopeData]) -> list[Envelope]:
        sender, root = self._sender, segment.first.payload_root
        options = self._payload_options
        common = segment_attributes(root, layers=layers, options=options)
        made = [
            streamed_span(span, is_segment=span is root, common=common, layers=layers, options=options)
            for span in finished_spans(spans)
        ]
        containers, too_large = span_containers(chosen_spans(self._options, sender, made, facts_of_streamed))
        sender.outcomes.lost(reasons.SEND_ERROR, SPAN_CATEGORY, too_large)
        return [sender.envelope(segment.dsc(), [container]) for container in containers]


def layers_of(segment: Segment) -> tuple[ScopeData, ScopeData, ScopeData]:
    """Return the scopes that a segment is sent with, the global one first: those of its root, not the caller's."""
    return global_scope()._read(), segment.scopes.isolation._read(), segment.current_scope


def chosen_spans(options: Options, sender: Sender, spans: list[Payload], facts_of: FactsOf) -> list[Payload]:
    """Leave out what is ignored, and give each other span to the user's hook, which may change it."""
    rules = options.ignore_spans
    if rules:
        kept = without_ignored(spans, rules, facts_of)
        sender.outcomes.lost(reasons.EVENT_PROCESSOR, SPAN_CATEGORY, len(spans) - len(kept))
        if spans:
            sender.observer.left_out(spans[0]["trace_id"], len(spans) - len(kept), "left out by ignore_spans")
        spans = kept
    hook = options.before_send_span
    if hook is None:
        return spans
    return [ask_hook(lambda span, _: hook(span), "before_send_span", span, {}) or span for span in spans]


def _losses(children: int) -> dict[str, int]:
    """Return what is lost with a transaction."""
    return {TRANSACTION_CATEGORY: 1, SPAN_CATEGORY: 1 + children}
