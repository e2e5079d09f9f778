"""The runtime context: OpenTelemetry's own, with a `detach` that takes tokens as they come.

OpenTelemetry loads this module while its context package is half imported (`OTEL_PYTHON_CONTEXT=bridge`), so nothing
but the two modules below may be imported at the top here, and nothing of `bridge` that imports more.
"""

from __future__ import annotations

import logging
from contextvars import Token
from typing import TYPE_CHECKING, Any

from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

if TYPE_CHECKING:
    from contextvars import ContextVar
    from typing import TypeGuard

    from opentelemetry.context.context import Context

logger = logging.getLogger("bridge.context")

BODY_KEY = "bridge-generator-body"
"""In a Context: the body of a decorated generator that it belongs to; an object that is only compared."""


class SentryRuntimeContext(ContextVarsRuntimeContext):
    """OpenTelemetry's context variable; detaching a token of another `contextvars.Context` is no error.

    An async generator that is closed by another task, or a framework that detaches out of order, would log
    "Failed to detach context" with a traceback for each request (open-telemetry/opentelemetry-python#2606). There is
    nothing to restore then: the context that the token belongs to is not the one that runs. A token that is detached
    twice stays the error that it is in OpenTelemetry.
    """

    def __init__(self, variable: ContextVar[Context] | None = None) -> None:
        super().__init__()
        if variable is not None:
            self._current_context = variable

    def detach(self, token: Token[Context]) -> None:
        """Restore what was current before the `attach` that gave `token`, where that is possible."""
        try:
            self._current_context.reset(token)
        except ValueError as error:
            if _is_of_one_body(token.old_value, self._current_context.get()):
                self._current_context.set(token.old_value)
            else:
                logger.debug("a context token could not be detached: %s", error)


def _is_of_one_body(before: Any, current: Context) -> TypeGuard[Context]:
    body = current.get(BODY_KEY)
    return body is not None and before is not Token.MISSING and before.get(BODY_KEY) is body
