"""Where the bridge's own requests are made: a context that nobody traces."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from opentelemetry.context import attach, set_value

from bridge._internal.local import bind_empty
from bridge._internal.otel_private import SUPPRESS_HTTP_INSTRUMENTATION_KEY, SUPPRESS_INSTRUMENTATION_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def in_quiet_context(fn: Callable[P, R]) -> Callable[P, R]:
    """Return `fn` made to run in an empty context with OpenTelemetry's instrumentations suppressed."""

    @functools.wraps(fn)
    def quietly(*args: P.args, **kwargs: P.kwargs) -> R:
        # Never detached: the context that this is attached to ends with the call.
        attach(set_value(SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, set_value(SUPPRESS_INSTRUMENTATION_KEY, True)))
        return fn(*args, **kwargs)

    return bind_empty(quietly)
