"""Span trees rebuilt from sent payloads. Pure functions."""

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
    """A span as it was sent, in a transaction or by itself; `service` is known for spans of a transaction."""

    payload: dict[str, Any]
    name: str
    attributes: Mapping[str, Any]
    service: str = _UNKNOWN_SERVICE

    @property
    def span_id(self) -> str:
        """The span id."""
        return str(self.payload["span_id"])

    @property
    def parent_span_id(self) -> str | None:
        """The parent's span id, which may be of another service."""
        return self.payload.get("parent_span_id")

    @property
    def trace_id(self) -> str:
        """The trace id."""
        return str(self.payload["trace_id"])

    @property
    def op(self) -> str | None:
        """The Sentry op."""
        return self.payload.get("op", self.attributes.get("sentry.op"))

    @property
    def origin(self) -> str | None:
        """The Sentry origin."""
        return self.payload.get("origin", self.attributes.get("sentry.origin"))

    @property
    def made_by(self) -> str:
        """The API that created the span: `start_span()` or `native tracer`."""
        return "start_span()" if self.origin == ORIGIN_MANUAL else "native tracer"

    @property
    def scope(self) -> str | None:
        """The name of the OpenTelemetry tracer, if any."""
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
        """Start time in seconds since the epoch."""
        return _seconds(self.payload, "start_timestamp")

    @property
    def ended_s(self) -> float:
        """End time in seconds since the epoch."""
        return _seconds(self.payload, "timestamp", "end_timestamp")

    @property
    def duration_ms(self) -> float:
        """Duration in milliseconds."""
        return (self.ended_s - self.started_s) * 1000


@dataclass(slots=True)
class Node:
    """A span with its children, and the errors and messages captured in it."""

    span: SentSpan
    events: list[Mapping[str, Any]] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        """Yield this node and its descendants, depth first."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


def span_payloads(transaction: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the span payloads of a transaction, root first; each has a `description`, ids and times."""
    root = {**transaction["contexts"]["trace"], "description": transaction["transaction"]}
    for key in ("start_timestamp", "timestamp", "tags", "measurements"):
        if key in transaction:
            root[key] = transaction[key]
    yield root
    yield from transaction["spans"]


def transaction_spans(transaction: Mapping[str, Any]) -> list[SentSpan]:
    """Return the spans of a transaction, its root first."""
    resource = transaction["contexts"].get("otel", {}).get("resource", {})
    service = str(resource.get("service.name", _UNKNOWN_SERVICE))
    return [span_from_payload(payload, service) for payload in span_payloads(transaction)]


def span_from_payload(payload: dict[str, Any], service: str = _UNKNOWN_SERVICE) -> SentSpan:
    """Return the span of a payload, from a transaction or sent by itself."""
    attributes: Mapping[str, Any] = payload.get("data") or {}
    if "attributes" in payload:  # a span that was sent by itself
        attributes = {key: value["value"] for key, value in payload["attributes"].items()}
    return SentSpan(payload, str(payload.get("description") or payload.get("name")), attributes, service)


def sorted_spans(spans: Iterable[SentSpan], order_of: Callable[[str], int] = lambda _: 0) -> list[SentSpan]:
    """Sort spans by start time, and by `order_of` their ids if they started at the same time."""
    return sorted(spans, key=lambda span: (span.started_s, order_of(span.span_id)))


def build_trees(
    spans: Sequence[SentSpan], events: Sequence[Mapping[str, Any]]
) -> tuple[list[Node], list[Mapping[str, Any]]]:
    """Return the roots of trees, with children in the given order, and the events that belong to no span."""
    nodes = {span.span_id: Node(span) for span in spans}
    roots: list[Node] = []
    for node in nodes.values():
        parent = nodes.get(str(node.span.parent_span_id))
        (roots if parent is None else parent.children).append(node)
    elsewhere: list[Mapping[str, Any]] = []
    for event in events:
        of_span = nodes.get(event_span_id(event))
        (elsewhere if of_span is None else of_span.events).append(event)
    return roots, elsewhere


def event_span_id(event: Mapping[str, Any]) -> str:
    """Return the id of the span in which an event was captured."""
    return str(event.get("contexts", {}).get("trace", {}).get("span_id"))


def event_summary(event: Mapping[str, Any]) -> str:
    """Return the exception or message of an event as one string."""
    values = (event.get("exception") or {}).get("values") or ()
    if values:
        return f"{values[-1].get('type')}: {values[-1].get('value')}"
    return str((event.get("logentry") or {}).get("message", event.get("message", "")))


def event_location(event: Mapping[str, Any]) -> str | None:
    """Return the code location of an exception; `None` if unknown."""
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
