"""Callables bound to a context of their own: the only module that knows contextvars-extras."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

# At the top, though it brings asyncio along: an import in a thread can leave its lock to a forked child for ever.
from contextvars_extras.context_management import (  # type: ignore[import-untyped]  # ships no types
    bind_to_empty_context,
    bind_to_snapshot_context,
)
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


def bind_snapshot(fn: Callable[P, R]) -> Callable[P, R]:
    """Return `fn` made to run, on each call, in its own copy of the context as it is now."""
    # contextvars-extras 0.7 drops the positional arguments of a call to what it bound, and doubles those that
    # were bound with it; keyword arguments pass. So everything travels as keywords through a partial.
    bound: Callable[..., R] = bind_to_snapshot_context(functools.partial(_call, fn))

    @functools.wraps(fn)
    def in_snapshot(*args: P.args, **kwargs: P.kwargs) -> R:
        return bound(args=args, kwargs=kwargs)

    return in_snapshot


def _call(fn: Callable[..., R], *, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
    return fn(*args, **kwargs)


def in_untraced_context(fn: Callable[P, R]) -> Callable[P, R]:
    """Return `fn` made to run in an empty context with OpenTelemetry's instrumentations suppressed."""

    @functools.wraps(fn)
    def untraced(*args: P.args, **kwargs: P.kwargs) -> R:
        # Never detached: the context that this is attached to ends with the call.
        attach(set_value(SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, set_value(SUPPRESS_INSTRUMENTATION_KEY, True)))
        return fn(*args, **kwargs)

    return bind_empty(untraced)
