"""What every service of a chain does in Python: continue, report, call the next one, answer with all reports."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

NAMES = ("sentry-trace", "baggage", "traceparent", "tracestate")
Handle = Callable[[dict[str, str]], AbstractContextManager[dict[str, Any]]]


def serve(handle: Handle) -> None:
    """Listen on the port of the command line; `handle` makes a span and yields a report with the headers to send."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # As servers do that know one value for each name, WSGI's among them.
            received = {name: ",".join(self.headers.get_all(name, ())) for name in NAMES if name in self.headers}
            following = parse_qs(urlsplit(self.path).query).get("next", [])
            with handle(received) as report:
                reports = [{"received": received, **report}, *call(following, report["sent"])]
            body = json.dumps(reports).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


def call(following: list[str], headers: dict[str, str]) -> list[dict[str, Any]]:
    """Call the next service, which calls those after it; returns their reports."""
    if not following:
        return []
    query = "&".join(f"next={quote(url, safe='')}" for url in following[1:])
    request = urllib.request.Request(f"{following[0]}/?{query}", headers=headers)
    with urllib.request.urlopen(request, timeout=20) as response:
        reports: list[dict[str, Any]] = json.load(response)
    return reports
