"""The envelope: headers and items, as bytes and back."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge._internal.delivery.json_text import IS_FAST, encode_json
from bridge._internal.timestamps import now_rfc3339
from bridge._internal.version import SDK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge._internal.dsn import Dsn
    from bridge._internal.payload import Payload

CONTENT_TYPE = "application/x-sentry-envelope"
SPAN_CONTENT_TYPE = "application/vnd.sentry.items.span.v2+json"

SENT_AT = "sent_at"
"""The header by which Sentry corrects the clock of the sender: the time of the last attempt."""

# Item types.
EVENT = "event"
TRANSACTION = "transaction"
SPAN_CONTAINER = "span"
ATTACHMENT = "attachment"
CLIENT_REPORT = "client_report"

# Categories of rate limits and client reports.
ERROR_CATEGORY = "error"
TRANSACTION_CATEGORY = "transaction"
SPAN_CATEGORY = "span"
ATTACHMENT_CATEGORY = "attachment"
INTERNAL_CATEGORY = "internal"
DEFAULT_CATEGORY = "default"

_CATEGORIES = {
    EVENT: ERROR_CATEGORY,
    TRANSACTION: TRANSACTION_CATEGORY,
    SPAN_CONTAINER: SPAN_CATEGORY,
    ATTACHMENT: ATTACHMENT_CATEGORY,
    CLIENT_REPORT: INTERNAL_CATEGORY,
}
_JSON_TYPES = frozenset({EVENT, TRANSACTION, SPAN_CONTAINER, CLIENT_REPORT, "session", "sessions", "check_in", "log"})
_LONG_LISTS = ("spans", "items")
_CHUNK = 1024 if IS_FAST else 64


@dataclass(frozen=True, slots=True)
class Item:
    """One item. `quantities` says what is in a payload that is bytes already; it is read off where it is `None`."""

    type: str
    payload: bytes | Payload
    headers: Payload = field(default_factory=dict)
    quantities: dict[str, int] | None = field(default=None, compare=False)

    @property
    def category(self) -> str:
        """The category whose rate limit holds for this item."""
        return _CATEGORIES.get(self.type, DEFAULT_CATEGORY)

    def losses(self) -> dict[str, int]:
        """Return what is lost with this item, as category -> quantity."""
        if self.quantities is not None:
            return dict(self.quantities)
        if self.type == CLIENT_REPORT:
            return {}
        if self.type == TRANSACTION:
            return {TRANSACTION_CATEGORY: 1, SPAN_CATEGORY: 1 + _length(self.content().get("spans"))}
        if self.type == SPAN_CONTAINER:
            return {SPAN_CATEGORY: self._item_count()}
        if self.type == ATTACHMENT:
            return {ATTACHMENT_CATEGORY: len(self.encode())}
        return {self.category: 1}

    def encode(self) -> bytes:
        """Return the payload as it goes on the wire."""
        return self.payload if isinstance(self.payload, bytes) else encode_payload(self.payload)

    def encoded(self) -> Item:
        """Return this item with its payload as bytes, still knowing its quantities."""
        if isinstance(self.payload, bytes):
            return self
        return Item(self.type, self.encode(), self.headers, self.losses())

    def content(self) -> Payload:
        """Return the payload of a JSON item; empty where it is none."""
        if isinstance(self.payload, dict):
            return self.payload
        try:
            return _json_object(self.payload)
        except ValueError:
            return {}

    def _item_count(self) -> int:
        count = self.headers.get("item_count")
        if isinstance(count, int) and not isinstance(count, bool):
            return max(0, count)
        return _length(self.content().get("items"))


@dataclass(frozen=True, slots=True)
class Envelope:
    """Headers and items that travel together."""

    headers: Payload
    items: list[Item]

    def losses(self) -> dict[str, int]:
        """Return what is lost with this envelope, as category -> quantity."""
        total: dict[str, int] = {}
        for item in self.items:
            for category, quantity in item.losses().items():
                total[category] = total.get(category, 0) + quantity
        return total

    def serialize(self) -> bytes:
        """Return the bytes that are posted; never raises, whatever is in the payloads."""
        return b"".join(self.serialized_parts())

    def serialized_parts(self) -> list[bytes]:
        """Return those bytes in parts, which a compressor takes without a second copy of everything."""
        parts = [encode_json(self.headers), b"\n"]
        for item in self.items:
            payload = item.encode()
            headers = {**item.headers, "type": item.type, "length": len(payload)}
            parts += [encode_json(headers), b"\n", payload, b"\n"]
        return parts

    @classmethod
    def parse(cls, data: bytes) -> Envelope:
        """Parse an envelope; payloads of JSON item types become dicts.

        Raises `ValueError`, saying what is malformed.
        """
        line, at = _line(data, 0)
        envelope = cls(_headers(line, "the envelope"), [])
        while at < len(data):
            line, at = _line(data, at)
            if line.strip():
                item, at = _parse_item(line, data, at)
                envelope.items.append(item)
        return envelope


def envelope_headers(dsn: Dsn | None, dsc: Mapping[str, str] | None = None, event_id: str | None = None) -> Payload:
    """Return the headers of an envelope.

    Without a complete DSC it belongs to no trace, and without a DSN to no project.
    """
    headers: Payload = {} if event_id is None else {"event_id": event_id}
    headers[SENT_AT] = now_rfc3339()
    if dsc and dsc.get("trace_id") and dsc.get("public_key"):
        headers["trace"] = dict(dsc)
    if dsn is not None:
        headers["dsn"] = dsn.public
    headers["sdk"] = dict(SDK)
    return headers


def encode_payload(payload: Payload) -> bytes:
    """Return a payload as JSON, a long list of spans by and by.

    `json` holds the interpreter for a whole call; between the chunks other threads get their turn, and a value that
    JSON has no form for makes only its own chunk take the slow way.
    """
    for key in _LONG_LISTS:
        entries = payload.get(key)
        if type(entries) is list and len(entries) > _CHUNK:
            return _encode_by_chunks(payload, key, list(entries))
    return encode_json(payload)


def _encode_by_chunks(payload: Payload, key: str, entries: list[object]) -> bytes:
    head = encode_json({name: value for name, value in payload.items() if name != key})
    chunks = []
    for start in range(0, len(entries), _CHUNK):
        chunks.append(encode_json(entries[start : start + _CHUNK])[1:-1])
        time.sleep(0)
    comma = b"" if head == b"{}" else b","
    return b"".join((head[:-1], comma, encode_json(key), b":[", b",".join(chunks), b"]}"))


def _parse_item(header_line: bytes, data: bytes, at: int) -> tuple[Item, int]:
    headers = _headers(header_line, "an item")
    item_type = headers.pop("type", None)
    if not isinstance(item_type, str):
        raise ValueError(f"The headers of an item have no type: {header_line[:100]!r}")
    payload, at = _payload(data, at, headers.pop("length", None), item_type)
    if item_type not in _JSON_TYPES:
        return Item(item_type, payload, headers), at
    try:
        return Item(item_type, _json_object(payload), headers), at
    except ValueError as error:
        raise ValueError(f"The payload of the {item_type} item is not a JSON object: {error}") from None


def _payload(data: bytes, at: int, length: object, item_type: str) -> tuple[bytes, int]:
    if length is None:
        return _line(data, at)
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise ValueError(f"The length of the {item_type} item is no length: {length!r}")
    end = at + length
    if end > len(data):
        raise ValueError(f"The {item_type} item says {length} bytes, {len(data) - at} are there.")
    if data[end : end + 1] not in (b"\n", b""):
        raise ValueError(f"The {item_type} item goes on after its {length} bytes.")
    return data[at:end], end + 1


def _line(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.find(b"\n", at)
    end = len(data) if end < 0 else end
    return data[at:end], end + 1


def _headers(line: bytes, whose: str) -> Payload:
    try:
        return _json_object(line)
    except ValueError:
        raise ValueError(f"The headers of {whose} are not a JSON object: {line[:100]!r}") from None


def _json_object(data: bytes) -> Payload:
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"it is of type {type(value).__name__}")
    return value


def _length(value: object) -> int:
    return len(value) if isinstance(value, list | tuple) else 0
