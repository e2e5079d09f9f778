"""JSON of anything: what users put into attributes and tags must never stop an event."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from typing import Any

_MAX_DEPTH = 20
_MAX_TEXT = 100_000


def encode_json(value: Any) -> bytes:
    """Return valid JSON for any value, quickly where it is plain, cleaned where it is not. Never raises."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError, OverflowError):
        cleaned = clean(value)
        return json.dumps(cleaned, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode(
            "utf-8", "replace"
        )


def clean(value: Any, depth: int = 0, above: frozenset[int] = frozenset()) -> Any:
    """Return a value that JSON can hold, as near to the given one as that goes."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else str(value) if value.bit_length() < 4096 else "<int>"
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _clean_text(bytes(value).decode("utf-8", "replace"))
    if isinstance(value, datetime | date):
        return value.isoformat()
    if id(value) in above:
        return "<cycle>"
    if depth >= _MAX_DEPTH:
        return _described(value)
    if isinstance(value, Mapping):
        return _clean_mapping(value, depth + 1, above | {id(value)})
    if isinstance(value, Sequence | AbstractSet):
        return _clean_items(value, depth + 1, above | {id(value)})
    return _described(value)


def _clean_mapping(value: Mapping[Any, Any], depth: int, above: frozenset[int]) -> Any:
    try:
        return {_clean_text(_described(key)): clean(item, depth, above) for key, item in value.items()}
    except Exception:  # a mapping of the user's that cannot be read
        return _described(value)


def _clean_items(value: Sequence[Any] | AbstractSet[Any], depth: int, above: frozenset[int]) -> Any:
    try:
        return [clean(item, depth, above) for item in value]
    except Exception:  # a container of the user's that cannot be read
        return _described(value)


def _clean_text(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot hold, and cut what no reader wants to see whole."""
    shortened = text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "..."
    return shortened.encode("utf-8", "replace").decode("utf-8")


def _described(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    try:
        return _clean_text(str(value))
    except Exception:  # a __str__ of the user's
        return f"<{type(value).__name__}>"
