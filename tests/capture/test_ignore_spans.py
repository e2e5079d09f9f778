"""`ignore_spans`: rules beside name and op."""

from __future__ import annotations

import re
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

import bridge
from bridge.testing import capture

tracer = trace.get_tracer("instrumentation")


def request() -> None:
    """A request with a query, and a query that a worker makes by itself."""
    with tracer.start_as_current_span("GET /orders", kind=SpanKind.SERVER, attributes={"http.route": "/orders"}):
        with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT, attributes={"db.system": "sqlite", "n": 1}):
            pass
        with tracer.start_as_current_span(
            "GET /orders http send", attributes={"asgi.event.type": "http.response.body"}
        ):
            pass
    with tracer.start_as_current_span("SELECT jobs", kind=SpanKind.CLIENT, attributes={"tags": ["poll", "slow"]}):
        pass


ALL = ["GET /orders", "GET /orders http send", "SELECT", "SELECT jobs"]


@pytest.mark.parametrize("lifecycle", ["static", "stream"])
@pytest.mark.parametrize(
    ("rule", "ignored"),
    [
        ({"kind": "client", "root": True}, ["SELECT jobs"]),
        ({"kind": "CLIENT"}, ["SELECT", "SELECT jobs"]),
        ({"kind": "internal"}, ["GET /orders http send"]),
        ({"root": False}, ["GET /orders http send", "SELECT"]),
        ({"attributes": {"asgi.event.type": "http.response"}}, ["GET /orders http send"]),
        ({"attributes": {"asgi.event.type": re.compile("body$")}}, ["GET /orders http send"]),
        ({"attributes": {"n": 1, "db.system": "sqlite"}}, ["SELECT"]),
        ({"attributes": {"n": 2}}, []),
        ({"attributes": {"n": "1"}}, []),
        ({"attributes": {"tags": "poll"}}, ["SELECT jobs"]),
        ({"attributes": {"missing": ""}}, []),
        ({"kind": "client", "name": "jobs"}, ["SELECT jobs"]),
        ({"kind": "client", "op": "db", "root": True}, []),
        ({}, []),
    ],
)
def test_rules(rule: dict[str, Any], ignored: list[str], lifecycle: str) -> None:
    """A rule that names several things wants all of them."""
    with capture(ignore_spans=[rule], trace_lifecycle=lifecycle) as sent:
        request()
        names = [span.get("name") or span.get("description") for span in sent.spans]
        names += [transaction["transaction"] for transaction in sent.transactions]
    assert sorted({str(name) for name in names}) == [name for name in ALL if name not in ignored]


def test_a_worker_that_polls_a_database_makes_no_transactions() -> None:
    """A rule for roots of kind CLIENT leaves out what stands outside of every request, and nothing inside of one."""
    with capture(ignore_spans=[{"kind": "client", "root": True}]) as sent:
        for _ in range(5):
            with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT):
                pass
        with bridge.start_span("job"), tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT):
            pass
        assert sent.tree() == ["job", ["SELECT"]]
        assert sent.client.accounting().lost == {"event_processor": 5}
