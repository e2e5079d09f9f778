"""A server that is killed, and comes back."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from opentelemetry import trace

import bridge
from bridge._internal.tracing.segment import Segment
from tests.interop.neighbours import free_port

SERVER = """
import gzip, json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from bridge._internal.delivery.envelope import Envelope

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        for item in Envelope.parse(body).items:
            if item.type == "transaction":
                spans = [item.payload["contexts"]["trace"]["span_id"], *(s["span_id"] for s in item.payload["spans"])]
                print(json.dumps(spans), flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        pass

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
AWAY_S = 10.0


def start_server(port: int, took: Path) -> subprocess.Popen[bytes]:
    with took.open("ab") as output:
        return subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stdout=output, start_new_session=True)


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_nothing_is_lost_while_the_server_is_away(tmp_path: Path) -> None:
    """Killed without a word and back after ten seconds: each span is there once, and memory is what it was."""
    port, took = free_port(), tmp_path / "took"
    tracer = trace.get_tracer("t")
    client = bridge.init(dsn=f"http://public@127.0.0.1:{port}/1", traces_sample_rate=1.0)

    def make(traces: int) -> None:
        for _ in range(traces):
            with bridge.start_span("root", parent=None):
                for _ in range(9):
                    with tracer.start_as_current_span("child", attributes={"a": 1, "b": "text"}):
                        pass

    server = start_server(port, took)
    try:
        make(200)
        assert client.flush(30)
        before = resident_mib()
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        back_at = time.monotonic() + AWAY_S
        for _ in range(100):
            make(8)
            time.sleep(0.01)
        assert client.accounting().pending > 7000
        time.sleep(max(0.0, back_at - time.monotonic()))
        server = start_server(port, took)
        assert client.flush(30)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    account = client.accounting()
    spans = [span for line in took.read_text().splitlines() for span in json.loads(line)]
    assert (account.started, account.delivered, account.lost, account.pending) == (10_000, 10_000, {}, 0)
    assert len(spans) == len(set(spans)) == 10_000
    gc.collect()
    assert sum(isinstance(one, Segment) for one in gc.get_objects()) < 10
    assert resident_mib() - before < 60
    bridge.close()
