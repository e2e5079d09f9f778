"""The demo's two services, each a process of its own: `python -m bridge._internal.demo.services NAME DSN ...`.

`shop` uses `bridge.start_span()` outside and a native OpenTelemetry tracer inside; `stock` does the opposite. Each
prints its port, answers requests until its standard input is closed, and then flushes.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanKind

import bridge
from bridge._internal.delivery.spotlight import SpotlightTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Handle = Callable[[Mapping[str, str]], dict[str, Any]]

CROSSING = ("sentry-trace", "baggage", "traceparent", "tracestate")
tracer = trace.get_tracer("demo")


def shop(stock_url: str) -> Handle:
    """Return the shop's request handler: `start_span()` outside, a native tracer's spans inside, then a request."""

    def handle(headers: Mapping[str, str]) -> dict[str, Any]:
        with (
            bridge.continue_trace(headers),
            bridge.start_span(
                "GET /checkout",
                op="http.server",
                kind=SpanKind.SERVER,
                attributes={"http.request.method": "GET", "http.route": "/checkout"},
            ),
        ):
            bridge.set_tag("customer", "c-42")
            with (
                tracer.start_as_current_span("load cart"),
                bridge.start_span("apply discount", op="function"),
            ):
                pass
            attributes = {"http.request.method": "GET", "url.full": stock_url}
            with tracer.start_as_current_span("GET stock", kind=SpanKind.CLIENT, attributes=attributes) as span:
                outgoing: dict[str, str] = {}
                propagate.inject(outgoing)
                response = httpx.get(stock_url, headers=outgoing, timeout=10, trust_env=False)
                span.set_attribute("http.response.status_code", response.status_code)
            return {"stock_url": stock_url, "crossed": outgoing, "stock": response.json()}

    return handle


def stock(headers: Mapping[str, str]) -> dict[str, Any]:
    """Answer a request for the stock: a native tracer's span outside, `start_span()` inside, and a handled error."""
    arrived = {name: headers[name] for name in CROSSING if name in headers}
    parent = propagate.extract(arrived)
    attributes: dict[str, Any] = {
        "http.request.method": "GET",
        "http.route": "/stock",
        "http.response.status_code": 200,
    }
    with (
        tracer.start_as_current_span("handle", context=parent, kind=SpanKind.SERVER, attributes=attributes),
        bridge.start_span("SELECT pieces FROM stock", op="db", attributes={"db.system.name": "sqlite"}),
    ):
        bridge.set_tag("warehouse", "north")
        with tracer.start_as_current_span("parse row"):
            pieces = 7
        try:
            raise LookupError("article 4711 is not in the warehouse")
        except LookupError as error:
            bridge.capture_exception(error)
    return {"arrived": arrived, "pieces": pieces}


def _server(handle: Handle) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer one request."""
            content = json.dumps(handle({name.lower(): value for name, value in self.headers.items()})).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Keep quiet."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def serve(name: str, dsn: str, send_to: str, stock_url: str) -> None:
    """Run one service until standard input is closed; what it records for the DSN goes to another address, if given."""
    bridge.init(
        dsn,
        traces_sample_rate=1.0,
        environment="demo",
        release=f"{name}@1.0",
        resource=Resource.create({"service.name": name}),
        transport=SpotlightTransport(send_to, None) if send_to else None,
        shutdown_timeout=10.0,
    )
    server = _server(shop(stock_url) if name == "shop" else stock)
    thread = threading.Thread(target=server.serve_forever, name=f"demo-{name}", daemon=True)
    thread.start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.shutdown()
    server.server_close()
    bridge.close()


if __name__ == "__main__":
    serve(*sys.argv[1:5])
