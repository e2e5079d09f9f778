"""Spans by themselves, as Sentry's span-first protocol has them: for `trace_lifecycle="stream"`."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from bridge._internal.capture.scope_data import clean_tags, in_force, printed, user_value
from bridge._internal.capture.transaction import attributes_of, end_of, link_payload, semantics_of, span_data, status_of
from bridge._internal.semantics.inference import clean_attributes
from bridge._internal.version import SDK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge._internal.capture.scope_data import ScopeLike
    from bridge._internal.capture.transaction import PayloadOptions
    from bridge._internal.tracing.finished_span import FinishedSpan

_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_USER = {"id": "user.id", "username": "user.name", "email": "user.email", "ip_address": "user.ip_address"}


def segment_attributes(root: FinishedSpan, *, layers: Sequence[ScopeLike], options: PayloadOptions) -> dict[str, Any]:
    """Return the attributes that every span of a segment has in common.

    What scopes call attributes and the user go on all spans; tags go on the root's only, contexts, extra data and
    breadcrumbs on none, as in Sentry's own SDKs.
    """
    found = semantics_of(root, attributes_of(root))
    common: dict[str, Any] = {
        "sentry.segment.id": root.span_id,
        "sentry.segment.name": in_force(layers, "transaction_name") or found.description,
        "sentry.sdk.name": SDK["name"],
        "sentry.sdk.version": SDK["version"],
        "sentry.platform": "python",
        "sentry.environment": options.environment,
        "sentry.release": options.release,
        "sentry.dist": options.dist,
        "server.address": options.server_name,
    }
    for layer in layers:
        common.update(layer.attributes)
    user = in_force(layers, "user") or {}
    common.update({name: user_value(key, user.get(key)) for key, name in _USER.items()})
    return {key: value for key, value in common.items() if value is not None}


def streamed_span(
    span: FinishedSpan,
    *,
    is_segment: bool,
    common: Mapping[str, Any],
    layers: Sequence[ScopeLike],
    options: PayloadOptions,
) -> dict[str, Any]:
    """Return a finished span as it stands in a span container, with the attributes of its segment."""
    own = attributes_of(span)
    found = semantics_of(span, own)
    is_custom = is_segment and in_force(layers, "transaction_name") is not None
    attributes: dict[str, Any] = {**common, **_own_attributes(span, own, options)}
    attributes["sentry.origin"] = span.origin
    if found.op is not None:
        attributes["sentry.op"] = found.op
    if is_segment:
        attributes["sentry.segment.name.source"] = "custom" if is_custom else found.source
        for layer in layers:
            attributes.update(clean_tags(layer.tags))
        resource = dict(getattr(span.resource, "attributes", None) or {})
        cleaned = clean_attributes(resource, send_default_pii=options.send_default_pii)
        attributes.update({f"resource.{key}": value for key, value in cleaned.items()})
    attributes.update(clean_tags(span.tags))
    word = status_of(span, own)
    if word != "ok":
        attributes["sentry.status.message"] = word
    payload: dict[str, Any] = {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "name": common["sentry.segment.name"] if is_custom else found.description,
        "status": "ok" if word == "ok" else "error",
        "is_segment": is_segment,
        "start_timestamp": (span.start_time or 0) / 1e9,
        "end_timestamp": end_of(span) / 1e9,
        "attributes": _typed_all(attributes),
    }
    if span.parent_span_id is not None:
        payload["parent_span_id"] = span.parent_span_id
    if span.links:
        payload["links"] = [link_payload(link, _typed_all) for link in span.links]
    return payload


def _own_attributes(span: FinishedSpan, own: Mapping[str, Any], options: PayloadOptions) -> dict[str, Any]:
    attributes = span_data(span, own, options)
    events = attributes.pop("otel.events", None)
    if events:
        attributes["otel.events"] = json.dumps(events, default=printed)
    for name, measurement in span.measurements.items():
        attributes[name] = measurement["value"]
    return attributes


def _typed_all(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): typed(value) for key, value in attributes.items() if value is not None}


def typed(value: Any) -> dict[str, Any]:
    """Return a value with its type: `boolean`, `integer` (of 64 bits), `double`, `string` or `array` of one of these.

    Anything else is its text.
    """
    kind = _kind(value)
    if kind is not None:
        return {"type": kind, "value": value}
    if isinstance(value, list | tuple):
        kinds = {_kind(item) for item in value}
        if len(kinds) < 2 and None not in kinds:
            return {"type": "array", "value": list(value)}
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else printed(value)
    return {"type": "string", "value": text}


def _kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if _SMALLEST <= value <= _LARGEST else None
    if isinstance(value, float):
        return "double" if math.isfinite(value) else None
    return None
