"""What is too large for the server is cut down, and says in `_meta` what was cut."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge._internal.delivery.envelope import (
    EVENT,
    SPAN_CATEGORY,
    SPAN_CONTAINER,
    SPAN_CONTENT_TYPE,
    TRANSACTION,
    Item,
)
from bridge._internal.delivery.json_text import encode_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge._internal.payload import Payload

MAX_ITEM_BYTES = 1024 * 1024
MAX_SPANS = 1000
_BEFORE, _AFTER = b'{"version":2,"items":[', b"]}"

# How long a string may stay, round by round.
_STRING_LENGTHS = (8192, 1024, 256)
_ELLIPSIS = "..."
# What an event is not an event without; these are never removed.
_ESSENTIAL = frozenset({
    "event_id", "type", "timestamp", "start_timestamp", "platform", "transaction", "transaction_info", "spans",
    "contexts", "level", "_meta",
    # And a span of a container is not a span without these.
    "trace_id", "span_id", "parent_span_id", "name", "status", "is_segment", "end_timestamp", "attributes",
})  # fmt: skip
# What is removed part by part, and the parts that stay.
_HOLDERS = {"contexts": frozenset({"trace"}), "attributes": frozenset[str]()}

Path = tuple[str, ...]


class Fitted(NamedTuple):
    """An item that fits, encoded, and how many spans had to go to make it so."""

    item: Item
    dropped_spans: int


def fit_item(item: Item, max_bytes: int = MAX_ITEM_BYTES) -> Fitted:
    """Return the item encoded, an oversized event or transaction cut down to `max_bytes`.

    Long strings are shortened first, then the data of spans is dropped, then spans from the end, then the largest
    remaining parts of the event. Each cut is recorded in the event's `_meta`, in Relay's form.
    """
    encoded = item.encoded()
    size = len(encoded.payload)
    if size <= max_bytes or item.type not in (EVENT, TRANSACTION):
        return Fitted(encoded, 0)
    content = _decode(encoded.payload)
    if content is None:
        return Fitted(encoded, 0)
    spans_before = _span_count(content)
    payload = _Trimmer(content, max_bytes).trim()
    quantities = encoded.losses()
    # Spans that a user's hook put in are nobody's loss.
    dropped = min(spans_before - _span_count(content), quantities.get(SPAN_CATEGORY, 1) - 1)
    if dropped:
        quantities[SPAN_CATEGORY] -= dropped
    return Fitted(Item(item.type, payload, item.headers, quantities), dropped)


def fit_span(span: Payload, max_bytes: int) -> bytes:
    """Return a span of a container encoded, cut down to `max_bytes` as far as that goes, with its `_meta`."""
    content = _decode(encode_json(span))
    return encode_json(span) if content is None else _Trimmer(content, max_bytes).trim()


def span_containers(
    spans: Sequence[Payload], max_bytes: int = MAX_ITEM_BYTES, max_spans: int = MAX_SPANS
) -> tuple[list[Item], int]:
    """Return spans in items of at most so many bytes and spans, encoded, and how many could not be made to fit."""
    items: list[Item] = []
    too_large = 0
    waiting: list[bytes] = []
    room = largest = max_bytes - len(_BEFORE) - len(_AFTER)
    for span in spans:
        encoded = encode_json(span)
        if len(encoded) > largest:
            encoded = fit_span(span, largest)
        if len(encoded) > largest:
            too_large += 1
            continue
        if waiting and (len(encoded) > room or len(waiting) == max_spans):
            items.append(_container(waiting))
            waiting, room = [], largest
        waiting.append(encoded)
        room -= len(encoded) + 1
    if waiting:
        items.append(_container(waiting))
    return items, too_large


def _container(encoded: list[bytes]) -> Item:
    payload = b"".join((_BEFORE, b",".join(encoded), _AFTER))
    headers = {"item_count": len(encoded), "content_type": SPAN_CONTENT_TYPE}
    return Item(SPAN_CONTAINER, payload, headers, {SPAN_CATEGORY: len(encoded)})


class _Trimmer:
    """Cuts a decoded event in place, in the order of what a reader misses least."""

    def __init__(self, event: Payload, max_bytes: int) -> None:
        self._event = event
        self._max_bytes = max_bytes
        meta = event.get("_meta")
        self._meta: Payload = meta if isinstance(meta, dict) else {}
        event["_meta"] = self._meta

    def trim(self) -> bytes:
        payload = encode_json(self._event)
        for max_length in _STRING_LENGTHS:
            self._shorten_strings(max_length)
            payload = encode_json(self._event)
            if len(payload) <= self._max_bytes:
                return payload
        # Spans a second time: the notes of what else was removed take room as well.
        for step in (self._drop_span_data, self._drop_last_spans, self._drop_largest_parts, self._drop_last_spans):
            step(len(payload) - self._max_bytes)
            payload = encode_json(self._event)
            if len(payload) <= self._max_bytes:
                break
        return payload

    def _shorten_strings(self, max_length: int) -> None:
        pending: list[tuple[Path, Any]] = [((), self._event)]
        while pending:
            path, container = pending.pop()
            for key, value in _entries(container):
                if not path and key == "_meta":
                    continue
                here = (*path, str(key))
                if isinstance(value, str) and len(value) > max_length:
                    container[key] = value[: max_length - len(_ELLIPSIS)] + _ELLIPSIS
                    self._note_shortened(here, len(value), max_length)
                elif isinstance(value, dict | list):
                    pending.append((here, value))

    def _drop_span_data(self, excess: int) -> None:
        # From the end, as spans go afterwards: what stays whole is the beginning of the story.
        for index, span in reversed(list(enumerate(self._spans()))):
            if excess <= 0:
                return
            path = ("spans", str(index), "data")
            gain = len(encode_json(span.get("data"))) - _note_size(path) if isinstance(span, dict) else 0
            if gain > 0:
                span["data"] = None
                self._note_removed(path)
                excess -= gain

    def _drop_last_spans(self, excess: int) -> None:
        spans = self._spans()
        length = len(spans)
        excess += _note_size(("spans",))
        while spans and excess > 0:
            excess -= len(encode_json(spans.pop())) + 1
            span_meta = self._meta.get("spans")
            if isinstance(span_meta, dict):
                gone = span_meta.pop(str(len(spans)), None)
                excess -= 0 if gone is None else len(encode_json(gone))
        if len(spans) < length:
            self._node(("spans",)).setdefault("len", length)

    def _drop_largest_parts(self, excess: int) -> None:
        parts = _gains((), self._event, _ESSENTIAL)
        for name, kept in _HOLDERS.items():
            holder = self._event.get(name)
            if isinstance(holder, dict):
                parts += _gains((name,), holder, kept)
        for gain, path, holder in sorted(parts, key=lambda part: part[0], reverse=True):
            if excess <= 0 or gain <= 0:
                return
            holder[path[-1]] = None
            self._note_removed(path)
            excess -= gain

    def _spans(self) -> list[Any]:
        spans = self._event.get("spans")
        return spans if isinstance(spans, list) else []

    def _note_shortened(self, path: Path, length: int, max_length: int) -> None:
        node = self._node(path)
        # A string that is cut again keeps the length it had at first.
        node.setdefault("len", length)
        node["rem"] = [["!limit", "s", max_length - len(_ELLIPSIS), max_length]]

    def _note_removed(self, path: Path) -> None:
        self._forget_below(path)
        self._node(path)["rem"] = [["!limit", "x"]]

    def _node(self, path: Path) -> Payload:
        tree = self._meta
        for key in (*path, ""):
            child = tree.get(key)
            if not isinstance(child, dict):
                child = tree[key] = {}
            tree = child
        return tree

    def _forget_below(self, path: Path) -> None:
        tree: object = self._meta
        for key in path[:-1]:
            tree = tree.get(key) if isinstance(tree, dict) else None
        if isinstance(tree, dict):
            tree.pop(path[-1], None)


def _gains(path: Path, holder: Payload, kept: frozenset[str]) -> list[tuple[int, Path, Payload]]:
    """Say for each removable part of `holder` how many bytes its removal would gain."""
    return [
        (len(encode_json(value)) - _note_size((*path, key)), (*path, key), holder)
        for key, value in holder.items()
        if key not in kept
    ]


def _decode(payload: object) -> Payload | None:
    try:
        content = json.loads(payload) if isinstance(payload, bytes) else None
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _entries(container: Any) -> list[tuple[Any, Any]]:
    return list(container.items()) if isinstance(container, dict) else list(enumerate(container))


def _span_count(event: Payload) -> int:
    spans = event.get("spans")
    return len(spans) if isinstance(spans, list) else 0


def _note_size(path: Path) -> int:
    """How much a note of something removed adds to `_meta`, generously."""
    return sum(len(encode_json(key)) + 4 for key in path) + 40
