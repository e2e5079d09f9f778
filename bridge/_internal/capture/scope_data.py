"""Scope data on events: what the layers of scopes add to what is sent."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge._internal.payload import Data, Payload

_MAX_TAG = 200
_MAX_BREADCRUMBS = 100
_USER_TEXTS = frozenset({"id", "email", "username", "name", "ip_address"})
_LEVELS = {
    "fatal": "fatal",
    "critical": "fatal",
    "error": "error",
    "warning": "warning",
    "warn": "warning",
    "info": "info",
    "debug": "debug",
    "log": "info",
    "notset": "info",
}
_NOT_IN_TAG_KEY = re.compile(r"[^a-zA-Z0-9_.:-]")


class ScopeLike(Protocol):
    """What is read of a scope."""

    @property
    def tags(self) -> Data: ...
    @property
    def user(self) -> Data | None: ...
    @property
    def contexts(self) -> Mapping[str, Data]: ...
    @property
    def extra(self) -> Data: ...
    @property
    def attributes(self) -> Data: ...
    @property
    def level(self) -> str | None: ...
    @property
    def fingerprint(self) -> Sequence[str] | None: ...
    @property
    def transaction_name(self) -> str | None: ...
    @property
    def breadcrumbs(self) -> Sequence[Data]: ...


def apply_scope(event: Payload, *layers: ScopeLike) -> None:
    """Complete an event from scope layers, lowest precedence first; the event's own values win over all of them."""
    _complete_mapping(event, "tags", [layer.tags for layer in layers])
    _complete_mapping(event, "extra", [layer.extra for layer in layers])
    _complete_mapping(event, "user", [layer.user or {} for layer in layers])
    if "user" in event and hasattr(event["user"], "items"):
        event["user"] = {key: user_value(key, value) for key, value in event["user"].items()}
    _complete_contexts(event, layers)
    for layer in reversed(layers):
        if layer.level is not None:
            event.setdefault("level", layer.level)
        if layer.fingerprint is not None:
            event.setdefault("fingerprint", list(layer.fingerprint))
        if layer.transaction_name is not None:
            event.setdefault("transaction", layer.transaction_name)
    if event.get("level") is not None:
        event["level"] = clean_level(event["level"])
    breadcrumbs = [crumb for layer in layers for crumb in layer.breadcrumbs]
    if breadcrumbs and "breadcrumbs" not in event:
        breadcrumbs.sort(key=lambda crumb: _seconds(crumb.get("timestamp")))
        event["breadcrumbs"] = {"values": [dict(crumb) for crumb in breadcrumbs[-_MAX_BREADCRUMBS:]]}
    if "tags" in event and hasattr(event["tags"], "items"):
        event["tags"] = clean_tags(event["tags"])


def in_force(layers: Sequence[ScopeLike], name: str) -> Any:
    """Return a field of the highest layer that has one; `None` if none has."""
    return next((value for layer in reversed(layers) if (value := getattr(layer, name)) is not None), None)


def _complete_mapping(event: Payload, key: str, layers: Sequence[Data]) -> None:
    own = event.get(key)
    if own is not None and not hasattr(own, "items"):
        return  # an event of the user's making, in a form of its own
    merged: Payload = {}
    for layer in (*layers, own or {}):
        merged.update(layer)
    if merged:
        event[key] = merged


def _complete_contexts(event: Payload, layers: Sequence[ScopeLike]) -> None:
    merged: dict[str, Payload] = {}
    for contexts in (*(layer.contexts for layer in layers), event.get("contexts") or {}):
        for name, block in contexts.items():
            merged[name] = {**merged.get(name, {}), **block}
    if merged:
        event["contexts"] = merged


def clean_tags(tags: Mapping[Any, object]) -> dict[str, str]:
    """Return tags as Sentry takes them: text of one line and at most 200 characters, plain keys, nothing empty."""
    cleaned: dict[str, str] = {}
    for key, value in tags.items():
        if value is None:
            continue
        name = _NOT_IN_TAG_KEY.sub("_", printed(key))[:_MAX_TAG]
        text = " ".join(printed(value).splitlines())[:_MAX_TAG]
        if name and text:
            cleaned[name] = text
    return cleaned


def user_value(key: object, value: object) -> object:
    """Return what says who a user is as text, whatever it is (a number, a UUID); any other number as text too."""
    if value is None or isinstance(value, str):
        return value
    if key in _USER_TEXTS or (isinstance(value, int) and not isinstance(value, bool)):
        return printed(value)
    return value


def clean_level(level: object) -> str:
    """Return a level by the name that Sentry has for it: Python's own names and numbers count too."""
    if isinstance(level, int):
        level = logging.getLevelName(level)
    name = str(level).lower()
    name = _LEVELS.get(name, name)
    return name if name in _LEVELS.values() else "error"


def printed(value: object) -> str:
    """Return the text of any value; one that cannot say is named by its type."""
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        return str(value)
    except Exception:  # a __str__ of the user's
        return f"<{type(value).__name__}>"


def _seconds(timestamp: object) -> float:
    return float(timestamp) if isinstance(timestamp, int | float) else 0.0
