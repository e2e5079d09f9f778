"""HTTP clients under OpenTelemetry's instrumentations: what leaves, and what is sent to Sentry about it."""

from __future__ import annotations

import asyncio
import importlib
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

import bridge
from bridge import testing
from bridge.testing import BridgeCapture
from tests.frameworks.harness import require

pytestmark = pytest.mark.neighbour
Get = Callable[[str], None]


class Next:
    """The next service: it keeps the headers of every request, and answers 200, or 404 to /nowhere."""

    def __init__(self) -> None:
        self.seen: list[dict[str, list[str]]] = []
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append({name.lower(): self.headers.get_all(name, []) for name in self.headers})
                self.send_response(404 if self.path == "/nowhere" else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def following() -> Iterator[Next]:
    """The next service, on a free port."""
    found = Next()
    thread = threading.Thread(target=found.server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


def _requests(url: str) -> None:
    import requests

    with requests.Session() as session:
        session.trust_env = False
        session.get(url, timeout=10)


def _urllib3(url: str) -> None:
    import urllib3

    with urllib3.PoolManager() as pool:
        pool.request("GET", url, timeout=10)


def _urllib(url: str) -> None:
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10).close()
    except urllib.request.HTTPError as error:  # type: ignore[attr-defined]
        error.close()


def _httpx(url: str) -> None:
    with httpx.Client(trust_env=False) as client:
        client.get(url)


def _httpx_async(url: str) -> None:
    async def get() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(url)

    asyncio.run(get())


def _aiohttp(url: str) -> None:
    import aiohttp

    async def get() -> None:
        async with aiohttp.ClientSession() as session, session.get(url):
            pass

    asyncio.run(get())


CLIENTS: dict[str, tuple[Get, list[str]]] = {
    "requests": (_requests, ["requests.RequestsInstrumentor"]),
    "requests-beside-urllib3": (_requests, ["requests.RequestsInstrumentor", "urllib3.URLLib3Instrumentor"]),
    "urllib3": (_urllib3, ["urllib3.URLLib3Instrumentor"]),
    "urllib": (_urllib, ["urllib.URLLibInstrumentor"]),
    "httpx": (_httpx, ["httpx.HTTPXClientInstrumentor"]),
    "httpx-async": (_httpx_async, ["httpx.HTTPXClientInstrumentor"]),
    "aiohttp": (_aiohttp, ["aiohttp_client.AioHttpClientInstrumentor"]),
}


@contextmanager
def instrumented(client: str, semconv: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Iterator[BridgeCapture]:
    """Set the bridge up with a client's instrumentations for a block."""
    require(client.partition("-")[0])
    names = [f"opentelemetry.instrumentation.{name}".rpartition(".") for name in CLIENTS[client][1]]
    require(*(module for module, _, _ in names))
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", semconv)
    semconv_state = importlib.import_module("opentelemetry.instrumentation._semconv")
    # Read once for the process; there is no other way to have it read again.
    monkeypatch.setattr(semconv_state._OpenTelemetrySemanticConventionStability, "_initialized", False)
    instrumentations = [getattr(importlib.import_module(module), name)() for module, _, name in names]
    with testing.capture(instrumentations=instrumentations, **options) as sent:
        yield sent


@pytest.mark.parametrize("semconv", ["", "http"], ids=["old-names", "new-names"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_request_is_one_span_and_carries_each_header_once(
    client: str, semconv: str, following: Next, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next service continues the request's span, whichever headers it reads."""
    get, _ = CLIENTS[client]
    with instrumented(client, semconv, monkeypatch) as sent:
        with bridge.start_span("shop") as shop:
            get(f"{following.url}/stock?page=2")
        [received] = following.seen
        [span] = sent.transactions[0]["spans"]
    assert received["sentry-trace"] == [f"{shop.trace_id}-{span['span_id']}-1"]
    [traceparent] = received["traceparent"]
    assert traceparent.split("-")[1:3] == [shop.trace_id, span["span_id"]]
    [baggage] = received["baggage"]
    assert baggage.count("sentry-trace_id=") == 1
    assert span["parent_span_id"] == shop.span_id
    assert (span["op"], span["description"], span["status"]) == ("http.client", f"GET {following.url}/stock", "ok")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_service_that_is_no_target_is_told_nothing(
    client: str, following: Next, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is not among `trace_propagation_targets` gets nothing of Sentry's; an answer of 404 is the span's status."""
    get, _ = CLIENTS[client]
    with instrumented(client, "", monkeypatch, trace_propagation_targets=["https://api.example"]) as sent:
        with bridge.start_span("shop"):
            get(f"{following.url}/nowhere")
        [received] = following.seen
        [span] = sent.transactions[0]["spans"]
    assert "sentry-trace" not in received
    assert "sentry" not in "".join(received.get("baggage", []) + received["tracestate"])
    assert span["status"] == "not_found"
