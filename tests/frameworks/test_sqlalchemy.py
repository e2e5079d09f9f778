"""SQLAlchemy with SQLite and PostgreSQL, with threads and with asyncio, by old and new names of attributes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bridge
from bridge._internal.demo.receiver import Receiver
from bridge.testing import BridgeCapture
from tests.frameworks.databases import postgresql
from tests.frameworks.harness import ROOT, Arrived, require
from tests.judges.parsers import Sink

pytestmark = pytest.mark.neighbour

BROKEN = "SELECT * FROM no_such_table"
OLD, NEW = ("db.system", "db.statement"), ("db.system.name", "db.query.text")


@pytest.fixture(autouse=True)
def _installed() -> None:
    require("sqlalchemy", "opentelemetry.instrumentation.sqlalchemy", "aiosqlite", "psycopg", "greenlet")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A PostgreSQL."""
    require("psycopg")
    with postgresql() as server:
        yield server


def run(url: str, judge_sink: Sink, names: str) -> Arrived:
    """Run the example; return what it sent."""
    with Receiver() as receiver:
        done = subprocess.run(
            [sys.executable, "-m", "examples.sqlalchemy_app", url],
            cwd=ROOT,
            env={**os.environ, "SENTRY_DSN": receiver.dsn, "OTEL_SEMCONV_STABILITY_OPT_IN": names},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
    arrived = Arrived(receiver)
    assert not (found := arrived.complaints(judge_sink)), "\n".join(found)
    return arrived


def check(arrived: Arrived, system: str, placeholder: str, names: tuple[str, str]) -> None:
    """Each request has its own statements below its own spans, and the values are nowhere."""
    requests = arrived.payloads("transaction")
    assert [sorted(r["tags"].items()) for r in sorted(requests, key=lambda r: str(r["tags"]))] == [
        [("order", str(number))] for number in range(3)
    ]
    assert len({request["contexts"]["trace"]["trace_id"] for request in requests}) == 3
    insert = re.compile(rf"INSERT INTO orders \(id, customer\) VALUES \({placeholder}, {placeholder}\)")
    select = re.compile(rf"SELECT orders.customer \nFROM orders \nWHERE orders.id = {placeholder}")
    for request in requests:
        root = request["contexts"]["trace"]["span_id"]
        [place] = [span for span in request["spans"] if span["op"] == "function"]
        statements = [s for s in request["spans"] if s["op"] == "db" and s["description"] not in ("connect", "begin")]
        first, second, third = statements
        assert insert.fullmatch(first["description"])
        assert select.fullmatch(second["description"])
        assert [s["parent_span_id"] for s in statements] == [place["span_id"], place["span_id"], root]
        assert [s["status"] for s in statements] == ["ok", "ok", "internal_error"]
        assert third["description"] == BROKEN
        for span in statements:
            assert (span["data"][names[0]], span["data"][names[1]]) == (system, span["description"])
        assert {s["op"] for s in request["spans"]} == {"db", "function"}
    assert "a secret" not in str(requests)


@pytest.mark.parametrize(("names", "told"), [("", OLD), ("database", NEW)], ids=["old names", "new names"])
@pytest.mark.parametrize("driver", ["sqlite", "sqlite+aiosqlite"])
def test_sqlite(tmp_path: Path, judge_sink: Sink, driver: str, names: str, told: tuple[str, str]) -> None:
    """A file, by the standard library or by aiosqlite."""
    check(run(f"{driver}:///{tmp_path}/shop.db", judge_sink, names), "sqlite", r"\?", told)


@pytest.mark.parametrize(("names", "told"), [("", OLD), ("database", NEW)], ids=["old names", "new names"])
@pytest.mark.parametrize("driver", ["psycopg", "psycopg_async"])
def test_postgresql(server: str, judge_sink: Sink, driver: str, names: str, told: tuple[str, str]) -> None:
    """A server, by psycopg with threads or with asyncio, where requests are served at the same time."""
    import psycopg

    with psycopg.connect(f"postgresql://{server}", autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS orders")
    placeholder = r"%\((?:id|number|customer|who|\w+)\)s(?:::\w+)?"
    check(run(f"postgresql+{driver}://{server}", judge_sink, names), "postgresql", placeholder, told)


def test_comments_in_statements(sent: BridgeCapture) -> None:
    """`enable_commenter=True` tells the database the statement's span by W3C's headers, and no baggage."""
    import sqlalchemy
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

    executed: list[str] = []
    engine = sqlalchemy.create_engine("sqlite://")
    sqlalchemy.event.listen(engine, "connect", lambda connection, _: connection.set_trace_callback(executed.append))
    instrumentor: Any = SQLAlchemyInstrumentor()
    instrumentor.instrument(engine=engine, enable_commenter=True)
    with bridge.continue_trace({"baggage": "customer=7"}), bridge.start_span("request"), engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1"))
    instrumentor.uninstrument()
    engine.dispose()
    [span] = [span for span in sent.spans if span.get("op") == "db" and span["description"] != "connect"]
    [statement] = [text for text in executed if text.startswith("SELECT 1")]
    assert f"traceparent='00-{span['trace_id']}-{span['span_id']}-0" in statement
    assert "customer" not in statement
    assert "sentry-" not in statement
    assert span["description"] == "SELECT ?"
