"""What a developer sees in Spotlight is what the demo made."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.interop.chromium import start_chromium
from tests.interop.spotlight import Spotlight

SPANS = {"GET /checkout", "load cart", "apply discount", "GET /stock", "SELECT pieces FROM stock", "parse row"}
WATERFALL = """
GET /checkout
  load cart
    apply discount
  GET http://127.0.0.1:port/stock
    GET /stock
      SELECT pieces FROM stock
        parse row
"""


@pytest.fixture(scope="module")
def trace_id(spotlight: Spotlight) -> str:
    """Return the trace of one `python -m bridge demo --dsn` of a running Spotlight."""
    demo = subprocess.run(
        [sys.executable, "-m", "bridge", "demo", "--dsn", spotlight.dsn],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    return demo.stdout.rsplit("look for trace ", 1)[1].strip().rstrip(".")


@pytest.mark.neighbour
def test_spotlight_shows_the_demo(spotlight: Spotlight, trace_id: str) -> None:
    """`python -m bridge demo --dsn` of a running Spotlight: its `tail traces` shows the same spans, in one trace."""
    shown = spotlight.tail_traces("md", until=SPANS)
    assert {name for name in SPANS if name not in shown} == set()
    transactions = [
        json.loads(line)
        for line in spotlight.tail_traces("json", until={"GET /checkout", "GET /stock"}).splitlines()
        if line.startswith("{")
    ]
    seen = {(t["transaction"], t["trace_id"], t["span_count"]) for t in transactions}
    assert seen == {("GET /checkout", trace_id, 3), ("GET /stock", trace_id, 2)}


@pytest.mark.neighbour
def test_the_demo_is_one_waterfall(spotlight: Spotlight, trace_id: str) -> None:
    """Spotlight's page shows both services' spans as one waterfall, and the error leads to the span it came from."""
    with start_chromium() as browser:
        page = spotlight.open_trace(browser, trace_id)
        rows = page.waterfall(until=SPANS)
        shown = "".join(f"{'  ' * row.depth}{row.name}\n" for row in rows)
        assert re.sub(r"(?<=127\.0\.0\.1:)\d+", "port", shown) == WATERFALL.lstrip()
        assert {row.link.rpartition("/")[0] for row in rows} == {f"{page.url}/spans"}
        assert "7 spans, 2 txns" in page.text
        query = next(row for row in rows if row.name == "SELECT pieces FROM stock")
        assert page.open_error("LookupError") == query.link
