"""Typed reading of attributes, whose values may be anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

if TYPE_CHECKING:
    from collections.abc import Mapping


def first_text(attributes: Mapping[str, Any], *keys: str) -> str:
    """Return the first of these attributes that is a text and not empty; else the empty text."""
    for key in keys:
        value = attributes.get(key)
        if value and isinstance(value, str):
            return value
    return ""


def text(value: Any) -> str:
    """Return a text as it is, anything else as the empty text."""
    return value if isinstance(value, str) else ""


def integer(value: Any) -> int | None:
    """Return a whole number, also one that is written as digits."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return None


def is_of_server(kind: SpanKind, attributes: Mapping[str, Any]) -> bool:
    """Whether a span's peer is a client: that of a server, or of an application that is mounted in another one."""
    return kind is SpanKind.SERVER or (
        kind is SpanKind.INTERNAL and ("http.route" in attributes or "http.target" in attributes)
    )
