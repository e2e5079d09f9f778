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

SCOPED_SPAN_KEY = "bridge-scoped-span"
"""In a Context: the innermost span that remembers scopes, whichever spans were activated inside it."""

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
        if span is not None and context.get(SCOPED_SPAN_KEY) is not span:
            context = with_scoped_span(context, span)
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


def with_scoped_span(context: Context, span: Any) -> Context:
    """Return the Context that says which span's scopes hold below its active span; the same one if it does already."""
    scoped = scoped_span(context, span)
    if scoped is None or scoped is context.get(SCOPED_SPAN_KEY):
        return context
    derived = Context(context)
    dict.__setitem__(derived, SCOPED_SPAN_KEY, scoped)
    return derived


def scoped_span(context: Context, span: Any) -> Any:
    """Return what remembers the scopes that the active span of a Context stands in; `None` if nothing does.

    That is the span itself if it remembers scopes; else the innermost one that does and was activated around it, in the
    same trace; else the `SpanContext` of ours that it stands for or is a child of.
    """
    try:
        if getattr(span, "_bridge_scopes", None) is not None:
            return span
        span_context = span.get_span_context()
        around: Any = context.get(SCOPED_SPAN_KEY)
        if around is not None and trace_id_of(around) == span_context.trace_id:
            return around
        for found in (span_context, getattr(span, "parent", None)):
            if getattr(found, "_bridge_scopes", None) is not None:
                return found
    except Exception as error:  # other code's span, which OpenTelemetry asks nothing here
        logger.debug("a span could not be asked for its scopes: %s", type(error).__name__)
    return None


def trace_id_of(span: Any) -> int | None:
    """Return the trace id of a span, or of its `SpanContext`."""
    segment = getattr(span, "_bridge_segment", None)
    if segment is not None:
        return int(segment.trace_id)
    span_context = span if hasattr(span, "trace_flags") else span.get_span_context()
    return int(span_context.trace_id)


def _is_of_one_body(before: Any, current: Context) -> TypeGuard[Context]:
    body = current.get(BODY_KEY)
    return body is not None and before is not Token.MISSING and before.get(BODY_KEY) is body
