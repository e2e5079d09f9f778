"""Envelopes as the capture room makes them."""

from __future__ import annotations

import uuid
from typing import Any

from bridge._internal.delivery.envelope import Envelope, Item

STARTED = "2026-11-24T12:00:00.000000Z"
ENDED = "2026-11-24T12:00:01.000000Z"


def transaction_event(children: int = 0, **extra: Any) -> dict[str, Any]:
    trace_id = uuid.uuid4().hex
    spans = [
        {
            "trace_id": trace_id,
            "span_id": f"{number + 2:016x}",
            "parent_span_id": f"{1:016x}",
            "op": "db",
            "description": "SELECT 1",
            "start_timestamp": STARTED,
            "timestamp": ENDED,
            "data": {"db.system.name": "postgresql"},
        }
        for number in range(children)
    ]
    return {
        "type": "transaction",
        "event_id": uuid.uuid4().hex,
        "transaction": "GET /",
        "transaction_info": {"source": "route"},
        "platform": "python",
        "start_timestamp": STARTED,
        "timestamp": ENDED,
        "contexts": {"trace": {"trace_id": trace_id, "span_id": f"{1:016x}", "op": "http.server", "status": "ok"}},
        "spans": spans,
        **extra,
    }


def error_event(**extra: Any) -> dict[str, Any]:
    return {
        "event_id": uuid.uuid4().hex,
        "timestamp": ENDED,
        "platform": "python",
        "level": "error",
        "exception": {"values": [{"type": "ValueError", "value": "no"}]},
        **extra,
    }


def transaction(children: int = 0, **extra: Any) -> Envelope:
    event = transaction_event(children, **extra)
    return Envelope({"event_id": event["event_id"]}, [Item("transaction", event)])


def error(*attachments: bytes, **extra: Any) -> Envelope:
    event = error_event(**extra)
    items = [Item("event", event), *(Item("attachment", data, {"filename": "a.bin"}) for data in attachments)]
    return Envelope({"event_id": event["event_id"]}, items)
