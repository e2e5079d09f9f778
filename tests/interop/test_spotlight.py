"""What a developer sees in Spotlight is what the demo made."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.interop.spotlight import Spotlight

SPANS = {"GET /checkout", "load cart", "apply discount", "GET /stock", "SELECT pieces FROM stock", "parse row"}


@pytest.mark.neighbour
def test_spotlight_shows_the_demo(spotlight: Spotlight) -> None:
    """`python -m bridge demo --dsn` of a running Spotlight: its `tail traces` shows the same spans, in one trace."""
    demo = subprocess.run(
        [sys.executable, "-m", "bridge", "demo", "--dsn", spotlight.dsn],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    trace_id = demo.stdout.rsplit("look for trace ", 1)[1].strip().rstrip(".")
    shown = spotlight.tail_traces("md", until=SPANS)
    assert {name for name in SPANS if name not in shown} == set()
    transactions = [
        json.loads(line)
        for line in spotlight.tail_traces("json", until={"GET /checkout", "GET /stock"}).splitlines()
        if line.startswith("{")
    ]
    seen = {(t["transaction"], t["trace_id"], t["span_count"]) for t in transactions}
    assert seen == {("GET /checkout", trace_id, 3), ("GET /stock", trace_id, 2)}
