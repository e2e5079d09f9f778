"""sentry-sdk in the same process: one world with it, in either order of `init`.

Nothing here imports sentry-sdk: what does is loaded once the program has imported it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import wrapt

from bridge._internal.guard import guard

if TYPE_CHECKING:
    from types import ModuleType

    from bridge._internal.client import Client


class _Watch:
    """The hook on the import of sentry-sdk, which cannot be taken back: one for the process."""

    client: Client | None = None
    is_set = False


def join(client: Client) -> None:
    """Share the world with sentry-sdk, now or once it is imported; not where `sentry_sdk=False` says so."""
    if client.options.sentry_sdk is False:
        return
    _Watch.client = client
    if not _Watch.is_set:
        _Watch.is_set = True
        wrapt.when_imported("sentry_sdk")(_imported)
    elif "sentry_sdk" in sys.modules:
        _imported(sys.modules["sentry_sdk"])


def _imported(module: ModuleType) -> None:
    if _Watch.client is None:
        return
    with guard("sentry_sdk", "sentry-sdk could not be joined"):
        from bridge._internal.sentry_sdk import mode

        mode.join(_Watch.client)


@dataclass(frozen=True, slots=True)
class Report:
    """How the bridge and sentry-sdk live together: `world`, `linked`, `apart`, or `alone` where it has no client."""

    mode: str
    reasons: tuple[str, ...] = ()
    lost_seams: tuple[str, ...] = ()
    links_are_refused: bool = False
    conflicts: tuple[str, ...] = ()


def report() -> Report:
    """Return how the two live together now."""
    if _Watch.client is None or "bridge._internal.sentry_sdk.mode" not in sys.modules:
        return Report("alone")
    from bridge._internal.sentry_sdk import mode

    found, together = mode.mode(), mode.together()
    conflicts = () if together is None else tuple(together.setup.conflicts())
    return Report(found.name, found.reasons, tuple(mode.lost_seams()), mode.is_refused_links(), conflicts)


def leave(client: Client, timeout: float) -> None:
    """Let sentry-sdk be as it was before."""
    if _Watch.client is not client:
        return
    _Watch.client = None
    if "bridge._internal.sentry_sdk.mode" in sys.modules:
        from bridge._internal.sentry_sdk import mode

        with guard("sentry_sdk", "sentry-sdk could not be left"):
            mode.leave(timeout)
