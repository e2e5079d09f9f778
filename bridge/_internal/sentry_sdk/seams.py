"""Seams: functions of sentry-sdk's that are wrapped while the two SDKs are one, and given back after."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import wrapt

from bridge._internal.sentry_sdk import setup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

logger = logging.getLogger("bridge.sentry_sdk")


@dataclass(frozen=True, slots=True)
class Seam:
    """A function that is wrapped: whose it is, its name, and what is called in its place."""

    owner: type
    name: str
    wrapper: Callable[..., Any]

    @property
    def full_name(self) -> str:
        """What a reader calls it."""
        return f"{self.owner.__module__}.{self.owner.__qualname__}.{self.name}"


class Seams:
    """Those that were taken."""

    def __init__(self) -> None:
        self._taken: dict[Seam, Any] = {}

    def take(self, seams: Iterable[Seam]) -> None:
        """Wrap each function that this version of sentry-sdk has."""
        for seam in seams:
            if hasattr(seam.owner, seam.name):
                self._taken[seam] = wrapt.wrap_function_wrapper(seam.owner, seam.name, _while_in_force(seam.wrapper))

    def give_back(self) -> None:
        """Take the wrappers off, also from beneath others; where that cannot be done, they pass calls on."""
        for seam, handle in self._taken.items():
            try:
                wrapt.unwrap_object(seam.owner, seam.name, handle, missing_ok=True)
            except wrapt.WrapperNotOutermostError:
                logger.debug("%s is wrapped by somebody else; what is beneath passes calls on", seam.full_name)
        self._taken.clear()

    def lost(self) -> list[str]:
        """Return what was taken and is called no more, as somebody has put another function in its place."""
        return sorted(seam.full_name for seam, handle in self._taken.items() if not _is_reached(seam, handle))


def _while_in_force(wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """Return a wrapper that passes calls on once the two SDKs are two again: it may not have come off."""

    def call(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        if not setup.is_in_force():
            return wrapped(*args, **kwargs)
        return wrapper(wrapped, instance, args, kwargs)

    return call


def _is_reached(seam: Seam, handle: Any) -> bool:
    found = vars(seam.owner).get(seam.name)
    while found is not None and found is not handle:
        found = getattr(found, "__wrapped__", None)
    return found is handle
