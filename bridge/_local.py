"""contextvars-extras, for callables that must run in a context of their own.

The only module that names the library: its author has stopped maintaining it, so it can be replaced here alone. Its
`bind_to_snapshot_context` (0.7.0) loses positional arguments of the call and doubles those of the binding; binding a
`functools.partial` with everything in it is safe.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from contextvars_extras.context_management import (  # type: ignore[import-untyped]  # 0.7.0 is not typed
    bind_to_empty_context,
    bind_to_snapshot_context,
)

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def bind_empty(func: Callable[[], R]) -> Callable[[], R]:
    """Return the function bound to an empty context: every variable has its default there."""
    return cast("Callable[[], R]", bind_to_empty_context(func))


def bind_snapshot(func: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Callable[[], R]:
    """Return a call of the function bound to a copy of the context as it is now."""
    return cast("Callable[[], R]", bind_to_snapshot_context(functools.partial(func, *args, **kwargs)))
