"""The one reference that this process holds: the client that the last `init` made, or none.

Rooms below the client read the options here; they know nothing of the client itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.client import Client
    from bridge.options import Options

client: Client | None = None
options: Options | None = None


def activate(new_client: Client | None, new_options: Options | None) -> None:
    """Put another client, or none, in place."""
    global client, options
    client = new_client
    options = new_options
