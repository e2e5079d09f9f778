"""The active client: the one that the last `init` made, or none.

Rooms below the client read the options here; of the client they know nothing but that it has some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge._internal.client import Client
    from bridge._internal.options import Options

    Amend = Callable[[Mapping[str, Any]], Mapping[str, Any]]


client: Client | None = None


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
