"""Sentry's own Relay as judge: its normaliser finds nothing to say about a payload of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

SOURCES = {"custom", "component", "route", "task", "url", "view"}
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
IDS = {"trace_id": re.compile(r"[0-9a-f]{32}"), "span_id": re.compile(r"[0-9a-f]{16}")}
IDS["parent_span_id"] = IDS["span_id"]


def relay_complaints(payload: dict[str, Any]) -> list[str]:
    """Return what Relay's normaliser says, and what it would let pass in silence but should not be sent."""
    return [*_normaliser(payload), *_silent(payload)]


def _normaliser(payload: dict[str, Any]) -> Iterator[str]:
    from sentry_relay.exceptions import RelayError
    from sentry_relay.processing import StoreNormalizer

    normalizer = StoreNormalizer(
        project_id=1,
        client="bridge/0",
        protocol_version="7",
        max_secs_in_future=60,
        max_secs_in_past=2592000,
        enable_trimming=True,
        remove_other=True,
        is_renormalize=False,
    )
    try:
        normalised = normalizer.normalize_event(payload)
    except RelayError as error:
        yield f"Relay drops it: {error!r}"
        return
    meta = normalised.get("_meta") or {}
    if payload.get("transaction_info", {}).get("source") == "url":
        meta.pop("transaction", None)  # Relay replaces the ids in it, which is what the source asks for
    yield from _meta(meta, "")
    for error in normalised.get("errors") or ():
        yield f"Relay: {error}"


def _meta(meta: dict[str, Any], path: str) -> Iterator[str]:
    for key, value in meta.items():
        if key == "" and isinstance(value, dict):
            if value.get("err") or value.get("rem"):
                yield f"Relay at {path or '/'}: {value}"
        elif isinstance(value, dict):
            yield from _meta(value, f"{path}/{key}")


def _silent(payload: dict[str, Any]) -> Iterator[str]:
    trace = payload.get("contexts", {}).get("trace")
    for place, block in [("contexts.trace", trace or {})] + [("span", s) for s in payload.get("spans", ())]:
        for key, form in IDS.items():
            if key in block and not form.fullmatch(str(block[key])):
                yield f"{place}.{key} is {block[key]!r}"
    if payload.get("type") == "transaction":
        if payload.get("transaction_info", {}).get("source") not in SOURCES:
            yield f"transaction_info.source is {payload.get('transaction_info')!r}"
        for block in [payload, *payload.get("spans", ())]:
            for key in ("start_timestamp", "timestamp"):
                if not RFC_3339.fullmatch(str(block.get(key))):
                    yield f"{key} is {block.get(key)!r}"
    if not re.fullmatch(r"[0-9a-f]{32}", str(payload.get("event_id"))):
        yield f"event_id is {payload.get('event_id')!r}"
