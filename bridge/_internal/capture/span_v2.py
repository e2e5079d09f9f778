"""Spans by themselves, as Sentry's span-first protocol has them: for `trace_lifecycle="stream"`."""

from __future__ import annotations

import json
import math
import platform
from typing import TYPE_CHECKING, Any

from bridge._internal.capture.scope_data import clean_tags, in_force, printed, user_value
from bridge._internal.capture.transaction import (
    add_scope_and_events,
    data_of,
    end_of,
    link_attributes,
    link_payload,
    name_of,
    resource_of,
    semantics_of,
    status_of,
    telling_data,
    valid_links,
)
from bridge._internal.semantics.names import streamed_name
from bridge._internal.version import SDK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge._internal.capture.scope_data import ScopeLike
    from bridge._internal.capture.transaction import PayloadOptions
    from bridge._internal.semantics.inference import Semantics
    from bridge._internal.tracing.finished_span import FinishedSpan

_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_USER = {"id": "user.id", "username": "user.name", "email": "user.email", "ip_address": "user.ip_address"}


_RUNTIME = {
    "process.runtime.name": platform.python_implementation(),
    "process.runtime.version": platform.python_version(),
}


def segment_attributes(root: FinishedSpan, *, layers: Sequence[ScopeLike], options: PayloadOptions) -> dict[str, Any]:
    """Return the attributes that every span of a segment has in common.

    What scopes call attributes and the user go on all spans; tags go on the root's only, contexts, extra data and
    breadcrumbs on none, as in Sentry's own SDKs.
    """
    data = data_of(root, options, streams=True)
    found = semantics_of(root, telling_data(root, data, options, streams=True), options)
    common: dict[str, Any] = {
        "sentry.segment.id": root.span_id,
        "sentry.segment.name": in_force(layers, "transaction_name")
        or streamed_name(found, name_of(root, options), data),
        "sentry.sdk.name": SDK["name"],
        "sentry.sdk.version": SDK["version"],
        "sentry.platform": "python",
        "sentry.trace_lifecycle": "stream",
        "sentry.environment": options.environment,
        "sentry.release": options.release,
        "sentry.dist": options.dist,
        **_RUNTIME,
    }
    for layer in layers:
        common.update(options.privacy.own(layer.attributes))
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
    own = data_of(span, options, streams=True)
    telling = telling_data(span, own, options, streams=True)
    found = semantics_of(span, telling, options)
    attributes: dict[str, Any] = {**common, **own, **_facts(span, found, options)}
    if is_segment:
        is_custom = in_force(layers, "transaction_name") is not None
        attributes["sentry.segment.name.source"] = "custom" if is_custom else found.source
        for layer in layers:
            attributes.update(clean_tags(layer.tags))
        attributes.update({f"resource.{key}": value for key, value in resource_of(span, options).items()})
    attributes.update(clean_tags(span.tags))
    payload: dict[str, Any] = {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "name": common["sentry.segment.name"] if is_segment else streamed_name(found, name_of(span, options), own),
        "status": "ok" if status_of(span, telling) == "ok" else "error",
        "is_segment": is_segment,
        "start_timestamp": (span.start_time or 0) / 1e9,
        "end_timestamp": end_of(span) / 1e9,
        "attributes": _typed_all(attributes),
    }
    if span.parent_span_id is not None:
        payload["parent_span_id"] = span.parent_span_id
    if links := valid_links(span):
        clean = link_attributes(span, options)
        payload["links"] = [link_payload(link, lambda given: _typed_all(clean(given))) for link in links]
    return payload


def _facts(span: FinishedSpan, found: Semantics, options: PayloadOptions) -> dict[str, Any]:
    """Return what is known of a span beside its attributes, under Sentry's names."""
    facts: dict[str, Any] = {"sentry.origin": span.origin, "sentry.kind": span.kind.name.lower()}
    if found.op is not None:
        facts["sentry.op"] = found.op
    if description := span.status.description:
        facts["sentry.status.message"] = options.privacy.text(description)
    if span.thread is not None:
        facts["thread.id"], facts["thread.name"] = span.thread
    for name, measurement in span.measurements.items():
        facts[name] = measurement["value"]
    add_scope_and_events(span, facts, options)
    if "otel.events" in facts:
        facts["otel.events"] = json.dumps(facts["otel.events"], default=printed)
    return facts


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
