"""Decorators that keep a function what it is: sync, async, generator or async generator."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

P = ParamSpec("P")
R = TypeVar("R")


def decorate(func: Callable[P, R], block: Callable[[], AbstractContextManager[Any]]) -> Callable[P, R]:
    """Return the function with each call inside a block of its own."""
    if inspect.iscoroutinefunction(func):

        @functools.wraps(func)
        async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            with block():
                return await func(*args, **kwargs)

        return cast("Callable[P, R]", call_async)

    @functools.wraps(func)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with block():
            return func(*args, **kwargs)

    return call
