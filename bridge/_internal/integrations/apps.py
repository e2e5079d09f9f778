"""Applications of a class that the program took before an instrumentor exchanged it for its own.

`from flask import Flask` before Flask is instrumented leaves a program with the class as it was. The instrumentor's own
`instrument_app` is called for each application that is made of it, so no order of imports is a wrong one.
"""

from __future__ import annotations

import logging
import sys
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import TracerProvider

    from bridge._internal.init_options import Instrumentor

logger = logging.getLogger("bridge.integrations")


class Applications:
    """The applications that an instrumentor which is active does not see being made; to be closed with it."""

    def __init__(self, instrumentor: Instrumentor, tracer_provider: TracerProvider | None) -> None:
        self._instrumentor: Any = instrumentor  # with `instrument_app`, if it replaced a class
        self._tracer_provider = tracer_provider
        self._instrumented: list[weakref.ref[object]] = []
        self._is_closed = False
        self._patches = [(before, self._patch(before, now)) for before, now in _replaced_classes(instrumentor)]

    def _patch(self, before: type, now: type) -> Any:
        def init(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> None:
            wrapped(*args, **kwargs)
            if not self._is_closed and not isinstance(instance, now):
                self._instrument(instance)

        return wrapt.wrap_function_wrapper(before, "__init__", init)

    def _instrument(self, application: object) -> None:
        try:
            self._instrumentor.instrument_app(application, tracer_provider=self._tracer_provider)
            self._instrumented.append(weakref.ref(application))
        except Exception as error:  # somebody else's
            logger.warning("an application of %s could not be instrumented", type(application), exc_info=error)

    def close(self) -> None:
        """Leave classes and applications as they were."""
        self._is_closed = True  # a patch beneath somebody else's stays, and passes calls on
        for before, handle in self._patches:
            with suppress(wrapt.WrapperNotOutermostError):
                wrapt.unwrap_object(before, "__init__", handle, missing_ok=True)
        for reference in self._instrumented:
            application = reference()
            if getattr(application, "_is_instrumented_by_opentelemetry", False):
                self._instrumentor.uninstrument_app(application)


def _replaced_classes(instrumentor: Instrumentor) -> Iterator[tuple[type, type]]:
    """Give the classes that an instrumentor put one of its own in place of, and that one."""
    home = type(instrumentor).__module__
    if not callable(getattr(instrumentor, "instrument_app", None)):
        return
    for now in list(vars(sys.modules[home]).values()):
        if isinstance(now, type) and now.__module__ == home and now.__base__ is not None and _replaces_base(now):
            yield now.__base__, now


def _replaces_base(now: type) -> bool:
    before = now.__base__
    assert before is not None
    package = before.__module__.partition(".")[0]
    loaded = [m for name, m in list(sys.modules.items()) if name == package or name.startswith(package + ".")]
    return any(getattr(module, "__dict__", {}).get(before.__name__) is now for module in loaded)
