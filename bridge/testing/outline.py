"""What was sent, put together to trees and written as lines that a test can compare. Pure functions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

FIELDS = ("op", "status", "tags")
_INDENT = "  "


@dataclass(frozen=True, slots=True)
class SentSpan:
    """A span as it was sent, by either lifecycle."""

    payload: dict[str, Any]
    name: str
    attributes: Mapping[str, Any]

    @property
    def span_id(self) -> str:
        """Its id."""
        return str(self.payload["span_id"])

    @property
    def _ended(self) -> float:
        return _seconds(self.payload, "timestamp", "end_timestamp")

    def value(self, wanted: str) -> Any:
        """Return what a field shows; `None` where the span does not have it."""
        if wanted == "status":
            status = self.attributes.get("sentry.status.message", self.payload.get("status"))
            return None if status == "ok" else status
        if wanted == "duration":
            return f"{self._ended - _seconds(self.payload, 'start_timestamp'):g}s"
        if wanted in ("op", "origin"):
            return self.payload.get(wanted, self.attributes.get(f"sentry.{wanted}"))
        if wanted in ("tags", "measurements"):
            return self.payload.get(wanted)
        return self.attributes.get(wanted)


@dataclass(slots=True)
class Node:
    """A span with what is below it, and the errors and messages that were captured in it."""

    span: SentSpan
    events: list[Mapping[str, Any]] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)


def sent_spans(payloads: Sequence[dict[str, Any]], order_of: Callable[[str], int]) -> list[SentSpan]:
    """Return spans in the order of their start; of those that started at the same time by `order_of` their ids."""
    spans = [_sent_span(payload) for payload in payloads]
    return sorted(spans, key=lambda span: (_seconds(span.payload, "start_timestamp"), order_of(span.span_id)))


def _sent_span(payload: dict[str, Any]) -> SentSpan:
    attributes: Mapping[str, Any] = payload.get("data") or {}
    if "attributes" in payload:  # a span that was sent by itself
        attributes = {key: value["value"] for key, value in payload["attributes"].items()}
    return SentSpan(payload, str(payload.get("description") or payload.get("name")), attributes)


def _seconds(payload: Mapping[str, Any], *keys: str) -> float:
    value = next(payload[key] for key in keys if key in payload)
    if isinstance(value, str):
        return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
    return float(value)


def with_events(
    spans: Sequence[SentSpan], events: Sequence[Mapping[str, Any]]
) -> tuple[list[Node], list[Mapping[str, Any]]]:
    """Return the roots of what was sent, and the events that belong to no span of them."""
    nodes = {span.span_id: Node(span) for span in spans}
    roots: list[Node] = []
    for node in nodes.values():
        parent = nodes.get(str(node.span.payload.get("parent_span_id")))
        (roots if parent is None else parent.children).append(node)
    elsewhere: list[Mapping[str, Any]] = []
    for event in events:
        of_span = nodes.get(str(event.get("contexts", {}).get("trace", {}).get("span_id")))
        (elsewhere if of_span is None else of_span.events).append(event)
    return roots, elsewhere


def names(nodes: Sequence[Node]) -> list[Any]:
    """Return names, each followed by the list of those below, if there are any."""
    found: list[Any] = []
    for node in nodes:
        found.append(node.span.name)
        if node.children:
            found.append(names(node.children))
    return found


def outline(roots: Sequence[Node], elsewhere: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> str:
    """Return the lines of trees, with what belongs to no span at the end."""
    lines = [line for node in roots for line in _lines(node, "", fields)]
    return "\n".join([*lines, *map(_event_line, elsewhere)])


def _lines(node: Node, indent: str, fields: Sequence[str]) -> Iterator[str]:
    yield indent + _INDENT.join([_on_one_line(node.span.name), *_shown(node.span, fields)])
    deeper = indent + _INDENT
    for event in node.events:
        yield deeper + _event_line(event)
    for child in node.children:
        yield from _lines(child, deeper, fields)


def _shown(span: SentSpan, fields: Sequence[str]) -> Iterator[str]:
    for wanted in fields:
        value = span.value(wanted)
        if wanted == "measurements" and value:
            value = {name: f"{one['value']:g} {one.get('unit', '')}".strip() for name, one in value.items()}
        if isinstance(value, dict) and wanted in ("tags", "measurements"):
            yield from (f"{wanted}.{key}={_written(value[key])}" for key in sorted(value))
        elif value is not None:
            yield f"{wanted}={_written(value)}"


def _written(value: Any) -> str:
    if isinstance(value, str) and value and not set(value) & set(" \t\n\"'="):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _event_line(event: Mapping[str, Any]) -> str:
    return f"! {event.get('level', 'error')}: {_on_one_line(_what_happened(event))}"


def _what_happened(event: Mapping[str, Any]) -> str:
    values = (event.get("exception") or {}).get("values") or ()
    if values:
        return f"{values[-1].get('type')}: {values[-1].get('value')}"
    return str((event.get("logentry") or {}).get("message", event.get("message", "")))


def _on_one_line(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n") if "\n" in text else text
