"""Callables bound to a context of their own: the only module that knows contextvars-extras."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ParamSpec, TypeVar

# At the top, though it brings asyncio along: an import in a thread can leave its lock to a forked child for ever.
from contextvars_extras.context_management import bind_to_empty_context  # type: ignore[import-untyped]  # no types
from opentelemetry.context import attach, set_value

from bridge._internal.otel_private import SUPPRESS_HTTP_INSTRUMENTATION_KEY, SUPPRESS_INSTRUMENTATION_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def bind_empty(fn: Callable[P, R]) -> Callable[P, R]:
    """Return `fn` made to run in an empty context on each call: every context variable has its default."""
    bound: Callable[P, R] = bind_to_empty_context(fn)
    return bound


def in_untraced_context(fn: Callable[P, R]) -> Callable[P, R]:
    """Return `fn` made to run in an empty context with OpenTelemetry's instrumentations suppressed."""

    @functools.wraps(fn)
    def untraced(*args: P.args, **kwargs: P.kwargs) -> R:
        # Never detached: the context that this is attached to ends with the call.
        attach(set_value(SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, set_value(SUPPRESS_INSTRUMENTATION_KEY, True)))
        return fn(*args, **kwargs)

    return bind_empty(untraced)
