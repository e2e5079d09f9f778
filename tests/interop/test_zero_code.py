"""An existing FastAPI program is traced by environment alone, and its trace is in Spotlight."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path

import httpx
import pytest

from tests.interop.neighbours import free_port, pip_install, running
from tests.interop.spotlight import Spotlight

ROOT = Path(__file__).parents[2]
REQUIREMENTS = f"""
--editable {ROOT}
fastapi
uvicorn
opentelemetry-distro
opentelemetry-instrumentation-click
opentelemetry-instrumentation-fastapi
opentelemetry-instrumentation-sqlite3
# {hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()}: entry points are read when it is installed
"""
# As somebody wrote it who had never heard of us.
PROGRAM = """
import os
import sqlite3

from fastapi import FastAPI
from opentelemetry import trace

SHOP = os.environ["SHOP"]
app = FastAPI()
tracer = trace.get_tracer("shop")


@app.get(f"/{SHOP}/items/{{number}}")
def item(number: int) -> int:
    with tracer.start_as_current_span(f"look up in {SHOP}"):
        return sqlite3.connect(":memory:").cursor().execute("SELECT 6 * ?", [number]).fetchone()[0]
"""
ASKED = {
    "OTEL_PYTHON_CONTEXT": "bridge",
    "OTEL_PROPAGATORS": "tracecontext,baggage,bridge",
    "OTEL_PYTHON_TRACER_PROVIDER": "bridge",
}
NO_OTHER_EXPORTER = {f"OTEL_{kind}_EXPORTER": "none" for kind in ("TRACES", "METRICS", "LOGS")}
WITHOUT_DISTRO = {"OTEL_PYTHON_DISTRO": "none", "OTEL_PYTHON_CONFIGURATOR": "none"}


@pytest.mark.neighbour
@pytest.mark.parametrize(
    ("shop", "command", "variables"),
    [
        ("run", ["python", "-m", "bridge", "run", "-m", "uvicorn"], {}),
        ("workers", ["python", "-m", "bridge", "run", "-m", "uvicorn", "--workers", "2"], {}),
        ("contrib", ["opentelemetry-instrument", "uvicorn"], {**ASKED, **WITHOUT_DISTRO}),
        ("distro", ["opentelemetry-instrument", "uvicorn"], {**ASKED, **NO_OTHER_EXPORTER}),
    ],
    ids=["bridge run", "bridge run, two workers", "opentelemetry-instrument", "opentelemetry-instrument with distro"],
)
def test_a_fastapi_program_without_a_line_changed(
    spotlight: Spotlight, tmp_path: Path, shop: str, command: list[str], variables: dict[str, str]
) -> None:
    """Requests continue the caller's trace, and Spotlight shows them with the spans of all instrumentations."""
    programs = pip_install("zero-code", REQUIREMENTS) / "bin"
    (tmp_path / "shop.py").write_text(PROGRAM)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "SHOP": shop,
        "SENTRY_DSN": spotlight.dsn,
        "SENTRY_TRACES_SAMPLE_RATE": "1.0",
        "PATH": str(programs),
        **variables,
    }
    trace_id = uuid.uuid4().hex
    started = [str(programs / command[0]), *command[1:], "shop:app", "--port", str(port)]
    with running(started, f"{url}/ready", tmp_path, environment):
        for headers in ({"sentry-trace": f"{trace_id}-1234567890abcdef-1"}, {}):
            answer = httpx.get(f"{url}/{shop}/items/7", headers=headers, timeout=30, trust_env=False)
            assert answer.json() == 42
        name = f"GET /{shop}/items/{{number}}"
        spans = {name, f"look up in {shop}", "SELECT"}
        tree = spotlight.tail_traces("md", until=spans)
        listed = spotlight.tail_traces("json", until={name, trace_id})
    assert {span for span in spans if span not in tree} == set()
    traces = [json.loads(line) for line in listed.splitlines() if line.startswith("{")]
    mine = [t for t in traces if t["transaction"] == name]
    assert [t["span_count"] for t in mine] == [4, 4]  # the two, and the instrumentation's own of what it sends
    # Two workers deliver in any order.
    assert [t["trace_id"] == trace_id for t in mine].count(True) == 1
