"""Hand-off: a function that runs elsewhere runs in the Context of the place that it was handed over from."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar, cast

import wrapt
from opentelemetry import context as context_api
from opentelemetry.context.context import Context

from bridge._internal.context.context_values import attached

if TYPE_CHECKING:
    from collections.abc import Callable

    Wrapped = Callable[..., object]
    Args = tuple[object, ...]
    Kwargs = dict[str, object]

F = TypeVar("F")
logger = logging.getLogger("bridge.context")
_CONTRIB = "opentelemetry.instrumentation.threading"
_lock = threading.Lock()  # protects _patches
_patches: dict[str, tuple[type, str, Any]] = {}


def bind(func: F) -> F:
    """Return the function bound to the Context as it is now: for callbacks that other code calls, in any thread.

    A coroutine function runs in that Context whenever it is awaited. What the function changes is gone afterwards.
    """
    context = context_api.get_current()
    call = cast("Callable[..., Any]", func)
    if inspect.iscoroutinefunction(func):

        @functools.wraps(call)
        async def run_async(*args: object, **kwargs: object) -> object:
            with attached(context):
                return await call(*args, **kwargs)

        return cast("F", run_async)

    @functools.wraps(call)
    def run(*args: object, **kwargs: object) -> object:
        with attached(context):
            return call(*args, **kwargs)

    return cast("F", run)


def patch_threads() -> None:
    """Let `ThreadPoolExecutor.submit` and `Thread.start` carry the OpenTelemetry Context of the time of the call.

    `Executor.map` and `run_in_executor` go through `submit`. Nothing is patched twice, nor where other code does the
    same: an interpreter whose threads inherit their starter's context, contrib's threading instrumentation.
    """
    if threads_are_carried():
        return
    with _lock:
        if not _patches:
            _patch(ThreadPoolExecutor, "submit", _submit)
            _patch(threading.Thread, "start", _start)


def _patch(owner: type, name: str, wrapper: Callable[..., Any]) -> None:
    handle = wrapt.wrap_function_wrapper(owner, name, wrapper)
    _patches[f"{owner.__module__}.{owner.__qualname__}.{name}"] = (owner, name, handle)


def unpatch_threads() -> None:
    """Remove the patches, also from beneath wrappers of other code; one that cannot be removed forwards calls."""
    with _lock:
        taken = dict(_patches)
        _patches.clear()
    for owner, name, handle in taken.values():
        try:
            wrapt.unwrap_object(owner, name, handle, missing_ok=True)
        except wrapt.WrapperNotOutermostError:  # beneath a plain closure: ours stays, and forwards calls
            logger.debug("%s is wrapped by other code; our patch stays and forwards calls", name)


def active_patches() -> list[str]:
    """Return what is patched now, by its full name."""
    with _lock:
        return sorted(_patches)


def threads_are_carried() -> bool:
    """Whether the interpreter or contrib's instrumentation already gives threads the context of their starter."""
    return bool(getattr(sys.flags, "thread_inherit_context", 0)) or _contrib_is_active()


def _contrib_is_active() -> bool:
    module = sys.modules.get(_CONTRIB)
    instrumentor = getattr(module, "ThreadingInstrumentor", None)
    return instrumentor is not None and bool(instrumentor().is_instrumented_by_opentelemetry)


def _run_in(context: Context, func: Callable[..., object], /, *args: object, **kwargs: object) -> object:
    with attached(context):
        return func(*args, **kwargs)


def _submit(wrapped: Wrapped, instance: object, args: Args, kwargs: Kwargs) -> object:
    context = context_api.get_current()
    if not context or not args or not _patches:
        return wrapped(*args, **kwargs)
    # A worker thread that this call starts lives on with other tasks: it must not start with this one's Context.
    with attached(Context()):
        return wrapped(_run_in, context, *args, **kwargs)


def _start(wrapped: Wrapped, instance: threading.Thread, args: Args, kwargs: Kwargs) -> object:
    context = context_api.get_current()
    if not context or not _patches or instance.ident is not None:
        return wrapped(*args, **kwargs)
    own = vars(instance).get("run")

    def restore() -> None:
        """Leave the thread as it was: it does not keep the Context alive once it has finished."""
        if own is None:
            vars(instance).pop("run", None)
        else:
            vars(instance)["run"] = own

    def run(*_: object) -> None:  # sentry-sdk's wrapper gives the thread, as to a function of the class
        restore()
        with attached(context):
            instance.run()

    vars(instance)["run"] = run
    try:
        return wrapped(*args, **kwargs)
    except BaseException:
        restore()
        raise
