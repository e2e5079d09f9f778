"""Envelope: what is posted to Sentry: headers, and items with headers of their own, one JSON line each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from bridge.delivery.json_text import encode_json

CONTENT_TYPE = "application/x-sentry-envelope"

_CATEGORIES = {"event": "error", "transaction": "transaction", "span": "span", "attachment": "attachment"}
_JSON_ITEMS = frozenset({"event", "transaction", "span", "client_report"})
INTERNAL = "internal"


@dataclass(slots=True)
class Item:
    """One item: its type, its payload (JSON, or bytes as they are) and further headers."""

    type: str
    payload: dict[str, Any] | bytes
    headers: dict[str, Any] = field(default_factory=dict)

    @property
    def category(self) -> str:
        """The category that rate limits and client reports name it by."""
        return _CATEGORIES.get(self.type, INTERNAL)

    def losses(self) -> dict[str, int]:
        """Return what is lost with it, by category: a transaction is also each of its spans."""
        if self.type == "transaction":
            spans = self.payload.get("spans", ()) if isinstance(self.payload, dict) else ()
            return {"transaction": 1, "span": 1 + len(spans)}
        if self.type == "span":
            return {"span": int(self.headers.get("item_count", 1))}
        if self.type == "attachment":
            return {"attachment": len(self.payload)}
        return {} if self.category == INTERNAL else {self.category: 1}


@dataclass(slots=True)
class Envelope:
    """Headers and items; `serialize` gives the bytes, `parse` takes them."""

    headers: dict[str, Any]
    items: list[Item]

    def losses(self) -> dict[str, int]:
        """Return what is lost with it, by category."""
        total: dict[str, int] = {}
        for item in self.items:
            for category, quantity in item.losses().items():
                total[category] = total.get(category, 0) + quantity
        return total

    def serialize(self) -> bytes:
        """Return the envelope as it is posted."""
        lines = [encode_json(self.headers)]
        for item in self.items:
            payload = item.payload if isinstance(item.payload, bytes) else encode_json(item.payload)
            lines += [encode_json({"type": item.type, **item.headers, "length": len(payload)}), payload]
        return b"\n".join(lines) + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> Envelope:
        """Read an envelope. Raises `ValueError` if it is none."""
        first, _, rest = data.partition(b"\n")
        headers = _json_object(first)
        items = []
        while rest.strip():
            line, _, rest = rest.partition(b"\n")
            item_headers = _json_object(line)
            kind = str(item_headers.pop("type", ""))
            length = item_headers.pop("length", None)
            if length is None:
                payload, _, rest = rest.partition(b"\n")
            else:
                payload, rest = rest[:length], rest[length:].removeprefix(b"\n")
                if len(payload) != length:
                    raise ValueError(f"the item of type {kind!r} is shorter than its length {length}")
            items.append(Item(kind, _json_object(payload) if kind in _JSON_ITEMS else payload, item_headers))
        return cls(headers, items)


def _json_object(data: bytes) -> dict[str, Any]:
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError("an envelope's headers and JSON items are objects")
    return value
