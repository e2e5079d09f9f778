"""The one reference that this process holds: the client that the last `init` made, or none.

Rooms below the client read the options here; of the client they know nothing but that it has some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bridge.options import Options


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
