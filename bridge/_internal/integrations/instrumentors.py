"""OpenTelemetry's instrumentors: those that `init` was given, and with "auto" whatever is installed, when it is needed.

An installed instrumentor (entry point of the group `opentelemetry_instrumentor`) is loaded once the module that it
instruments was imported, so a program pays for what it uses only, and no order of imports is a wrong one.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Literal, NamedTuple

import wrapt
from opentelemetry.context.context import Context

from bridge._internal.context.context_values import attached
from bridge._internal.forking import no_fork, reset_in_children
from bridge._internal.guard import guard
from bridge._internal.integrations.apps import Applications
from bridge._internal.integrations.instrumented_modules import instrumented_modules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import ModuleType

    from opentelemetry.instrumentation.dependencies import DependencyConflict
    from opentelemetry.trace import TracerProvider

    from bridge._internal.init_options import Instrumentor
    from bridge._internal.payload import Payload

AUTO = "auto"
GROUP = "opentelemetry_instrumentor"
DISABLED_VARIABLE = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
_LOG_HANDLER_VARIABLE = "OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION"
_THREADS_CARRY_ALREADY = "threads carry the context already (option patch_threads)"
# What is activated only where it is given by name.
_NOT_BY_ITSELF = {
    "click": "a server that a command starts would be one trace that never ends; give ClickInstrumentor() to init"
}
logger = logging.getLogger("bridge.integrations")

State = Literal["active", "pending", "refused", "absent", "disabled", "foreign"]


@dataclass(frozen=True, slots=True)
class Instrumentation:
    """What became of one instrumentor.

    `state`: "active"; "pending" until one of `modules` is imported; "refused", as the library's version is not
    supported, the instrumentor failed, or it would do harm; "absent", as the library is not installed; "disabled" by
    the environment; "foreign", as somebody else activated it, who also takes it off. `reason` says it in words.
    """

    name: str
    state: State
    reason: str = ""
    modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Active:
    """An instrumentor that was activated here."""

    name: str
    instrumentor: Instrumentor
    applications: Applications

    def reinstrument(self, tracer_provider: TracerProvider | None) -> None:
        """Instrument again, where somebody took it off."""
        try:
            if getattr(self.instrumentor, "is_instrumented_by_opentelemetry", True) is False:
                self.instrumentor.instrument(tracer_provider=tracer_provider)
        except Exception as error:  # somebody else's
            logger.warning("instrumentation %s could not be put on again", self.name, exc_info=error)

    def uninstrument(self) -> None:
        """Uninstrument, unless somebody did meanwhile."""
        try:
            self.applications.close()
            if getattr(self.instrumentor, "is_instrumented_by_opentelemetry", True):
                self.instrumentor.uninstrument()
        except Exception as error:  # somebody else's
            logger.warning("instrumentation %s could not be taken off", self.name, exc_info=error)


class _Outcome(NamedTuple):
    state: State
    reason: str = ""
    ours: _Active | None = None  # what is ours to take off


_PENDING = _Outcome("pending")


@dataclass(slots=True)
class _Entry:
    name: str
    load: Callable[[], Instrumentor]
    home: str = ""  # the instrumentor's own module, where it was not given
    modules: tuple[str, ...] = ()
    is_wanted: bool = False  # what it waits for was imported
    outcome: _Outcome = _PENDING
    claimed: bool = False  # somebody is activating it, or did


class Instrumentations:
    """The instrumentors of one client, from `start` to `stop`."""

    def __init__(self, wanted: Sequence[Instrumentor | Literal["auto"]], *, carries_context: bool = True) -> None:
        self._wanted = wanted
        self._carries_context = carries_context
        self._lock = threading.Lock()  # protects _entries, what they hold, and _stopped
        self._entries: list[_Entry] = []
        self._tracer_provider: TracerProvider | None = None
        self._stopped = False
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Take a lock that no thread of the parent's holds."""
        self._lock = threading.Lock()

    def start(self, tracer_provider: TracerProvider) -> None:
        """Activate what was given and what instruments a module that is imported already; watch for the others."""
        self._tracer_provider = tracer_provider
        given = [_given(instrumentor) for instrumentor in self._wanted if not isinstance(instrumentor, str)]
        found: list[_Entry] = []
        if AUTO in self._wanted:
            with guard("integrations", "the installed instrumentations could not be listed"):
                found = _installed(carries_context=self._carries_context)
        self._entries = [*given, *found]
        for entry in self._entries:
            if not entry.modules:  # given, or nothing tells what it waits for
                self._activate(entry)
        self._listen()

    def resume(self) -> None:
        """Be in force again where other instrumentations were meanwhile, and are stopped."""
        for active in self._ours():
            active.reinstrument(self._tracer_provider)
        self._listen()

    def _listen(self) -> None:
        waiting = [entry for entry in self._entries if entry.modules and entry.outcome.state == "pending"]
        if waiting:
            _imports.listener = self
        for module in dict.fromkeys(module for entry in waiting for module in (entry.home, *entry.modules)):
            _imports.watch(module)

    def stop(self) -> None:
        """Take off what was activated here and is active still; what waits for an import waits no longer."""
        if _imports.listener is self:
            _imports.listener = None
        with self._lock:
            self._stopped = True
            ours = self._ours()
            self._entries = []
        for active in reversed(ours):
            active.uninstrument()

    def imported(self, module: str) -> None:
        """Activate what waited for a module."""
        for entry in self._entries:
            if module in entry.modules:
                entry.is_wanted = True
                # Its own module imports what it instruments: where that comes first, this one is not whole yet.
                if not _is_being_imported(sys.modules.get(entry.home)):
                    self._activate(entry)
            elif module == entry.home and entry.is_wanted:
                self._activate(entry)

    def report(self) -> tuple[Instrumentation, ...]:
        """Return what became of each, the given ones first."""
        with self._lock:
            return tuple(Instrumentation(e.name, e.outcome.state, e.outcome.reason, e.modules) for e in self._entries)

    def _ours(self) -> list[_Active]:
        return [entry.outcome.ours for entry in self._entries if entry.outcome.ours is not None]

    def _activate(self, entry: _Entry) -> None:
        with self._lock:
            if self._stopped or entry.claimed or entry.outcome.state != "pending":
                return
            entry.claimed = True
            own = [active.instrumentor for active in self._ours()]
        outcome = _instrument(entry, own, self._tracer_provider)
        with self._lock:
            entry.outcome = outcome
            stopped = self._stopped
        if stopped and outcome.ours is not None:  # `stop` came meanwhile, in another thread
            outcome.ours.uninstrument()


def _given(instrumentor: Instrumentor) -> _Entry:
    return _Entry(type(instrumentor).__name__, lambda: instrumentor)


def _installed(*, carries_context: bool) -> list[_Entry]:
    """Make an entry of each installed instrumentor, settled already where metadata or the environment decide."""
    disabled = {name.strip() for name in os.environ.get(DISABLED_VARIABLE, "").split(",")}
    entries: dict[str, _Entry] = {}
    for entry_point in metadata.entry_points(group=GROUP):
        if entry_point.name not in entries:
            entries[entry_point.name] = entry = _Entry(
                entry_point.name, partial(_load, entry_point), entry_point.module
            )
            if {"*", entry_point.name} & disabled:
                entry.outcome = _Outcome("disabled", f"{DISABLED_VARIABLE} names it")
            elif entry_point.name in _NOT_BY_ITSELF:
                entry.outcome = _Outcome("refused", _NOT_BY_ITSELF[entry_point.name])
            elif entry_point.name == "threading" and carries_context:
                entry.outcome = _Outcome("refused", _THREADS_CARRY_ALREADY)
            else:
                _check_metadata(entry, entry_point)
    return list(entries.values())


def _load(entry_point: metadata.EntryPoint) -> Instrumentor:
    instrumentor: Instrumentor = entry_point.load()()
    return instrumentor


def _check_metadata(entry: _Entry, entry_point: metadata.EntryPoint) -> None:
    try:
        entry.modules = instrumented_modules(entry_point)
        conflict = _conflict(entry_point)
    except Exception as error:  # somebody's metadata
        entry.outcome = _failed(entry.name, "its metadata cannot be read", error)
        return
    if conflict is not None:
        entry.outcome = _conflicting(entry.name, conflict)


def _conflict(entry_point: metadata.EntryPoint) -> DependencyConflict | None:
    from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts

    return None if entry_point.dist is None else get_dist_dependency_conflicts(entry_point.dist)


def _conflicting(name: str, conflict: DependencyConflict) -> _Outcome:
    """Tell a library that is not installed from one of a version that the instrumentor does not know."""
    if not (conflict.found or conflict.found_any):
        return _Outcome("absent", str(conflict))
    logger.warning("instrumentation %s is not activated: %s", name, conflict)
    return _Outcome("refused", str(conflict))


def _failed(name: str, what: str, error: Exception) -> _Outcome:
    logger.warning("instrumentation %s is not activated: %s", name, what, exc_info=error)
    return _Outcome("refused", f"{what}: {type(error).__name__}: {error}")


def _instrument(entry: _Entry, own: Iterable[Instrumentor], tracer_provider: TracerProvider | None) -> _Outcome:
    """Activate an instrumentor. Nothing that it raises leaves: an import or an `init` of the user's is running."""
    try:
        with no_fork():
            instrumentor = entry.load()
            if any(instrumentor is other for other in own):
                return _Outcome("active", "it was given to init")
            if getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
                return _Outcome("foreign", "it was active before")
            instrumentor.instrument(tracer_provider=tracer_provider, **_arguments(entry))
            applications = Applications(instrumentor, tracer_provider)
    except Exception as error:  # somebody else's
        conflict = getattr(error, "conflict", None)
        if conflict is not None:
            return _conflicting(entry.name, conflict)
        if isinstance(error, ModuleNotFoundError) and not entry.modules:
            return _Outcome("absent", str(error))
        return _failed(entry.name, "it failed", error)
    if not getattr(instrumentor, "is_instrumented_by_opentelemetry", True):
        return _Outcome("refused", "it refused, and logged why")
    return _Outcome("active", ours=_Active(entry.name, instrumentor, applications))


def _arguments(entry: _Entry) -> Payload:
    if not entry.home:
        return {}
    arguments = {"raise_exception_on_conflict": True}
    if entry.name == "logging" and not os.environ.get(_LOG_HANDLER_VARIABLE):
        # Its handler at the root keeps warnings off standard error where there is no other, and `basicConfig` idle.
        arguments["enable_log_auto_instrumentation"] = False
    return arguments


class _Imports:
    """Tells the instrumentations in force when a module was imported.

    A hook of wrapt's cannot be taken back: there is one a module for the whole process, which does nothing while
    nobody listens.
    """

    def __init__(self) -> None:
        self.listener: Instrumentations | None = None
        self._lock = threading.Lock()  # protects _watched
        self._watched: set[str] = set()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Take a lock that no thread of the parent's holds."""
        self._lock = threading.Lock()

    def watch(self, name: str) -> None:
        """Tell when a module was imported: at once if it is, once it is whole if it is being imported."""
        with self._lock:
            if name in self._watched and name not in sys.modules:
                return
            self._watched.add(name)
        registering = True

        def imported(module: ModuleType) -> None:
            if registering and _is_being_imported(module):
                self._notify_when_imported(name)
            else:
                self._notify(name)

        wrapt.register_post_import_hook(imported, name)
        registering = False

    def _notify(self, name: str) -> None:
        with self._lock:
            self._watched.discard(name)
        listener = self.listener
        if listener is not None:
            with guard("integrations", "what waited for an import could not be activated"):
                listener.imported(name)

    def _notify_when_imported(self, name: str) -> None:
        """Wait, in a thread of its own, for the lock that whoever imports the module holds until it is whole."""

        def wait() -> None:
            try:
                importlib.import_module(name)
            except ImportError as error:
                logger.debug("%s was not imported: %s", name, error)
                with self._lock:
                    self._watched.discard(name)
            else:
                self._notify(name)

        with attached(Context()):
            threading.Thread(target=wait, name="bridge-instrumentations", daemon=True).start()


def _is_being_imported(module: ModuleType | None) -> bool:
    # What the import system itself asks. Seen in Python 3.10 to 3.14.
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


_imports = _Imports()
