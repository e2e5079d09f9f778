"""The one reference that this process holds: the client that the last `init` made, or none.

Rooms below the client read the options here; of the client they know nothing but that it has some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge._internal.options import Options

    Amend = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class HasOptions(Protocol):
    """What the rooms below may know of the client."""

    @property
    def options(self) -> Options:
        """What is in force."""


client: HasOptions | None = None


def activate(new_client: HasOptions | None) -> None:
    """Put another client, or none, in place."""
    global client
    client = new_client


def options() -> Options | None:
    """Return the options in force, if there is a client."""
    return None if client is None else client.options


amend: Amend | None = None
"""What has the last word on the arguments of `init`, if anything: a capture of `bridge.testing` that is in force."""


def amended(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments that `init` goes by."""
    return arguments if amend is None else amend(arguments)


def set_amend(with_last_word: Amend | None) -> Amend | None:
    """Let something else, or nothing, have the last word; returns what had it."""
    global amend
    before, amend = amend, with_last_word
    return before
