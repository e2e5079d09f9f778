"""Two envelope parsers that are not ours: sentry-sdk's, and the strict one of sentry-cli."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Sink:
    """Takes anything that is posted to a loopback port, and counts it; sentry-cli sends what it could parse there."""

    def __init__(self) -> None:
        self.taken = 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                sink.taken += 1
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="judge-sink", daemon=True)
        self._thread.start()
        self.dsn = f"http://public@127.0.0.1:{self._server.server_address[1]}/1"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def sdk_complaints(data: bytes) -> list[str]:
    """Return what sentry-sdk's parser says of an envelope."""
    from sentry_sdk.envelope import Envelope

    try:
        envelope = Envelope.deserialize(data)
        kinds = [item.type for item in envelope.items]
        bodies = [item.payload.get_bytes() for item in envelope.items]
    except Exception as error:
        return [f"sentry-sdk cannot parse it: {error!r}"]
    if not kinds or not all(bodies):
        return [f"sentry-sdk sees items without a body: {kinds}"]
    return []


def find_sentry_cli() -> str | None:
    """Return the path of sentry-cli, of this virtual environment first."""
    return shutil.which("sentry-cli", path=str(Path(sys.executable).parent)) or shutil.which("sentry-cli")


def cli_complaints(envelopes: Sequence[bytes], sentry_cli: str, sink: Sink) -> list[str]:
    """Return what sentry-cli says of envelopes, all of them in one call."""
    before = sink.taken
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(envelopes):
            Path(folder, f"{number:04}.envelope").write_bytes(data)
        done = subprocess.run(
            [sentry_cli, "send-envelope", str(Path(folder, "*.envelope"))],
            env={**os.environ, "SENTRY_DSN": sink.dsn},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    if done.returncode:
        return [f"sentry-cli cannot parse it: {done.stderr.split('Stack backtrace')[0].strip()}"]
    if sink.taken - before != len(envelopes):
        return [f"sentry-cli sent {sink.taken - before} of {len(envelopes)} envelopes: {done.stdout}{done.stderr}"]
    return []
