"""What was sent, put together again to the trees that it was cut from. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import StatusCode

from bridge._internal.semantics.status import status
from bridge._internal.tracing.span import ORIGIN_MANUAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_UNKNOWN_SERVICE = "?"


@dataclass(frozen=True, slots=True)
class SentSpan:
    """A span as it was sent, by either lifecycle; of a transaction's root the `service`, where a resource names it."""

    payload: dict[str, Any]
    name: str
    attributes: Mapping[str, Any]
    service: str = _UNKNOWN_SERVICE

    @property
    def span_id(self) -> str:
        """Its id."""
        return str(self.payload["span_id"])

    @property
    def parent_span_id(self) -> str | None:
        """The id of what it is below, which may be another service's."""
        return self.payload.get("parent_span_id")

    @property
    def trace_id(self) -> str:
        """Its trace."""
        return str(self.payload["trace_id"])

    @property
    def op(self) -> str | None:
        """What kind of work it was."""
        return self.payload.get("op", self.attributes.get("sentry.op"))

    @property
    def origin(self) -> str | None:
        """What made it."""
        return self.payload.get("origin", self.attributes.get("sentry.origin"))

    @property
    def made_by(self) -> str:
        """Which API made it, in words."""
        return "start_span()" if self.origin == ORIGIN_MANUAL else "native tracer"

    @property
    def scope(self) -> str | None:
        """The name of the tracer that made it, if it has one."""
        return self.attributes.get("otel.scope.name")

    @property
    def status(self) -> str | None:
        """How it went wrong; `None` where it did not."""
        word = self.payload.get("status")
        if word == "error":  # all that a streamed span says; why is told from the same attributes
            word = status(StatusCode.ERROR, self.attributes.get("sentry.status.message"), self.attributes)
        return None if word == "ok" else word

    @property
    def started_s(self) -> float:
        """When it started, in seconds since the epoch."""
        return _seconds(self.payload, "start_timestamp")

    @property
    def ended_s(self) -> float:
        """When it ended."""
        return _seconds(self.payload, "timestamp", "end_timestamp")

    @property
    def duration_ms(self) -> float:
        """How long it took."""
        return (self.ended_s - self.started_s) * 1000


@dataclass(slots=True)
class Node:
    """A span with what is below it, and the errors and messages that were captured in it."""

    span: SentSpan
    events: list[Mapping[str, Any]] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        """Go through it and everything below, in order."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


def span_payloads(transaction: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Go through the spans of a transaction, its root first; each has a `description`, ids and times."""
    root = {**transaction["contexts"]["trace"], "description": transaction["transaction"]}
    for key in ("start_timestamp", "timestamp", "tags", "measurements"):
        if key in transaction:
            root[key] = transaction[key]
    yield root
    yield from transaction["spans"]


def spans_of(transaction: Mapping[str, Any]) -> list[SentSpan]:
    """Return the spans of a transaction, its root first."""
    resource = transaction["contexts"].get("otel", {}).get("resource", {})
    service = str(resource.get("service.name", _UNKNOWN_SERVICE))
    return [sent_span(payload, service) for payload in span_payloads(transaction)]


def sent_span(payload: dict[str, Any], service: str = _UNKNOWN_SERVICE) -> SentSpan:
    """Return a span of a transaction, or one that was sent by itself."""
    attributes: Mapping[str, Any] = payload.get("data") or {}
    if "attributes" in payload:  # a span that was sent by itself
        attributes = {key: value["value"] for key, value in payload["attributes"].items()}
    return SentSpan(payload, str(payload.get("description") or payload.get("name")), attributes, service)


def in_order(spans: Iterable[SentSpan], order_of: Callable[[str], int] = lambda _: 0) -> list[SentSpan]:
    """Return spans in the order of their start; of those that started at the same time by `order_of` their ids."""
    return sorted(spans, key=lambda span: (span.started_s, order_of(span.span_id)))


def with_events(
    spans: Sequence[SentSpan], events: Sequence[Mapping[str, Any]]
) -> tuple[list[Node], list[Mapping[str, Any]]]:
    """Return the roots of what was sent, children in the given order, and the events that belong to no span of them."""
    nodes = {span.span_id: Node(span) for span in spans}
    roots: list[Node] = []
    for node in nodes.values():
        parent = nodes.get(str(node.span.parent_span_id))
        (roots if parent is None else parent.children).append(node)
    elsewhere: list[Mapping[str, Any]] = []
    for event in events:
        of_span = nodes.get(span_id_of(event))
        (elsewhere if of_span is None else of_span.events).append(event)
    return roots, elsewhere


def span_id_of(event: Mapping[str, Any]) -> str:
    """Return the id of the span that an event was captured in."""
    return str(event.get("contexts", {}).get("trace", {}).get("span_id"))


def what_happened(event: Mapping[str, Any]) -> str:
    """Return an event in a few words: the exception, or the message."""
    values = (event.get("exception") or {}).get("values") or ()
    if values:
        return f"{values[-1].get('type')}: {values[-1].get('value')}"
    return str((event.get("logentry") or {}).get("message", event.get("message", "")))


def raised_at(event: Mapping[str, Any]) -> str | None:
    """Return where in the code an exception came from; `None` where that is not known."""
    values = (event.get("exception") or {}).get("values") or ()
    frames = ((values[-1].get("stacktrace") or {}).get("frames") or ()) if values else ()
    if not frames:
        return None
    frame = frames[-1]
    name = str(frame.get("filename", "?")).replace("\\", "/").rpartition("/")[2]
    return f"{name}:{frame.get('lineno', '?')} in {frame.get('function', '?')}"


def _seconds(payload: Mapping[str, Any], *keys: str) -> float:
    value = next(payload[key] for key in keys if key in payload)
    if isinstance(value, str):
        return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
    return float(value)
