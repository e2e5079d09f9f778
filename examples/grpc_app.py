"""A stock service with gRPC: `python -m examples.grpc_app PORT [aio]`, with `SENTRY_DSN` in the environment.

Its methods are described by hand, so that nothing has to be generated: messages are JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
from opentelemetry import trace
from opentelemetry.instrumentation.grpc import (
    GrpcAioInstrumentorClient,
    GrpcAioInstrumentorServer,
    GrpcInstrumentorClient,
    GrpcInstrumentorServer,
)

import bridge

SERVICE = "shop.Stock"
tracer = trace.get_tracer("shop")


def to_bytes(message: Any) -> bytes:
    """Write a message."""
    return json.dumps(message).encode()


def instrumentors() -> list[Any]:
    """Return OpenTelemetry's instrumentors of clients and servers; those of asyncio are others."""
    return [
        GrpcInstrumentorServer(),
        GrpcAioInstrumentorServer(),
        GrpcInstrumentorClient(),
        GrpcAioInstrumentorClient(),
    ]


def count(item: int) -> dict[str, Any]:
    """Look an item up, with spans of both APIs; return what a call from here would send on."""
    bridge.set_tag("item", item)
    with bridge.start_span("look up", op="function"), tracer.start_as_current_span("count"):
        return {"item": item, "pieces": 7, "headers": bridge.trace_headers()}


class Stock:
    """The methods of a server with threads."""

    def get(self, item: int, context: grpc.ServicerContext) -> dict[str, Any]:
        """One message for one; there is no item 0, and item 13 is a fault of ours."""
        if item == 0:
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no such item")
        if item == 13:
            bridge.set_tag("item", item)
            raise ValueError("item 13 cannot be counted")
        return count(item)

    def slow(self, item: int, context: grpc.ServicerContext) -> None:
        """Not answer before the caller gives up."""
        over = threading.Event()
        context.add_callback(over.set)
        over.wait(30)

    def many(self, items: int, context: grpc.ServicerContext) -> Iterator[dict[str, Any]]:
        """Many messages for one."""
        for item in range(1, items + 1):
            yield count(item)

    def put(self, items: Iterator[int], context: grpc.ServicerContext) -> dict[str, Any]:
        """One message for many."""
        return count(sum(items))

    def talk(self, items: Iterator[int], context: grpc.ServicerContext) -> Iterator[dict[str, Any]]:
        """Many messages for many."""
        yield from map(count, items)


class AioStock:
    """The methods of a server with asyncio."""

    async def get(self, item: int, context: grpc.aio.ServicerContext[Any, Any]) -> dict[str, Any]:
        """One message for one; there is no item 0, and item 13 is a fault of ours."""
        if item == 0:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such item")
        if item == 13:
            bridge.set_tag("item", item)
            raise ValueError("item 13 cannot be counted")
        return count(item)

    async def slow(self, item: int, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Not answer before the caller gives up."""
        await asyncio.sleep(30)

    async def many(self, items: int, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[dict[str, Any]]:
        """Many messages for one."""
        for item in range(1, items + 1):
            yield count(item)

    async def put(self, items: AsyncIterator[int], context: grpc.aio.ServicerContext[Any, Any]) -> dict[str, Any]:
        """One message for many."""
        return count(sum([item async for item in items]))

    async def talk(
        self, items: AsyncIterator[int], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        """Many messages for many."""
        async for item in items:
            yield count(item)


def handlers(stock: Any) -> grpc.GenericRpcHandler:
    """Describe the methods, as generated code does."""
    kinds = {
        "get": grpc.unary_unary_rpc_method_handler,
        "slow": grpc.unary_unary_rpc_method_handler,
        "many": grpc.unary_stream_rpc_method_handler,
        "put": grpc.stream_unary_rpc_method_handler,
        "talk": grpc.stream_stream_rpc_method_handler,
    }
    return grpc.method_handlers_generic_handler(
        SERVICE, {name: kind(getattr(stock, name), json.loads, to_bytes) for name, kind in kinds.items()}
    )


def start(port: int = 0) -> tuple[grpc.Server, int]:
    """Start a server with threads; return it and its port."""
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((handlers(Stock()),))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, bound


async def start_aio(port: int = 0) -> tuple[grpc.aio.Server, int]:
    """Start a server with asyncio; return it and its port."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers(AioStock()),))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server, bound


async def _serve_aio(port: int) -> None:
    server, _ = await start_aio(port)
    await server.wait_for_termination()


def main() -> None:
    """Set up before a server or a channel is made: instrumentors reach those only that are made after them."""
    bridge.init(traces_sample_rate=1.0, capture_span_exceptions=True, instrumentations=instrumentors())
    if "aio" in sys.argv:
        asyncio.run(_serve_aio(int(sys.argv[1])))
    else:
        server, _ = start(int(sys.argv[1]))
        server.wait_for_termination()


if __name__ == "__main__":
    main()
