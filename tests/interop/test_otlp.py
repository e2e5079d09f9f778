"""Spans by OpenTelemetry's own protocol, everything else by the bridge."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import bridge
from bridge._internal.delivery.envelope import Envelope

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="OpenTelemetry's OTLP exporter is not installed")


class Receiver:
    """Takes OTLP over HTTP and envelopes, and keeps what came where."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.dsn = f"http://public@127.0.0.1:{self.server.server_address[1]}/42"

    def of(self, path: str) -> list[tuple[dict[str, str], bytes]]:
        return [(headers, body) for at, headers, body in self.requests if at == path]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    thread = threading.Thread(target=running.server.serve_forever, daemon=True)
    thread.start()
    yield running
    running.server.shutdown()
    running.server.server_close()
    thread.join()


def _spans(body: bytes) -> list[Any]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest.FromString(body)
    return [span for r in request.resource_spans for scope in r.scope_spans for span in scope.spans]


@pytest.mark.parametrize("lifecycle", ["none", "static"])
def test_spans_go_to_sentrys_otlp_endpoint(receiver: Receiver, lifecycle: Any) -> None:
    """With `trace_lifecycle="none"` by OTLP alone, else beside; errors are the bridge's, linked to the same spans."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    endpoint, headers = bridge.otlp_endpoint(receiver.dsn)
    exporter = OTLPSpanExporter(endpoint=endpoint, headers=headers)
    client = bridge.init(
        receiver.dsn,
        traces_sample_rate=1.0,
        trace_lifecycle=lifecycle,
        span_processors=[BatchSpanProcessor(exporter)],
    )
    assert bridge.otlp_endpoint() == (endpoint, headers)
    with bridge.start_span("root") as root, trace.get_tracer("t").start_as_current_span("child") as child:
        bridge.capture_message("hello")
        out = bridge.trace_headers()
    bridge.close()
    [(sent, body)] = receiver.of("/api/42/integration/otlp/v1/traces/")
    assert "sentry_key=public" in sent["x-sentry-auth"]
    spans = {span.name: span for span in _spans(body)}
    assert spans["root"].span_id.hex() == root.span_id
    assert spans["child"].parent_span_id.hex() == root.span_id
    assert out["sentry-trace"] == f"{root.trace_id}-{child.span_id}-1"
    items = [item for _, body in receiver.of("/api/42/envelope/") for item in Envelope.parse(body).items]
    [event] = [item.payload for item in items if item.type == "event"]
    assert event["contexts"]["trace"]["span_id"] == child.span_id
    transactions = [item for item in items if item.type == "transaction"]
    assert len(transactions) == (1 if lifecycle == "static" else 0)
    assert client.accounting().started == (2 if lifecycle == "static" else 0)


def test_there_must_be_a_dsn() -> None:
    """Without one there is no endpoint; a broken one is named."""
    with pytest.raises(ValueError, match="no DSN was given"):
        bridge.otlp_endpoint()
    with pytest.raises(ValueError, match="nonsense"):
        bridge.otlp_endpoint("nonsense")
