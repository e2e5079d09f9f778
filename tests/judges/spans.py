"""Span containers judged by the protocol's own table: Relay's normaliser in Python takes events only."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from bridge._internal.delivery.envelope import SPAN_CONTENT_TYPE, Item

ID = re.compile(r"(?!0+$)[0-9a-f]+")
LENGTHS = {"trace_id": 32, "span_id": 16, "parent_span_id": 16}
TYPES: dict[str, type] = {"string": str, "boolean": bool, "integer": int, "double": float, "array": list}
REQUIRED = {"trace_id", "span_id", "name", "status", "is_segment", "start_timestamp", "end_timestamp"}
OPTIONAL = {"parent_span_id", "attributes", "links", "_meta"}


def container_complaints(item: Item) -> list[str]:
    """Return what is wrong with a span container."""
    content = item.content()
    spans = content.get("items", [])
    found = []
    if item.headers.get("content_type") != SPAN_CONTENT_TYPE:
        found.append(f"content_type is {item.headers.get('content_type')!r}")
    if item.headers.get("item_count") != len(spans) or not 0 < len(spans) <= 1000:
        found.append(f"item_count is {item.headers.get('item_count')!r} of {len(spans)}")
    if len({span.get("trace_id") for span in spans}) != 1:
        found.append("more than one trace in a container")
    return found + [f"span: {complaint}" for span in spans for complaint in _span(span)]


def _span(span: dict[str, Any]) -> Iterator[str]:
    if missing := REQUIRED - span.keys():
        yield f"no {sorted(missing)}"
    if unknown := span.keys() - REQUIRED - OPTIONAL:
        yield f"unknown {sorted(unknown)}"
    for key, length in LENGTHS.items():
        if key in span and not (len(str(span[key])) == length and ID.fullmatch(str(span[key]))):
            yield f"{key} is {span[key]!r}"
    if span.get("status") not in ("ok", "error"):
        yield f"status is {span.get('status')!r}"
    for key in ("start_timestamp", "end_timestamp"):
        if not isinstance(span.get(key), float) or not math.isfinite(span[key]):
            yield f"{key} is {span.get(key)!r}"
    for holder in (span, *span.get("links", ())):
        for name, attribute in (holder.get("attributes") or {}).items():
            if attribute is not None:
                yield from _attribute(name, attribute)


def _attribute(name: str, attribute: Any) -> Iterator[str]:
    if not isinstance(attribute, dict) or attribute.keys() != {"type", "value"}:
        yield f"attribute {name} is {attribute!r}"
    elif type(attribute["value"]) is not TYPES.get(attribute["type"]):
        yield f"attribute {name} of type {attribute['type']!r} is {attribute['value']!r}"
