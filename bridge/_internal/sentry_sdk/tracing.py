"""Starts and ends of sentry-sdk's spans: what the wrappers around its functions do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api

from bridge._internal.foreign.adopted_span import finished_spans
from bridge._internal.guard import guard
from bridge._internal.otel_private import SPAN_KEY
from bridge._internal.sampling.upstream import RemoteSpan
from bridge._internal.sentry_sdk import folding, private
from bridge._internal.sentry_sdk.active_span import own_in
from bridge._internal.sentry_sdk.companions import (
    SentrySdkSegment,
    companion_of,
    end,
    existing_companion,
    is_view,
    link_of,
    write_back,
)
from bridge._internal.sentry_sdk.delivery import RecordedSpan
from bridge._internal.sentry_sdk.setup import in_force
from bridge._internal.sentry_sdk.views import TransactionView

if TYPE_CHECKING:
    from bridge._internal.sentry_sdk.private import Scope


def start_transaction(wrapped: Any, scope: Scope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Fold an integration's transaction into the root that OpenTelemetry's has started; else continue what is here."""
    with guard("sentry_sdk", "a transaction could not join what is active"):
        given = args[0] if args else kwargs.get("transaction")
        view = _folded_transaction(given, kwargs)
        if view is not None:
            return view
        if given is None and "trace_id" not in kwargs:
            kwargs = {**kwargs, **_continued()}
    return wrapped(*args, **kwargs)


def _folded_transaction(given: Any, kwargs: dict[str, Any]) -> Any:
    if not in_force().folds:
        return None
    op = given.op if given is not None else kwargs.get("op")
    origin = given.origin if given is not None else kwargs.get("origin", "manual")
    view = folding.folded_into_ours(op, origin, root=True)
    if not isinstance(view, TransactionView):
        return None
    folding.take_request(view)
    folding.take_facts(view, given, kwargs)
    return view


def _continued() -> dict[str, Any]:
    """Return what a transaction is started with under a span of OpenTelemetry's API, or under a remote parent."""
    where = context_api.get_current()
    otel: Any = where.get(SPAN_KEY)
    segment = getattr(otel, "_bridge_segment", None)
    if own_in(where) is not None or (segment is None and not isinstance(otel, RemoteSpan)):
        return {}
    context = otel.get_span_context()
    sampled, dsc = (otel.upstream.sampled, otel.upstream.dsc) if segment is None else (segment.sampled, segment.dsc())
    facts: dict[str, Any] = {
        "trace_id": f"{context.trace_id:032x}",
        "parent_span_id": f"{context.span_id:016x}",
        "parent_sampled": sampled,
    }
    if dsc is not None:
        facts["baggage"] = private.Baggage(dict(dsc), mutable=False)
    return facts


def start_span(wrapped: Any, scope: Scope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Fold an integration's span into the one that OpenTelemetry's instrumentation has started right above."""
    origin = kwargs.get("origin")
    if origin is not None and origin.startswith("auto.") and in_force().folds:
        with guard("sentry_sdk", "a span could not be folded"):
            view = folding.folded_into_ours(kwargs.get("op"), origin, root=False)
            if view is not None:
                return view
    return wrapped(*args, **kwargs)


def start_streamed_span(wrapped: Any, scope: Scope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Fold an integration's span that is sent by itself, as `start_transaction` and `start_span` do with theirs."""
    view = None
    with guard("sentry_sdk", "a span could not be folded"):
        attributes = (args[1] if len(args) > 1 else kwargs.get("attributes")) or {}
        origin, op = str(attributes.get("sentry.origin", "")), attributes.get("sentry.op")
        if origin.startswith("auto.") and in_force().folds:
            root = folding.native_above(root=True) is not None
            view = folding.folded_into_ours(op, origin, root=True) if root else None
            is_root = view is not None
            view = view or folding.folded_into_ours(op, origin, root=False)
            if view is not None:
                if is_root:
                    folding.take_request(view)
                    view.name = args[0] if args else kwargs["name"]
                for key, value in attributes.items():
                    view.set_attribute(key, value)
                companion_of(view)._bridge_segment.hold()
    return wrapped(*args, **kwargs) if view is None else view


def finish_span(wrapped: Any, span: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """End a span, and its companion with it."""
    if span.timestamp is not None or isinstance(span, private.Transaction | private.NoOpSpan):
        return wrapped(*args, **kwargs)
    otel: Any = None
    with guard("sentry_sdk", "a span could not be told of what OpenTelemetry's API wrote"):
        otel = _needed_companion(span)
        if otel is not None:
            write_back(span, otel)
    answer = wrapped(*args, **kwargs)
    if otel is not None and span.timestamp is not None:
        with guard("sentry_sdk", "the companion of a span could not be ended"):
            end(span, otel)
    return answer


def _needed_companion(span: Any) -> Any:
    """Return the companion of a span that ends: the one it has; a new one if OpenTelemetry's side misses the span."""
    found = existing_companion(span)
    if found is not None:
        return found
    root = private.root_of(span)
    return companion_of(span) if root is not None and (is_view(root) or in_force().is_observed) else None


def finish_transaction(wrapped: Any, transaction: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """End a transaction with the finished spans of OpenTelemetry's API below it, and its companion with it."""
    if transaction.timestamp is not None or isinstance(transaction, private.NoOpSpan):
        return wrapped(*args, **kwargs)
    otel: Any = None
    with guard("sentry_sdk", "a transaction could not take the spans below it"):
        otel = _needed_companion(transaction)
        if otel is not None:
            write_back(transaction, otel)
            _take_spans(transaction, otel._bridge_segment)
    answer = wrapped(*args, **kwargs)
    if otel is not None:
        with guard("sentry_sdk", "the companion of a transaction could not be ended"):
            end(transaction, otel)
    return answer


def _take_spans(transaction: Any, segment: Any) -> None:
    if not isinstance(segment, SentrySdkSegment) or not private.has_recorder(transaction):
        return
    found, dropped = segment.drain()
    for native in finished_spans(found):
        if private.record(transaction, RecordedSpan(native)):
            segment.count_delivered()
        else:
            segment.count_dropped()
    private.add_dropped(transaction, dropped)


def end_streamed_span(wrapped: Any, span: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """End a span that is sent by itself, and its companion with it; a view ends the span that it shows."""
    link = link_of(span)
    if link is not None and link.is_view:
        if link.folded:
            link.otel._bridge_segment.release()
        else:
            link.otel.end()
        return None
    if private.end_of(span) is not None:
        return wrapped(*args, **kwargs)
    otel: Any = None
    with guard("sentry_sdk", "a span could not be told of what OpenTelemetry's API wrote"):
        otel = _needed_companion(span)
        if otel is not None:
            write_back(span, otel)
    answer = wrapped(*args, **kwargs)
    if otel is not None:
        with guard("sentry_sdk", "the companion of a span could not be ended"):
            if isinstance(otel._bridge_segment, SentrySdkSegment) and private.root_of(span) is span:
                found, _ = otel._bridge_segment.drain()
                if found:
                    in_force().sink.spans_ended(otel._bridge_segment, list(found))
            end(span, otel)
    return answer
