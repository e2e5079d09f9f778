"""Linked only: sentry-sdk makes no spans, but its errors belong to the trace of OpenTelemetry's active span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api

from bridge._internal.propagation.trace_link import link_of
from bridge._internal.sentry_sdk import private

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge._internal.options import Options


class Links:
    """What sentry-sdk asks about a trace that it does not make."""

    def __init__(self, options: Callable[[], Options]) -> None:
        self._options = options
        self.is_refused = False  # as somebody else answers already
        # One object each: sentry-sdk knows them by identity.
        self._find: Callable[[], tuple[str, str] | None] = self.find
        self._complete: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]] = self.complete

    def begin(self) -> None:
        """Register."""
        self.is_refused = not private.link_errors(self._find, self._complete)

    def end(self) -> None:
        """Take back what was registered."""
        private.unlink_errors(self._find, self._complete)

    def find(self) -> tuple[str, str] | None:
        """Return the ids of the active span; `None` where none is."""
        context = trace_api.get_current_span().get_span_context()
        if not context.is_valid or context.is_remote:
            return None
        return f"{context.trace_id:032x}", f"{context.span_id:016x}"

    def complete(self, event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any]:
        """Put the trace's dynamic sampling context on an event of the active span."""
        trace = event.get("contexts", {}).get("trace")
        found = self.find()
        if trace is not None and found is not None and (trace.get("trace_id"), trace.get("span_id")) == found:
            link = link_of(context_api.get_current(), self._options(), is_current=True)
            trace.setdefault("dynamic_sampling_context", dict(link.dsc))
            if link.parent_span_id is not None:
                trace.setdefault("parent_span_id", f"{link.parent_span_id:016x}")
        return event
