"""A shop with aiohttp: `python -m examples.aiohttp_app 8000`, with `SENTRY_DSN` in the environment."""

from __future__ import annotations

import os
import sys

from aiohttp import ClientSession, web
from aiohttp.typedefs import Handler
from opentelemetry import trace
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor

import bridge

bridge.init(
    traces_sample_rate=1.0,
    capture_span_exceptions=True,
    instrumentations=[AioHttpServerInstrumentor(), AioHttpClientInstrumentor()],
)

STOCK_URL = os.environ.get("STOCK_URL", "http://127.0.0.1:8000/stock")
tracer = trace.get_tracer("shop")
routes = web.RouteTableDef()


@web.middleware
async def remember_user(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say whose request it is: on everything that this request sends, and on nothing else."""
    bridge.set_user({"id": request.headers.get("X-User", "nobody")})
    return await handler(request)


@routes.get("/health")
async def health(request: web.Request) -> web.Response:
    """Answer; with `OTEL_PYTHON_EXCLUDED_URLS=health` without a span."""
    return web.Response(text="well")


@routes.get(r"/orders/{order:\d+}")
async def show_order(request: web.Request) -> web.Response:
    """Answer with spans of both APIs."""
    order = int(request.match_info["order"])
    if order == 0:
        raise web.HTTPNotFound
    bridge.set_tag("order", order)
    with tracer.start_as_current_span("load order"), bridge.start_span("add prices", op="function"):
        return web.json_response({"order": order, "total": 42})


@routes.get(r"/checkout/{order:\d+}")
async def checkout(request: web.Request) -> web.Response:
    """Ask the next service."""
    order = int(request.match_info["order"])
    async with ClientSession() as session, session.get(f"{STOCK_URL}/{order}") as answer:
        return web.json_response({"order": order, "pieces": (await answer.json())["pieces"]})


@routes.get(r"/stock/{order:\d+}")
async def stock(request: web.Request) -> web.Response:
    """Answer the service before."""
    with bridge.start_span("SELECT pieces FROM stock", op="db"):
        return web.json_response({"pieces": 7})


@routes.get(r"/fail/{order:\d+}")
async def fail(request: web.Request) -> web.Response:
    """Fail: `capture_span_exceptions` sends the exception that the instrumentation records."""
    bridge.set_tag("order", request.match_info["order"])
    raise ValueError(f"order {request.match_info['order']} cannot be paid")


@routes.get("/report")
async def report(request: web.Request) -> web.StreamResponse:
    """Answer in parts, within the request's span."""
    response = web.StreamResponse()
    await response.prepare(request)
    with bridge.start_span("write report"):
        for row in range(3):
            with bridge.start_span(f"row {row}"):
                await response.write(f"{row}\n".encode())
    return response


def make_app() -> web.Application:
    """Return the application."""
    app = web.Application(middlewares=[remember_user])
    app.add_routes(routes)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host="127.0.0.1", port=int(sys.argv[1]))
