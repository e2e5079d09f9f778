"""gRPC over the loopback interface: servers and clients with threads and with asyncio, upstreams of two kinds."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import pytest

import bridge
from bridge._internal.demo.receiver import Receiver
from bridge.testing import BridgeCapture, capture
from tests.frameworks.harness import ROOT, Arrived, Upstream, eventually, require
from tests.interop.neighbours import free_port

pytestmark = pytest.mark.neighbour

KINDS = ["threads", "asyncio"]
REQUESTS: dict[str, Any] = {"get": 7, "many": 1, "put": [3, 4], "talk": [7]}


@pytest.fixture(autouse=True)
def _installed() -> None:
    require("grpc", "opentelemetry.instrumentation.grpc")


@contextmanager
def instrumented(**options: Any) -> Iterator[BridgeCapture]:
    """The bridge with the instrumentors of the example, for a block."""
    from examples import grpc_app

    with capture(instrumentations=grpc_app.instrumentors(), capture_span_exceptions=True, **options) as sent:
        yield sent


@contextmanager
def serving(kind: str) -> Iterator[int]:
    """Run a server of the example for a block; gives its port."""
    from examples import grpc_app

    if kind == "threads":
        server, port = grpc_app.start()
        yield port
        server.stop(None).wait()
        return
    ports: list[int] = []
    over = threading.Event()

    async def serve() -> None:
        server, port = await grpc_app.start_aio()
        ports.append(port)
        await asyncio.to_thread(over.wait)
        await server.stop(None)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    yield eventually(lambda: ports[0] if ports else None, "the server did not start")
    over.set()
    thread.join()


def call(
    kind: str, port: int, method: str, request: Any, metadata: Any = None, timeout: float = 20
) -> list[dict[str, Any]]:
    """Call a method by a client of this kind; return all answers."""
    return (
        asyncio.run(_call_aio(port, method, request, metadata, timeout))
        if kind == "asyncio"
        else _call(port, method, request, metadata, timeout)
    )


def _stub(channel: Any, method: str) -> Any:
    from examples.grpc_app import SERVICE, to_bytes

    shape = {"many": "unary_stream", "put": "stream_unary", "talk": "stream_stream"}.get(method, "unary_unary")
    return getattr(channel, shape)(f"/{SERVICE}/{method}", to_bytes, json.loads)


def _call(port: int, method: str, request: Any, metadata: Any, timeout: float) -> list[dict[str, Any]]:
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        sent = iter(request) if isinstance(request, list) else request
        answer = _stub(channel, method)(sent, metadata=metadata, timeout=timeout)
        return list(answer) if method in ("many", "talk") else [answer]


async def _call_aio(port: int, method: str, request: Any, metadata: Any, timeout: float) -> list[dict[str, Any]]:
    import grpc.aio

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        sent = iter(request) if isinstance(request, list) else request
        answer = _stub(channel, method)(sent, metadata=metadata, timeout=timeout)
        return [one async for one in answer] if method in ("many", "talk") else [await answer]


def members(baggage: str) -> list[str]:
    """Return what a header says."""
    return sorted(unquote(baggage).split(","))


def call_by_upstream(port: int, method: str, request: Any, headers: dict[str, str]) -> list[dict[str, Any]]:
    """Call as somebody does who has nothing to do with this process."""
    with bridge.suppress_tracing():
        return call("threads", port, method, request, list(headers.items()))


@pytest.mark.parametrize("method", REQUESTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_continues_its_upstream(kind: str, method: str) -> None:
    """By either kind of headers, sampled or not, for messages and streams: ids, decision, DSC, baggage are theirs."""
    with instrumented() as sent, serving(kind) as port:
        for sampled in (True, False):
            for headers in ("sentry", "w3c"):
                upstream = Upstream.new(sampled=sampled)
                [answer] = call_by_upstream(port, method, REQUESTS[method], getattr(upstream, headers))
                trace_id, _, flag = answer["headers"]["sentry-trace"].split("-")
                assert (trace_id, flag) == (upstream.trace_id, str(int(sampled)))
                if headers == "sentry":
                    assert members(answer["headers"]["baggage"]) == members(upstream.sentry["baggage"])
                found = [e for e in sent.envelopes if e.headers["trace"]["trace_id"] == upstream.trace_id]
                assert len(found) == sampled
                if not found:
                    continue
                transaction = found[0].items[0].content()
                assert transaction["transaction"] == f"/shop.Stock/{method}"
                assert transaction["contexts"]["trace"]["parent_span_id"] == upstream.span_id
                assert [span["description"] for span in transaction["spans"]] == ["look up", "count"]
                assert transaction["tags"] == {"item": "1" if method == "many" else "7"}
                if headers == "sentry":
                    assert found[0].headers["trace"]["sample_rate"] == "0.5"
                    assert found[0].headers["trace"]["release"] == "shop@7"


@pytest.mark.parametrize("method", REQUESTS)
@pytest.mark.parametrize("client", KINDS)
@pytest.mark.parametrize("server", KINDS)
def test_client_and_server_are_one_tree(client: str, server: str, method: str) -> None:
    """The server's transaction is below the client's span; metadata of the user's and their baggage come along."""
    name = f"/shop.Stock/{method}"
    with instrumented() as sent, serving(server) as port:
        with bridge.start_span("request"):
            metadata = [("x-tenant", "7"), ("baggage", "mine=1")]
            [answer] = call(client, port, method, REQUESTS[method], metadata)
        assert sent.tree() == ["request", [name, [name, ["look up", ["count"]]]]]
        assert "mine=1" in answer["headers"]["baggage"].split(",")
        assert {t["contexts"]["trace"]["status"] for t in sent.transactions} == {"ok"}
        assert [s["op"] for s in sent.spans if s["description"] == name] == ["rpc", "rpc"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_status_is_a_status_and_no_error(kind: str) -> None:
    """`context.abort` gives the transaction its status; nothing is sent to the issues."""
    import grpc

    with instrumented() as sent, serving(kind) as port:
        with pytest.raises(grpc.RpcError):
            call_by_upstream(port, "get", 0, Upstream.new().sentry)
        [transaction] = eventually(lambda: sent.transactions, "no transaction")
        assert transaction["contexts"]["trace"]["status"] == "not_found"
        assert sent.events == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_of_a_handler_is_an_error(kind: str) -> None:
    """It is sent once, linked to the span of the call, whose status is what gRPC answers."""
    import grpc

    upstream = Upstream.new()
    with instrumented() as sent, serving(kind) as port:
        with pytest.raises(grpc.RpcError):
            call_by_upstream(port, "get", 13, upstream.sentry)
        [transaction] = eventually(lambda: sent.transactions, "no transaction")
        [event] = sent.events
    root = transaction["contexts"]["trace"]
    assert (root["trace_id"], root["status"]) == (upstream.trace_id, "unknown_error")
    assert event["exception"]["values"][0]["value"] == "item 13 cannot be counted"
    assert event["contexts"]["trace"]["span_id"] == root["span_id"]
    assert event["tags"] == transaction["tags"] == {"item": "13"}


@pytest.mark.parametrize(("item", "method", "status"), [(0, "get", "not_found"), (7, "slow", "deadline_exceeded")])
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_client_gets_is_its_spans_status(kind: str, item: int, method: str, status: str) -> None:
    """A status that the server answers, or a deadline that passed."""
    import grpc

    with instrumented() as sent, serving("threads") as port:
        with bridge.start_span("request"), pytest.raises(grpc.RpcError):
            call(kind, port, method, item, timeout=20 if method == "get" else 0.2)
        [request] = [t for t in sent.transactions if t["transaction"] == "request"]
    [span] = request["spans"]
    assert (span["description"], span["status"]) == (f"/shop.Stock/{method}", status)


def _by_sentry(dsn: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.frameworks.sentry_grpc", *arguments],
        cwd=ROOT,
        env={**os.environ, "SENTRY_DSN": dsn},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_with_a_sentry_sdk(kind: str) -> None:
    """Our server is below the span of its call, with its DSC word for word; what it decided against stays so."""
    require("sentry_sdk")
    with Receiver() as receiver, instrumented() as sent, serving(kind) as port:
        with _by_sentry(receiver.dsn, "call", str(port)) as program:
            output, _ = program.communicate(timeout=60)
        assert program.returncode == 0
        kept, dropped = map(json.loads, output.splitlines())
        [theirs] = eventually(lambda: [e for e in receiver.envelopes if e.items[0].type == "transaction"], "nothing")
        [ours] = sent.envelopes
    [their_span] = theirs.items[0].content()["spans"]
    trace = ours.items[0].content()["contexts"]["trace"]
    assert (trace["trace_id"], trace["parent_span_id"]) == (kept["trace_id"], their_span["span_id"])
    assert ours.headers["trace"] == theirs.headers["trace"]
    for told, flag in ((kept, "1"), (dropped, "0")):
        assert told["headers"]["sentry-trace"].split("-")[::2] == [told["trace_id"], flag]


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_with_a_sentry_sdk(kind: str) -> None:
    """Its transaction is below the span of our call, with our DSC word for word."""
    require("sentry_sdk")
    port = free_port()
    with Receiver() as receiver, instrumented(release="shop@8") as sent:
        with _by_sentry(receiver.dsn, "serve", str(port)) as program:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
            with bridge.start_span("request"):
                call(kind, port, "get", 7)
            program.communicate(timeout=60)
        [ours] = sent.envelopes
        theirs = next(e for e in receiver.envelopes if e.items[0].type == "transaction")
    [our_span] = ours.items[0].content()["spans"]
    trace = theirs.items[0].content()["contexts"]["trace"]
    assert (trace["trace_id"], trace["parent_span_id"]) == (our_span["trace_id"], our_span["span_id"])
    assert theirs.headers["trace"] == ours.headers["trace"]
    assert Arrived(receiver).payloads("event") == []
