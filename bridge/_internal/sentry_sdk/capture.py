"""What is captured through the bridge's functions: events of sentry-sdk's making, sent by its client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sentry_sdk
from opentelemetry import context as context_api
from sentry_sdk.utils import event_from_exception

from bridge._internal.otel_private import SPAN_KEY
from bridge._internal.propagation.trace_link import link_of_span
from bridge._internal.tracing.error_origin import span_of_error
from bridge._internal.tracing.segment import segment_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge._internal.context.scope import ScopeData


def capture_exception(
    error: BaseException, hint: Mapping[str, Any] | None, call: ScopeData, *, mechanism: Mapping[str, Any] | None = None
) -> str | None:
    """Send an exception, linked to the innermost span that it came through."""
    options = sentry_sdk.get_client().options
    given = {"type": "generic", "handled": True} if mechanism is None else dict(mechanism)
    event, facts = event_from_exception(error, client_options=options, mechanism=given)
    trace = _trace_of(error)
    made: dict[str, Any] = dict(event)
    if trace is not None:
        made["contexts"] = {"trace": trace}
    return _send(made, {**facts, **(hint or {})}, call)


def capture_message(message: str, level: str | None, hint: Mapping[str, Any] | None, call: ScopeData) -> str | None:
    """Send a message; its level is the scope's, else `info`, where it is not given."""
    event = {"message": message, "level": level or "info"}
    return _send(event, dict(hint or {}), call, level=level)


def capture_event(event: Mapping[str, Any], hint: Mapping[str, Any] | None, call: ScopeData) -> str | None:
    """Send an event of the user's making."""
    return _send(dict(event), dict(hint or {}), call)


def _send(event: dict[str, Any], hint: dict[str, Any], call: ScopeData, *, level: str | None = None) -> str | None:
    given: dict[str, Any] = {
        "user": None if call.user is None else dict(call.user),
        "level": level or call.level,
        "extras": dict(call.extra) or None,
        "contexts": {key: dict(block) for key, block in call.contexts.items()} or None,
        "tags": dict(call.tags) or None,
        "fingerprint": None if call.fingerprint is None else list(call.fingerprint),
    }
    kwargs = {key: value for key, value in given.items() if value is not None}
    sent: Any = sentry_sdk.get_current_scope().capture_event(event, hint=hint, **kwargs)  # type: ignore[arg-type]
    return sent  # type: ignore[no-any-return]  # an id


def _trace_of(error: BaseException) -> dict[str, Any] | None:
    """Return the trace context of the span that an exception came through, where it is not the active one's."""
    span = span_of_error(error)
    segment = segment_of(span)
    active: Any = context_api.get_current().get(SPAN_KEY)
    # Another root's span is of an earlier life of the same exception object, which is raised again here.
    if segment is None or span is active or segment_of(active) not in (None, segment):
        return None
    assert span is not None
    link = link_of_span(span, segment)
    trace: dict[str, Any] = {
        "trace_id": f"{link.trace_id:032x}",
        "span_id": f"{link.span_id:016x}",
        "dynamic_sampling_context": dict(link.dsc),
    }
    if link.parent_span_id is not None:
        trace["parent_span_id"] = f"{link.parent_span_id:016x}"
    return trace
