"""The active client: the one that the last `init` made, or none.

Rooms below the client read the options here; of the client they know nothing but that it has some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context.context import Context
    from opentelemetry.trace import Span, SpanKind
    from opentelemetry.util import types

    from bridge._internal.client import Client
    from bridge._internal.context.scope import ScopeData
    from bridge._internal.options import Options
    from bridge._internal.payload import Data

    Amend = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Guest(Protocol):
    """Another SDK that shares this world: what it is asked where both would do the same."""

    def options(self) -> Options:
        """Return what is in force for a root that starts here."""

    def fold(self, kind: SpanKind, attributes: types.Attributes, context: Context, *, is_current: bool) -> Span | None:
        """Return what stands for a span that another API has started already, right above; else `None`."""

    def has_begun(self, context: Context) -> bool:
        """Whether the guest has begun, in this Context, the request that headers are extracted of."""

    def headers_written(self, span: Span) -> None:
        """Note that the headers of an outgoing request were written."""

    def carries_into_threads(self) -> bool:
        """Whether threads get the Context of their starter, by the guest's own options."""

    def capture_exception(self, error: BaseException, hint: Data | None, call: ScopeData) -> str | None:
        """Send an exception; the event's id, if it was sent."""

    def capture_message(self, message: str, level: str | None, hint: Data | None, call: ScopeData) -> str | None:
        """Send a message; the event's id, if it was sent."""

    def capture_event(self, event: Data, hint: Data | None, call: ScopeData) -> str | None:
        """Send an event; its id, if it was sent."""

    def flush(self, timeout: float) -> bool:
        """Wait until everything recorded so far was sent; `True` if it was."""


client: Client | None = None
guest: Guest | None = None
"""Another SDK that shares the world of this client, if one does."""


def share_with(new_guest: Guest | None) -> None:
    """Share the world with another SDK, or with none."""
    global guest
    guest = new_guest


def activate(new_client: Client | None) -> None:
    """Put another client, or none, in place."""
    global client
    client = new_client


def options() -> Options | None:
    """Return the active client's options; `None` without a client."""
    return None if client is None else client.options


amend: Amend | None = None
"""What changes the arguments of `init` last, if anything: a capture of `bridge.testing`."""


def amended(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments that `init` uses."""
    return arguments if amend is None else amend(arguments)


def set_amend(new_amend: Amend | None) -> Amend | None:
    """Replace what changes the arguments of `init`; returns the previous one."""
    global amend
    before, amend = amend, new_amend
    return before
