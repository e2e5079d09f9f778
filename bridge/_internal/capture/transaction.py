"""Transactions: a local root and its finished children as one event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from bridge._internal.capture.scope_data import apply_scope, clean_tags, in_force
from bridge._internal.semantics.inference import (
    Semantics,
    clean_attributes,
    grpc_status_code,
    http_status_code,
    infer,
    status,
)
from bridge._internal.timestamps import rfc3339
from bridge._internal.version import EVENT_SDK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.trace import Link

    from bridge._internal.capture.scope_data import ScopeLike
    from bridge._internal.tracing.finished_span import FinishedSpan


_KIND_NAMES = {kind: kind.name for kind in SpanKind}


@dataclass(frozen=True, slots=True)
class PayloadOptions:
    """What every payload of a client has in common."""

    release: str | None = None
    environment: str = "production"
    dist: str | None = None
    server_name: str | None = None
    send_default_pii: bool = False


def transaction_payload(
    root: FinishedSpan,
    children: Sequence[FinishedSpan],
    *,
    event_id: str,
    layers: Sequence[ScopeLike],
    options: PayloadOptions,
) -> dict[str, Any]:
    """Return the transaction of a root and its finished children, with the data of these scope layers."""
    attributes = attributes_of(root)
    found = semantics_of(root, attributes)
    event: dict[str, Any] = {
        "type": "transaction",
        "event_id": event_id,
        "platform": "python",
        "transaction": found.description,
        "transaction_info": {"source": found.source},
        "start_timestamp": rfc3339(root.start_time or 0),
        "timestamp": rfc3339(end_of(root)),
        "contexts": _contexts(root, attributes, found, options),
        "spans": [span_payload(span, options) for span in sorted(children, key=lambda s: s.start_time or 0)],
        "sdk": EVENT_SDK,
    }
    if (name := in_force(layers, "transaction_name")) is not None:
        event["transaction"], event["transaction_info"] = name, {"source": "custom"}
    for layer in layers:
        for key, value in clean_attributes(layer.attributes, send_default_pii=options.send_default_pii).items():
            event["contexts"]["trace"]["data"].setdefault(key, value)
    if root.tags:
        event["tags"] = dict(root.tags)
    if root.measurements:
        event["measurements"] = _measurements(root)
    apply_scope(event, *layers)
    for key in ("level", "fingerprint"):
        event.pop(key, None)  # they group and rank errors
    for key in ("release", "environment", "dist", "server_name"):
        value = getattr(options, key)
        if value is not None:
            event[key] = value
    return event


def _contexts(
    root: FinishedSpan, attributes: Mapping[str, Any], found: Semantics, options: PayloadOptions
) -> dict[str, Any]:
    trace = _span_facts(root, attributes, found, options)
    contexts: dict[str, Any] = {"trace": trace}
    resource = dict(getattr(root.resource, "attributes", None) or {})
    if resource:
        contexts["otel"] = {"resource": clean_attributes(resource, send_default_pii=options.send_default_pii)}
    code = http_status_code(attributes)
    if code is not None:
        contexts["response"] = {"status_code": code}
    return contexts


def span_payload(span: FinishedSpan, options: PayloadOptions) -> dict[str, Any]:
    """Return a child span as it stands in a transaction."""
    attributes = attributes_of(span)
    found = semantics_of(span, attributes)
    payload = _span_facts(span, attributes, found, options)
    payload["description"] = found.description
    payload["start_timestamp"] = rfc3339(span.start_time or 0)
    payload["timestamp"] = rfc3339(end_of(span))
    if span.tags:
        payload["tags"] = clean_tags(span.tags)
    if span.measurements:
        payload["measurements"] = _measurements(span)
    return payload


def _span_facts(
    span: FinishedSpan, attributes: Mapping[str, Any], found: Semantics, options: PayloadOptions
) -> dict[str, Any]:
    """Return what a child span and a transaction's trace context have in common."""
    facts: dict[str, Any] = {"trace_id": span.trace_id, "span_id": span.span_id}
    if (parent_span_id := span.parent_span_id) is not None:
        facts["parent_span_id"] = parent_span_id
    if found.op is not None:
        facts["op"] = found.op
    facts["origin"] = span.origin
    facts["status"] = status_of(span, attributes)
    facts["data"] = span_data(span, attributes, options)
    if links := span.links:
        facts["links"] = [link_payload(link, _link_attributes) for link in links]
    return facts


def span_data(span: FinishedSpan, attributes: Mapping[str, Any], options: PayloadOptions) -> dict[str, Any]:
    """Return what is known of a span beside its names, ids and times: attributes, kind, scope and events."""
    data = clean_attributes(attributes, send_default_pii=options.send_default_pii)
    data["otel.kind"] = _KIND_NAMES[span.kind]
    if description := span.status.description:
        data.setdefault("otel.status_description", description)
    scope = span.instrumentation_scope
    if scope is not None and scope.name:
        data["otel.scope.name"] = scope.name
        if scope.version:
            data["otel.scope.version"] = scope.version
    if events := span.events:
        data["otel.events"] = [_event(event, options) for event in events]
    return data


def _event(event: Any, options: PayloadOptions) -> dict[str, Any]:
    attributes = clean_attributes(event.attributes or {}, send_default_pii=options.send_default_pii)
    return {"name": event.name, "timestamp": rfc3339(event.timestamp), "attributes": attributes}


def link_payload(link: Link, attributes: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Return a link as it is sent; `attributes` gives its attributes their form."""
    made: dict[str, Any] = {
        "trace_id": f"{link.context.trace_id:032x}",
        "span_id": f"{link.context.span_id:016x}",
        "sampled": bool(link.context.trace_flags.sampled),
    }
    if link.attributes:
        made["attributes"] = attributes(link.attributes)
    return made


def _link_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return clean_attributes(attributes, send_default_pii=True)


def _measurements(span: FinishedSpan) -> dict[str, dict[str, Any]]:
    return {name: {"value": m["value"], "unit": m["unit"] or "none"} for name, m in span.measurements.items()}


def attributes_of(span: FinishedSpan) -> Mapping[str, Any]:
    """Return the attributes of a span that has ended, as a plain mapping.

    The SDK's own takes a lock at each look: reading a span that way costs twice as much (benchmarks/export.py).
    """
    attributes = span.attributes
    return attributes.copy() if attributes else {}


def semantics_of(span: FinishedSpan, attributes: Mapping[str, Any]) -> Semantics:
    """Return op, description and source of a span that has ended."""
    return infer(span.name, span.kind, attributes, custom_name=span.custom_name)


def status_of(span: FinishedSpan, attributes: Mapping[str, Any]) -> str:
    """Return Sentry's status of a span that has ended."""
    told = span.status
    if span.was_left_by_error and grpc_status_code(attributes) == 0:
        return "unknown_error"  # what gRPC answers then; its instrumentation does not say so
    return status(told.status_code, told.description, attributes)


def end_of(span: FinishedSpan) -> int:
    """Return the end; a span whose clock was set back ends when it started."""
    return max(span.end_time or 0, span.start_time or 0)
