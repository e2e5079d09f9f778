"""Celery, whose messages and pool have ways of their own; the spans are OpenTelemetry's `CeleryInstrumentor`'s."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import wrapt

from bridge._internal import active
from bridge._internal.guard import guard
from bridge._internal.wire.baggage import BAGGAGE
from bridge._internal.wire.sentry_trace import SENTRY_TRACE

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from bridge._internal.payload import Payload

    Close = Callable[[], None]
    Capture = Callable[[BaseException], object]

_CUSTOM_HEADERS = "headers"


@cache
def support_celery(close: Close, capture: Capture) -> None:
    """Do what is said here as soon as a program imports Celery; once for all calls.

    - Children of the pool leave by `os._exit`: `close` is called before they do.
    - With `capture_span_exceptions` a job that fails is an error whether or not its trace is sampled; on a span that
      is not, the instrumentation records nothing.
    - Workers with a Sentry SDK look for Sentry's headers among the custom headers in the headers of a message only.
    """
    wrapt.when_imported("celery.signals")(lambda signals: _connect_guarded(signals, close, capture))


def _connect_guarded(signals: ModuleType, close: Close, capture: Capture) -> None:
    with guard("integrations", "Celery could not be supported"):  # the program is just importing it
        _connect(signals, close, capture)


def _connect(signals: ModuleType, close: Close, capture: Capture) -> None:
    def close_before_exit(**_: object) -> None:
        close()

    def capture_failure(sender: object = None, exception: BaseException | None = None, **_: object) -> None:
        options = active.options()
        expected = tuple(getattr(sender, "throws", None) or ())
        if options is None or not options.capture_span_exceptions or exception is None:
            return
        if not isinstance(exception, expected):
            capture(exception)

    signals.worker_process_shutdown.connect(close_before_exit, weak=False, dispatch_uid="bridge")
    signals.task_failure.connect(capture_failure, weak=False, dispatch_uid="bridge")
    # Not a receiver of the signal: it must come after the receiver that injects, whichever was connected first.
    wrapt.wrap_function_wrapper(signals.before_task_publish, "send", _send_with_nested_headers)


def _send_with_nested_headers(
    send: Callable[..., object], instance: object, args: tuple[object, ...], kwargs: Payload
) -> object:
    answers = send(*args, **kwargs)
    with guard("integrations", "Sentry's headers could not be put among a task's custom headers"):
        headers = kwargs.get("headers")
        if isinstance(headers, dict) and SENTRY_TRACE in headers:
            nest_headers(headers)
    return answers


def nest_headers(headers: Payload) -> None:
    """Put Sentry's headers of a message among its custom headers, which become `task.request.headers`.

    A message without custom headers of its own gets those that Celery would find: whatever is none of Celery's.
    """
    request = import_module("celery.app.task").Context(headers)
    inner = dict(request.headers or {})
    inner.update({name: headers[name] for name in (SENTRY_TRACE, BAGGAGE) if name in headers})
    headers[_CUSTOM_HEADERS] = inner
