"""Transactions put together again to the tree that they were cut from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bridge.tracing.span import ORIGIN_MANUAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(slots=True)
class Node:
    """A span that arrived, with what is below it."""

    name: str
    op: str | None
    span_id: str
    parent_span_id: str | None
    trace_id: str
    made_by: str
    service: str
    start: datetime
    end: datetime
    children: list[Node] = field(default_factory=list)

    @property
    def duration_ms(self) -> float:
        """How long it took."""
        return (self.end - self.start).total_seconds() * 1000

    def walk(self) -> Iterator[Node]:
        """Go through it and everything below, in order."""
        yield self
        for child in self.children:
            yield from child.walk()


def trees(transactions: Sequence[Mapping[str, Any]]) -> list[Node]:
    """Return the roots of what several services sent, children in the order of their start."""
    nodes = [node for transaction in transactions for node in _nodes(transaction)]
    by_id = {node.span_id: node for node in nodes}
    roots: list[Node] = []
    for node in sorted(nodes, key=lambda n: n.start):
        parent = by_id.get(node.parent_span_id or "")
        (roots if parent is None else parent.children).append(node)
    return roots


def _nodes(transaction: Mapping[str, Any]) -> Iterator[Node]:
    resource = transaction["contexts"].get("otel", {}).get("resource", {})
    service = str(resource.get("service.name", "?"))
    root = {**transaction["contexts"]["trace"], "description": transaction["transaction"]}
    for key in ("start_timestamp", "timestamp"):
        root[key] = transaction[key]
    for span in (root, *transaction["spans"]):
        yield Node(
            name=span["description"],
            op=span.get("op"),
            span_id=span["span_id"],
            parent_span_id=span.get("parent_span_id"),
            trace_id=span["trace_id"],
            made_by="start_span()" if span.get("origin") == ORIGIN_MANUAL else "native tracer",
            service=service,
            start=_time(span["start_timestamp"]),
            end=_time(span["timestamp"]),
        )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
