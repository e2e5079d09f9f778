"""Delivery: what the bridge recorded goes through sentry-sdk's client, with its hooks, limits and transport."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import sentry_sdk
from opentelemetry import context as context_api

from bridge._internal import sources
from bridge._internal.capture.span_sink import settle_later
from bridge._internal.capture.span_v2 import segment_attributes, streamed_span
from bridge._internal.capture.transaction import PayloadOptions, span_payload, transaction_payload
from bridge._internal.context.context_values import attached
from bridge._internal.context.scope import with_scopes
from bridge._internal.delivery import outcomes as reasons
from bridge._internal.delivery.envelope import SPAN_CATEGORY
from bridge._internal.delivery.worker import Worker
from bridge._internal.foreign.adopted_span import finished_spans
from bridge._internal.guard import guard
from bridge._internal.semantics.inference import infer
from bridge._internal.semantics.privacy import Privacy
from bridge._internal.sentry_sdk import private
from bridge._internal.sentry_sdk.companions import Sent, SentrySdkSegment, behind, is_companion, own_span_of
from bridge._internal.sentry_sdk.scopes import SharedIsolation, SharedScopes
from bridge._internal.sentry_sdk.views import TransactionView
from bridge._internal.tracing.suppression import is_own_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge._internal.client import Client
    from bridge._internal.sampling.decision import Decision
    from bridge._internal.sentry_sdk.private import Scope
    from bridge._internal.tracing.finished_span import EndedSpan, FinishedSpan
    from bridge._internal.tracing.segment import Segment

_MAX_QUEUE = 1000
_MAX_QUEUED_SPANS = 100_000
_SAID_BY_THEM = ("environment", "release", "dist", "server_name", "sdk", "platform")
_ATTRIBUTES_SAID_BY_THEM = frozenset({"sentry.sdk.name", "sentry.sdk.version", "sentry.environment"})


class RootFacts:
    """What is kept with a local root of OpenTelemetry's API for sentry-sdk: who started it, and its profile."""

    __slots__ = ("_is_running", "profile", "thread")

    def __init__(self) -> None:
        thread = threading.current_thread()
        self.thread = {"thread.id": str(thread.ident), "thread.name": thread.name}
        self.profile: Any = None
        self._is_running = True

    def stop_profile(self) -> None:
        """Stop the profile, if there is one, where the root ends; once."""
        if self.profile is not None and self._is_running:
            self._is_running = False
            with guard("sentry_sdk", "a profile could not be stopped"):
                self.profile.__exit__(None, None, None)


def _payload_options(options: Mapping[str, Any]) -> PayloadOptions:
    """Return what may leave by sentry-sdk's options."""
    return PayloadOptions(privacy=Privacy(send_default_pii=bool(options.get("send_default_pii"))))


class SentrySdkSink:
    """Where segments go while the two SDKs are one."""

    collects_spans = True

    def __init__(self, client: Client) -> None:
        self._client = client
        self.worker = Worker("bridge-sentry-sdk", max_jobs=_MAX_QUEUE, max_weight=_MAX_QUEUED_SPANS)

    @property
    def streams_spans(self) -> bool:
        """Whether finished spans are sent before their root ends."""
        return private.streams(sentry_sdk.get_client().options)

    def spans_started(self, quantity: int) -> None:
        """Count spans that were started sampled."""
        self._client.sender.outcomes.spans_started(quantity)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything recorded so far was handed to sentry-sdk, and that has sent it."""
        seconds = self._client.options.shutdown_timeout if timeout is None else timeout
        self._client.sink.hand_over()
        flushed = self.worker.flush(seconds)
        private.main_client().flush(timeout=seconds)
        return flushed

    def segment_started(self, segment: Segment) -> None:
        """Note who started a root, and start its profile."""
        self._client.sink.open_segments.add(segment)
        if isinstance(segment, SentrySdkSegment) or segment.late:
            return
        facts = segment.guest = RootFacts()
        with guard("sentry_sdk", "a profile could not be started"):
            facts.profile = private.started_profile(time.perf_counter_ns())

    def exception_recorded(self, error: BaseException) -> None:
        """Send an exception that was recorded on a span."""
        self._client.sink.exception_recorded(error)

    def spans_lost(self, quantity: int, *, with_root: bool) -> None:
        """Count spans that never ended."""
        self._client.sender.outcomes.lost(reasons.BUFFER_OVERFLOW, SPAN_CATEGORY, quantity)

    def root_not_sampled(self, decision: Decision) -> None:
        """Tell sentry-sdk of a local root that was decided against, which its client reports."""
        sdk = sentry_sdk.get_client()
        if not sdk.is_active() or sdk.transport is None or not private.has_tracing_enabled(sdk.options):
            return
        reason = reasons.BACKPRESSURE if decision.lowered else reasons.SAMPLE_RATE
        if not self.streams_spans:
            sdk.transport.record_lost_event(reason, data_category="transaction")
        sdk.transport.record_lost_event(reason, data_category="span")

    def root_waits(self, segment: Segment) -> bool:
        """Have a root that ended before its children settled by the worker a little later."""
        segment.ended_with = _SentWith(segment)
        if isinstance(segment.guest, RootFacts):
            segment.guest.stop_profile()
        return settle_later(segment, self.worker)

    def segment_ended(self, segment: Segment, children: list[EndedSpan], overflow: int) -> None:
        """Queue a local root that has ended with its finished children; the scopes are read here, as they change."""
        self._client.sink.open_segments.discard(segment)
        root = segment.payload_root
        if is_own_request(root.kind, root.attributes, segment.options.dsn):
            self._client.sender.outcomes.lost(reasons.INTERNAL_SDK_ERROR, SPAN_CATEGORY, 1 + len(children))
            return
        facts = segment.guest if isinstance(segment.guest, RootFacts) else RootFacts()
        facts.stop_profile()
        if self.streams_spans:
            self.spans_ended(segment, [*children, root])
            return
        scopes = segment.ended_with or _SentWith(segment)
        job = partial(self._send_transaction, segment, root, children, overflow, facts, scopes)
        self._submit(job, 1 + len(children))
        if overflow:
            self._client.sender.outcomes.lost(reasons.BUFFER_OVERFLOW, SPAN_CATEGORY, overflow)

    def spans_ended(self, segment: Segment, spans: list[EndedSpan]) -> None:
        """Queue spans that are sent by themselves."""
        root = segment.first.root
        own = None if root is None else own_span_of(root)
        common = None if own is None else {"sentry.segment.id": str(own.span_id), "sentry.segment.name": own.name}
        job = partial(self._send_spans, segment, root, spans, common, _SentWith(segment))
        self._submit(job, len(spans))

    def _submit(self, job: Any, spans: int) -> None:
        if not self.worker.submit(partial(self._run, job, spans), spans):
            self._client.sender.outcomes.lost(reasons.QUEUE_OVERFLOW, SPAN_CATEGORY, spans)

    def _run(self, job: Any, spans: int) -> None:
        try:
            lost = job()
        except Exception as error:
            self._client.sender.outcomes.lost(reasons.INTERNAL_SDK_ERROR, SPAN_CATEGORY, spans)
            with guard("sentry_sdk", "what was recorded could not be handed to sentry-sdk"):
                raise error
            return
        if lost:
            self._client.sender.outcomes.lost(lost, SPAN_CATEGORY, spans)
        else:
            self._client.sender.outcomes.delivered(SPAN_CATEGORY, spans)

    def _send_transaction(
        self,
        segment: Segment,
        root: Any,
        children: Sequence[Any],
        overflow: int,
        facts: RootFacts,
        scopes: _SentWith,
    ) -> str | None:
        sdk = scopes.client
        natives = finished_spans([child for child in children if not is_companion(child)])
        theirs = [found for child in children if (found := _payload_of_companion(child)) is not None]
        event = transaction_payload(
            root,
            natives,
            event_id=sources.current.transaction_id(),
            layers=(),
            options=_payload_options(sdk.options),
        )
        for key in _SAID_BY_THEM:
            event.pop(key, None)
        event["spans"] += theirs
        trace = event["contexts"]["trace"]
        trace["dynamic_sampling_context"] = dict(segment.dsc())
        trace["data"] = {**facts.thread, **trace.get("data", {})}
        if segment.late:
            trace["data"]["sentry.parent_span_already_sent"] = True
        view = getattr(behind(root), "counterpart", None)
        if isinstance(view, TransactionView):
            event["contexts"].update(view.contexts())
        if facts.profile is not None and facts.profile.valid():
            event["profile"] = facts.profile
        if overflow:
            event["_dropped_spans"] = overflow
        if any(str(span.get("op", "")).startswith("gen_ai.") for span in event["spans"]):
            event["_has_gen_ai_span"] = bool(sdk.options.get("stream_gen_ai_spans", True))
        with scopes.in_force():
            sent = sdk.capture_event(event, hint={}, scope=scopes.merged)
        if sent is not None:
            return None
        return reasons.BEFORE_SEND if sdk.options.get("before_send_transaction") else reasons.EVENT_PROCESSOR

    def _send_spans(
        self,
        segment: Segment,
        root: Any,
        spans: Sequence[Any],
        common: Mapping[str, Any] | None,
        scopes: _SentWith,
    ) -> str | None:
        sdk = scopes.client
        if not sdk.is_active():
            return reasons.NETWORK_ERROR
        options = _payload_options(sdk.options)
        shared = segment_attributes(root, layers=(), options=options) if common is None else common
        told = private.SegmentOfSpan(dict(segment.dsc()))
        with scopes.in_force():
            for span in finished_spans([span for span in spans if not is_companion(span)]):
                made = streamed_span(span, is_segment=span is root, common=shared, layers=(), options=options)
                values = {key: one["value"] for key, one in made["attributes"].items()}
                made["attributes"] = {k: v for k, v in values.items() if k not in _ATTRIBUTES_SAID_BY_THEM}
                made["attributes"]["sentry.trace_lifecycle"] = "stream"
                private.send_span(sdk, scopes.merged, made, told)
        return None


class _SentWith:
    """The scopes that something is sent with, as they are now."""

    __slots__ = ("_current", "_isolation", "client", "merged")

    def __init__(self, segment: Segment) -> None:
        scopes: Any = segment.scopes
        if not isinstance(scopes, SharedScopes):  # of a root from before the two were one
            scopes = None
        self._current: Scope | None = None if scopes is None else scopes.current
        own: Any = segment.own_scope
        if isinstance(own, private.Scope):
            self._current = own
        self._isolation: Scope | None = None if scopes is None else scopes.isolation.sdk
        self.client: Any = _client_of(self._current, self._isolation)
        self.merged = private.merged(self._isolation, self._current)

    def in_force(self) -> Any:
        """Have sentry-sdk find these scopes, whose event processors it asks, for a block."""
        where = context_api.get_current()
        if self._current is None or self._isolation is None:
            return attached(where)
        return attached(with_scopes(where, SharedScopes(self._current, SharedIsolation(self._isolation))))


def _client_of(*scopes: Scope | None) -> Any:
    for scope in scopes:
        if scope is not None and scope.client.is_active():
            return scope.client
    under = private.global_scope_if_any()
    return sentry_sdk.get_client() if under is None else under.client


def _payload_of_companion(span: Any) -> dict[str, Any] | None:
    counterpart = getattr(behind(span), "counterpart", None)
    return counterpart.payload if type(counterpart) is Sent else None


class RecordedSpan:
    """A finished span of OpenTelemetry's API, as sentry-sdk's transaction holds the spans that go with it."""

    __slots__ = ("_span", "op", "timestamp")

    def __init__(self, span: FinishedSpan) -> None:
        self._span = span
        self.timestamp = span.end_time
        self.op = infer(span.name, span.kind, dict(span.attributes or {}), custom_name=span.custom_name).op

    def to_json(self) -> dict[str, Any]:
        """Return what is sent."""
        return span_payload(self._span, _payload_options(sentry_sdk.get_client().options))
