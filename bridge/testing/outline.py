"""Span trees as nested names or lines that a test can compare. Pure functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bridge._internal.console.tree import event_summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bridge._internal.console.tree import Node, SentSpan

FIELDS = ("op", "status", "tags")
_INDENT = "  "


def name_tree(nodes: Sequence[Node]) -> list[Any]:
    """Return span names, each followed by the list of its children, if any."""
    found: list[Any] = []
    for node in nodes:
        found.append(node.span.name)
        if node.children:
            found.append(name_tree(node.children))
    return found


def outline(roots: Sequence[Node], elsewhere: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> str:
    """Return the trees as indented lines, with events that belong to no span at the end."""
    lines = [line for node in roots for line in _lines(node, "", fields)]
    return "\n".join([*lines, *map(_event_line, elsewhere)])


def _lines(node: Node, indent: str, fields: Sequence[str]) -> Iterator[str]:
    yield indent + _INDENT.join([_single_line(node.span.name), *_field_texts(node.span, fields)])
    deeper = indent + _INDENT
    for event in node.events:
        yield deeper + _event_line(event)
    for child in node.children:
        yield from _lines(child, deeper, fields)


def _field_texts(span: SentSpan, fields: Sequence[str]) -> Iterator[str]:
    for wanted in fields:
        value = _value(span, wanted)
        if wanted == "measurements" and value:
            value = {name: f"{one['value']:g} {one.get('unit', '')}".strip() for name, one in value.items()}
        if isinstance(value, dict) and wanted in ("tags", "measurements"):
            yield from (f"{wanted}.{key}={_quoted(value[key])}" for key in sorted(value))
        elif value is not None:
            yield f"{wanted}={_quoted(value)}"


def _value(span: SentSpan, wanted: str) -> Any:
    if wanted in ("op", "origin", "status"):
        return getattr(span, wanted)
    if wanted == "duration":
        return f"{span.ended_s - span.started_s:g}s"
    if wanted in ("tags", "measurements"):
        return span.payload.get(wanted)
    return span.attributes.get(wanted)


def _quoted(value: Any) -> str:
    if isinstance(value, str) and value and not set(value) & set(" \t\n\"'="):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _event_line(event: Mapping[str, Any]) -> str:
    return f"! {event.get('level', 'error')}: {_single_line(event_summary(event))}"


def _single_line(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n") if "\n" in text else text
