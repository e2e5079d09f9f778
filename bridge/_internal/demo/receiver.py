"""A local HTTP server that receives envelopes as Sentry does, and keeps them."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from bridge._internal.delivery.envelope import Envelope

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

PUBLIC_KEY = "5e17a1de5e17a1de5e17a1de5e17a1de"


class Receiver:
    """Listens on a free loopback port from `__enter__` to `__exit__`; `envelopes` has everything received."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.refused: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Take one envelope."""
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                status, answer = receiver._take(self.path, dict(self.headers), body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="demo-receiver", daemon=True)

    @property
    def port(self) -> int:
        """The port that the receiver listens on."""
        return int(self._server.server_address[1])

    @property
    def dsn(self) -> str:
        """The DSN of this receiver."""
        return f"http://{PUBLIC_KEY}@127.0.0.1:{self.port}/1"

    @property
    def stream_url(self) -> str:
        """The URL for copies of envelopes for another DSN, as of a Spotlight sidecar."""
        return f"http://127.0.0.1:{self.port}/stream"

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        authorised = f"sentry_key={PUBLIC_KEY}" in headers.get("X-Sentry-Auth", "")
        if path == "/api/1/envelope/" and not authorised:
            self.refused.append("an envelope without the key")
            return 401, {"detail": "bad sentry DSN public key"}
        if path not in ("/api/1/envelope/", "/stream"):
            self.refused.append(f"a request for {path}")
            return 404, {"detail": "no such endpoint"}
        try:
            envelope = Envelope.parse(body)
        except ValueError as error:
            self.refused.append(f"an envelope that cannot be read: {error}")
            return 400, {"detail": str(error)}
        self.envelopes.append(envelope)
        return 200, {"id": envelope.headers.get("event_id")}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
