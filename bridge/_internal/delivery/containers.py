"""Span containers: as many finished spans in one item as the server takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal.delivery.envelope import SPAN_CATEGORY, SPAN_CONTAINER, SPAN_CONTENT_TYPE, Item
from bridge._internal.delivery.json_text import encode_json
from bridge._internal.delivery.limits import MAX_ITEM_BYTES, fit_span

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SPANS = 1000
_BEFORE, _AFTER = b'{"version":2,"items":[', b"]}"


def span_containers(
    spans: Sequence[dict[str, Any]], max_bytes: int = MAX_ITEM_BYTES, max_spans: int = MAX_SPANS
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
