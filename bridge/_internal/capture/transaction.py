"""Transactions: a local root and its finished children as one event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from bridge._internal.capture.scope_data import apply_scope, clean_tags, in_force
from bridge._internal.semantics.data import complete
from bridge._internal.semantics.inference import Semantics, infer
from bridge._internal.semantics.privacy import Privacy
from bridge._internal.semantics.scrubbing import without_passwords
from bridge._internal.semantics.status import grpc_status_code, http_status_code, status
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
    privacy: Privacy = field(default_factory=Privacy)
    cache_prefixes: Sequence[str] = ()


def transaction_payload(
    root: FinishedSpan,
    children: Sequence[FinishedSpan],
    *,
    event_id: str,
    layers: Sequence[ScopeLike],
    options: PayloadOptions,
) -> dict[str, Any]:
    """Return the transaction of a root and its finished children, with the data of these scope layers."""
    data = data_of(root, options)
    telling = telling_data(root, data, options)
    found = semantics_of(root, telling, options)
    event: dict[str, Any] = {
        "type": "transaction",
        "event_id": event_id,
        "platform": "python",
        "transaction": found.description,
        "transaction_info": {"source": found.source},
        "start_timestamp": rfc3339(root.start_time or 0),
        "timestamp": rfc3339(end_of(root)),
        "contexts": _contexts(root, data, telling, found, options),
        "spans": [span_payload(span, options) for span in sorted(children, key=lambda s: s.start_time or 0)],
        "sdk": EVENT_SDK,
    }
    if (name := in_force(layers, "transaction_name")) is not None:
        event["transaction"], event["transaction_info"] = name, {"source": "custom"}
    for layer in layers:
        for key, value in options.privacy.own(layer.attributes).items():
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
    root: FinishedSpan, data: dict[str, Any], telling: Mapping[str, Any], found: Semantics, options: PayloadOptions
) -> dict[str, Any]:
    code = http_status_code(telling)
    contexts: dict[str, Any] = {"trace": _span_facts(root, data, telling, found, options)}
    if resource := resource_of(root, options):
        contexts["otel"] = {"resource": resource}
    if code is not None:
        contexts["response"] = {"status_code": code}
    return contexts


def span_payload(span: FinishedSpan, options: PayloadOptions) -> dict[str, Any]:
    """Return a child span as it stands in a transaction."""
    data = data_of(span, options)
    telling = telling_data(span, data, options)
    found = semantics_of(span, telling, options)
    payload = _span_facts(span, data, telling, found, options)
    payload["description"] = found.description
    payload["start_timestamp"] = rfc3339(span.start_time or 0)
    payload["timestamp"] = rfc3339(end_of(span))
    if span.tags:
        payload["tags"] = clean_tags(span.tags)
    if span.measurements:
        payload["measurements"] = _measurements(span)
    return payload


def _span_facts(
    span: FinishedSpan, data: dict[str, Any], telling: Mapping[str, Any], found: Semantics, options: PayloadOptions
) -> dict[str, Any]:
    """Return what a child span and a transaction's trace context have in common."""
    facts: dict[str, Any] = {"trace_id": span.trace_id, "span_id": span.span_id}
    if (parent_span_id := span.parent_span_id) is not None:
        facts["parent_span_id"] = parent_span_id
    if found.op is not None:
        facts["op"] = found.op
    facts["origin"] = span.origin
    facts["status"] = status_of(span, telling)
    facts["data"] = data
    data["otel.kind"] = _KIND_NAMES[span.kind]
    if description := span.status.description:
        data.setdefault("otel.status_description", options.privacy.text(description))
    add_scope_and_events(span, data, options)
    if links := valid_links(span):
        facts["links"] = [link_payload(link, link_attributes(span, options)) for link in links]
    return facts


def add_scope_and_events(span: FinishedSpan, data: dict[str, Any], options: PayloadOptions) -> None:
    """Add instrumentation scope and events to what is known of a span."""
    scope = span.instrumentation_scope
    if scope is not None and scope.name:
        data["otel.scope.name"] = scope.name
        if scope.version:
            data["otel.scope.version"] = scope.version
    if events := span.events:
        data["otel.events"] = [_event(event, span, options) for event in events]


def _event(event: Any, span: FinishedSpan, options: PayloadOptions) -> dict[str, Any]:
    attributes = options.privacy.clean(event.attributes or {}, span.kind)
    return {"name": options.privacy.text(event.name), "timestamp": rfc3339(event.timestamp), "attributes": attributes}


def resource_of(root: FinishedSpan, options: PayloadOptions) -> dict[str, Any]:
    """Return what a span's process is, as it may leave."""
    return options.privacy.clean(getattr(root.resource, "attributes", None) or {})


def valid_links(span: FinishedSpan) -> list[Link]:
    """Return the links of a span that lead to a span; OpenTelemetry records others too, which Sentry cannot read."""
    return [link for link in span.links if link.context.is_valid]


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


def link_attributes(span: FinishedSpan, options: PayloadOptions) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return what makes the attributes of a span's links as they may leave; a program's own stay."""
    privacy = options.privacy
    return privacy.own if span.is_manual else lambda attributes: privacy.clean(attributes, span.kind)


def _measurements(span: FinishedSpan) -> dict[str, dict[str, Any]]:
    return {name: {"value": m["value"], "unit": m["unit"] or "none"} for name, m in span.measurements.items()}


def data_of(span: FinishedSpan, options: PayloadOptions, *, streams: bool = False) -> dict[str, Any]:
    """Return the attributes of a span that has ended as they may leave, under the names that Sentry reads too.

    Whatever else is told of the span is told from these: what does not leave is not in its names either.
    """
    # Copied at once: the SDK's own mapping takes a lock at each look, for twice the cost (benchmarks/export.py).
    return _completed(span, span.attributes.copy() if span.attributes else {}, options, streams=streams)


def telling_data(
    span: FinishedSpan, data: Mapping[str, Any], options: PayloadOptions, *, streams: bool = False
) -> Mapping[str, Any]:
    """Return what tells the meaning of a span: its data, with what limits took of its attributes."""
    taken = span.taken_attributes()
    return _completed(span, {**(span.attributes or {}), **taken}, options, streams=streams) if taken else data


def _completed(
    span: FinishedSpan, attributes: dict[str, Any], options: PayloadOptions, *, streams: bool
) -> dict[str, Any]:
    complete(attributes, span.kind, cache_prefixes=options.cache_prefixes, streams=streams)
    return options.privacy.clean(attributes, span.kind, span.user_attributes)


def open_semantics_of(root: Any, options: PayloadOptions) -> Semantics:
    """Return op, description and source of a root as they are now, sampled or not."""
    attributes = dict(root.attributes or {})
    complete(attributes, root.kind)
    return semantics_of(root, options.privacy.clean(attributes, root.kind, root.user_attributes), options)


def semantics_of(span: FinishedSpan, data: Mapping[str, Any], options: PayloadOptions) -> Semantics:
    """Return op, description and source of a span that has ended."""
    scope = span.instrumentation_scope
    scope_name = "" if scope is None else scope.name
    return infer(name_of(span, options), span.kind, data, scope=scope_name, custom_name=span.custom_name)


def name_of(span: FinishedSpan, options: PayloadOptions) -> str:
    """Return the name of a span as it may leave."""
    return without_passwords(span.name) if span.custom_name else options.privacy.text(span.name)


def status_of(span: FinishedSpan, attributes: Mapping[str, Any]) -> str:
    """Return Sentry's status of a span that has ended."""
    told = span.status
    if span.was_left_by_error and grpc_status_code(attributes) == 0:
        return "unknown_error"  # what gRPC answers then; its instrumentation does not say so
    return status(told.status_code, told.description, attributes)


def end_of(span: FinishedSpan) -> int:
    """Return the end; a span whose clock was set back ends when it started."""
    return max(span.end_time or 0, span.start_time or 0)
