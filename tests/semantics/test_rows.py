"""What Sentry gets of the spans of real instrumentations."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

import bridge
from bridge.testing import BridgeCapture, capture
from tests.semantics.rows import ANY, NOT_SENT, ROWS, Row, Without


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(row: Row) -> None:
    """Each span has the op, the names, the status and the data that Sentry's modules read, and nothing private."""
    with capture(trace_lifecycle="stream" if row.streams else "static", send_default_pii=row.sends_pii) as sent:
        if row.is_root:
            make(row)
        else:
            with bridge.start_span("root"):
                make(row)
        facts, data = received(sent, row)
    for name, expected in row.facts.items():
        assert is_expected(expected, facts, name), (name, facts.get(name), expected)
    for name, expected in row.data.items():
        assert is_expected(expected, data, name), (name, data.get(name), expected)


def make(row: Row) -> None:
    tracer = trace.get_tracer(row.scope)
    with tracer.start_as_current_span(row.span_name, kind=SpanKind[row.kind], attributes=row.attributes) as span:
        if row.status is not None:
            code, message = row.status
            span.set_status(Status(StatusCode[code], message))


def received(sent: BridgeCapture, row: Row) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what arrived of the row's span: its facts by our names for them, and its data."""
    if row.streams:
        span = next(span for e in sent.envelopes for i in e.items if i.type == "span" for span in i.content()["items"])
        data = {key: attribute["value"] for key, attribute in span["attributes"].items()}
        source = data.get("sentry.segment.name.source")
        return {**span, "op": data.get("sentry.op"), "description": span["name"], "source": source}, data
    [transaction] = sent.transactions
    if row.is_root:
        facts = transaction["contexts"]["trace"]
        source = transaction["transaction_info"]["source"]
        return {"op": None, **facts, "description": transaction["transaction"], "source": source}, facts["data"]
    [span] = transaction["spans"]
    return {"op": None, **span}, span["data"]


def is_expected(expected: Any, got: dict[str, Any], name: str) -> bool:
    if expected is NOT_SENT:
        return name not in got
    if expected is ANY or name not in got:
        return name in got
    if isinstance(expected, Without):
        return expected.text not in str(got[name])
    return bool(got[name] == expected)
