"""The runtime context: OpenTelemetry's own, which carries a span's scopes along and detaches tokens as they come.

OpenTelemetry loads this module while its context package is half imported (`OTEL_PYTHON_CONTEXT=bridge`), so nothing
but the two modules below may be imported at the top here, and nothing of `bridge` that imports more.
"""

from __future__ import annotations

import logging
from contextvars import Token
from typing import TYPE_CHECKING, Any

from opentelemetry.context.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

if TYPE_CHECKING:
    from contextvars import ContextVar
    from typing import TypeGuard

logger = logging.getLogger("bridge.context")

SCOPES_KEY = "bridge-scopes"
"""In a Context: the entry of ours that holds its Sentry scopes (`context.scope.Scopes`)."""

SEGMENT_SPAN_KEY = "bridge-segment-span"
"""In a Context: the innermost span that belongs to a segment of ours, whatever was activated inside it."""

BODY_KEY = "bridge-generator-body"
"""In a Context: the body of a decorated generator that it belongs to; an object that is only compared."""


span_key = ""
"""OpenTelemetry's key of the active span; this module is imported before it can be known (`context_values` sets it)."""


class SentryRuntimeContext(ContextVarsRuntimeContext):
    """OpenTelemetry's context variable; a span that is activated brings its scopes, and any token may be detached.

    A span that remembers scopes is written into the Context together with them when it becomes active, by whichever
    API. So spans that know nothing of Sentry, activated inside it later, leave both in force.

    Detaching a token of another `contextvars.Context` is no error.

    An async generator that is closed by another task, or a framework that detaches out of order, would log
    "Failed to detach context" with a traceback for each request (open-telemetry/opentelemetry-python#2606). There is
    nothing to restore then: the context that the token belongs to is not the one that runs. A token that is detached
    twice stays the error that it is in OpenTelemetry.
    """

    def __init__(self, variable: ContextVar[Context] | None = None) -> None:
        super().__init__()
        if variable is not None:
            self._current_context = variable

    def attach(self, context: Context) -> Token[Context]:
        """Make a Context current, with the scopes of the span that it activates."""
        # Two look-ups where nothing is to be added (benchmarks/context.py).
        span = context.get(span_key)
        if span is not None and context.get(SEGMENT_SPAN_KEY) is not span:
            context = with_scopes_of_span(context, span)
        return self._current_context.set(context)

    def detach(self, token: Token[Context]) -> None:
        """Restore what was current before the `attach` that gave `token`, where that is possible."""
        try:
            self._current_context.reset(token)
        except ValueError as error:
            if _is_of_one_body(token.old_value, self._current_context.get()):
                self._current_context.set(token.old_value)
            else:
                logger.debug("a context token could not be detached: %s", error)


def with_scopes_of_span(context: Context, span: Any) -> Context:
    """Return the Context with what its active span remembers; the same one where the span remembers nothing."""
    belongs_to_segment = getattr(span, "_bridge_segment", None) is not None
    remembered = scopes_of_span(context, span)
    if remembered is None:
        return context
    derived = Context(context)
    if belongs_to_segment:
        dict.__setitem__(derived, SEGMENT_SPAN_KEY, span)
    else:
        dict.pop(derived, SEGMENT_SPAN_KEY, None)
    entry: Any = context.get(SCOPES_KEY)
    if entry is None or entry.owner is not span:
        dict.__setitem__(derived, SCOPES_KEY, remembered)
    return derived


def scopes_of_span(context: Context, span: Any) -> Any:
    """Return the scopes that the active span of a Context remembers; `None` if those of the Context hold.

    A span that is not ours remembers nothing. Inside a span of ours, in the same trace, the Context has the scopes;
    elsewhere it may stand for a span of ours, or be a child of one, and then has its `SpanContext`.
    """
    try:
        return span._bridge_scopes
    except AttributeError:
        span_context = span.get_span_context()
    within: Any = context.get(SEGMENT_SPAN_KEY)
    if within is not None and within._bridge_segment.trace_id == span_context.trace_id:
        return None
    found = getattr(span_context, "_bridge_scopes", None)
    return found if found is not None else getattr(getattr(span, "parent", None), "_bridge_scopes", None)


def _is_of_one_body(before: Any, current: Context) -> TypeGuard[Context]:
    body = current.get(BODY_KEY)
    return body is not None and before is not Token.MISSING and before.get(BODY_KEY) is body
