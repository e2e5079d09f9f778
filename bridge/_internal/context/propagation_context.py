"""The trace that "now" belongs to while no span is active."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bridge._internal import sources

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span, SpanContext


class _Process:
    """What a parent process said in the environment: the upstream's span (`RemoteSpan`), if it said anything."""

    parent: Span | None = None


def continue_for_process(remote: Span | None) -> None:
    """Let what this process does outside of any request continue a trace; `None` lets it start its own again."""
    _Process.parent = remote


def parent_of_process() -> Span | None:
    """Return the upstream's span that the parent process named, if it named one."""
    return _Process.parent


class PropagationContext:
    """Trace and span id for what is sent outside of any span; one for each isolation scope.

    One root, one trace: the first root that starts with no parent adopts the trace id, each later one moves the
    propagation context to a trace of its own. So what happens around a root is linked to it.
    """

    __slots__ = ("_lock", "_of_process", "_remote", "_span_id", "_trace_id", "_used", "link")

    def __init__(self, remote: Span | None = None, *, of_process: bool = False) -> None:
        """`remote`: the upstream's span (`RemoteSpan`) that this continues, if any; `of_process`: the process's own."""
        self._of_process = of_process
        self._lock = threading.Lock()  # protects the other four
        self._remote = remote
        self._trace_id: int | None = None if remote is None else remote.get_span_context().trace_id
        self._span_id: int | None = None
        self._used = remote is not None
        self.link: SpanContext | None = None
        """The span that the request's root is to be linked to, where it does not continue its trace."""

    @property
    def remote(self) -> Span | None:
        """The upstream's span, while its trace is continued; else `None`."""
        return self.parent_of_process if self._remote is None else self._remote

    def continues(self, remote: Span | None) -> bool:
        """Whether this continues the trace of the same upstream span, or neither continues any."""
        if remote is None or self._remote is None:
            return remote is self._remote
        return remote.get_span_context() == self._remote.get_span_context()

    def take_link(self) -> SpanContext | None:
        """Return what the first root is to be linked to; `None` from then on."""
        link, self.link = self.link, None
        return link

    @property
    def parent_of_process(self) -> Span | None:
        """The span in the parent process, under which every root here starts; `None` if there is none."""
        return _Process.parent if self._of_process else None

    def forked(self) -> PropagationContext:
        """Return a fresh one, for a part of the same process."""
        return PropagationContext(of_process=self._of_process)

    @property
    def trace_id(self) -> int:
        """The trace id, made when first asked for."""
        with self._lock:
            if self._trace_id is None:
                self._trace_id = sources.current.ids.generate_trace_id()
            return self._trace_id

    @property
    def span_id(self) -> int:
        """A span id for headers and events outside of any span; never the upstream's."""
        with self._lock:
            if self._span_id is None:
                self._span_id = sources.current.ids.generate_span_id()
            return self._span_id

    def adopt(self, new_trace_id: Callable[[], int]) -> int:
        """Return the trace id for a root without a parent, and move to its trace."""
        candidate = new_trace_id()  # outside of the lock: it may be a user's id generator
        with self._lock:
            if self._trace_id is None or self._used:
                self._trace_id = candidate
                self._span_id = None
                self._remote = None
            self._used = True
            return self._trace_id
