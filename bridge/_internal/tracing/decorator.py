"""Decorators that keep a function what it is: sync, async, generator or async generator; method or not."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import wrapt
from opentelemetry import context as context_api

from bridge._internal.context.context_values import with_span, with_value
from bridge._internal.context.runtime import BODY_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    Args = tuple[object, ...]
    Kwargs = dict[str, object]

    # wrapt's stubs make them generic, its classes are not.
    _BoundFunctionWrapper = wrapt.BoundFunctionWrapper[Any, Any]
    _FunctionWrapper = wrapt.FunctionWrapper[Any, Any]
else:
    _BoundFunctionWrapper = wrapt.BoundFunctionWrapper
    _FunctionWrapper = wrapt.FunctionWrapper

F = TypeVar("F")


class Call(Protocol):
    """The span of one call."""

    def start(self) -> Span:
        """Start the span, not active."""

    def end(self, span: Span, error: BaseException | None) -> None:
        """End it, after the exception that left the function, if one did."""


class _BoundTraced(_BoundFunctionWrapper):
    """A decorated method of an instance."""

    def __reduce_ex__(self, protocol: object) -> Any:
        return getattr, (self._self_instance, self.__wrapped__.__name__)


class Traced(_FunctionWrapper):
    """A decorated function. It is pickled as functions are: by the name that it is found under."""

    __bound_function_wrapper__ = _BoundTraced

    def __reduce_ex__(self, protocol: object) -> Any:
        return self.__wrapped__.__qualname__


def decorate(func: F, new_call: Callable[[], Call]) -> F:
    """Return the function with a span around each call, active in its body whenever the body runs.

    Generators get their span at the first step; between steps the caller's own context is in force. A `classmethod` or
    `staticmethod` may be decorated or be put on top. Raises `TypeError` for a class.
    """
    if inspect.isclass(func):
        raise TypeError(f"{func.__name__} is a class: decorate its methods")
    inner = func.__func__ if isinstance(func, classmethod | staticmethod) else func
    wrapper = _around_call
    if inspect.iscoroutinefunction(inner):
        wrapper = _around_coroutine
    elif inspect.isgeneratorfunction(inner):
        wrapper = _around_generator
    elif inspect.isasyncgenfunction(inner):
        wrapper = _around_async_generator

    def wrap(wrapped: Callable[..., Any], instance: object, args: Args, kwargs: Kwargs) -> object:
        return wrapper(new_call(), wrapped, args, kwargs)

    return cast("F", Traced(cast("Callable[..., object]", func), wrap))


def _active(span: Span) -> Context:
    return with_span(context_api.get_current(), span)


def _around_call(call: Call, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> object:
    span = call.start()
    token = context_api.attach(_active(span))
    try:
        result = func(*args, **kwargs)
    except BaseException as error:
        context_api.detach(token)
        call.end(span, error)
        raise
    context_api.detach(token)
    call.end(span, None)
    return result


async def _around_coroutine(call: Call, func: Callable[..., Any], args: Args, kwargs: Kwargs) -> object:
    span = call.start()
    token = context_api.attach(_active(span))
    try:
        result = await func(*args, **kwargs)
    except BaseException as error:
        context_api.detach(token)
        call.end(span, error)
        raise
    context_api.detach(token)
    call.end(span, None)
    return result


class _Body:
    """The context of a generator's body: kept between steps, so that the caller's stays the caller's."""

    __slots__ = ("_context", "_token")

    def __init__(self, span: Span) -> None:
        self._context = with_value(_active(span), BODY_KEY, object())

    def __enter__(self) -> None:
        self._token = context_api.attach(self._context)

    def __exit__(self, *_: object) -> None:
        self._context = context_api.get_current()
        context_api.detach(self._token)


def _around_generator(
    call: Call, func: Callable[..., Any], args: Args, kwargs: Kwargs
) -> Generator[object, object, object]:
    span = call.start()
    body = _Body(span)
    try:
        generator = func(*args, **kwargs)
        step, value = generator.send, None
        while True:
            try:
                with body:
                    given = step(value)
            except StopIteration as stop:
                result = stop.value
                break
            try:
                value = yield given
                step = generator.send
            except GeneratorExit:
                with body:
                    generator.close()
                raise
            except BaseException as error:
                step, value = generator.throw, error
    except BaseException as error:
        call.end(span, error)
        raise
    call.end(span, None)
    return result


async def _around_async_generator(
    call: Call, func: Callable[..., Any], args: Args, kwargs: Kwargs
) -> AsyncGenerator[object, object]:
    span = call.start()
    body = _Body(span)
    try:
        generator = func(*args, **kwargs)
        step, value = generator.asend, None
        while True:
            try:
                with body:
                    given = await step(value)
            except StopAsyncIteration:
                break
            try:
                value = yield given
                step = generator.asend
            except GeneratorExit:
                with body:
                    await generator.aclose()
                raise
            except BaseException as error:
                step, value = generator.athrow, error
    except BaseException as error:
        call.end(span, error)
        raise
    call.end(span, None)
