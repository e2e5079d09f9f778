"""A shop with FastAPI: `uvicorn examples.fastapi_app:app`, with `SENTRY_DSN` in the environment."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
from fastapi import BackgroundTasks, Depends, FastAPI, Header, HTTPException, WebSocket
from fastapi.responses import StreamingResponse
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

import bridge

STOCK_URL = os.environ.get("STOCK_URL", "http://127.0.0.1:8000/stock")
tracer = trace.get_tracer("shop")

bridge.init(traces_sample_rate=1.0, capture_span_exceptions=True, instrumentations=[HTTPXClientInstrumentor()])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Send what is left at the end: uvicorn dies of the signal that stopped it, so no exit handler runs."""
    yield
    bridge.close()


def remember_user(x_user: str = Header("nobody")) -> None:
    """Say whose request it is: on everything that this request sends, and on nothing else."""
    bridge.set_user({"id": x_user})


app = FastAPI(lifespan=lifespan, dependencies=[Depends(remember_user)])
FastAPIInstrumentor.instrument_app(app, exclude_spans=["receive", "send"])


@app.get("/health")
async def health() -> str:
    """Answer; with `OTEL_PYTHON_EXCLUDED_URLS=health` without a span."""
    return "well"


@app.get("/orders/{order}")
def show_order(order: int) -> dict[str, int]:
    """Answer from a thread of the pool, as FastAPI does for a plain function: scopes and spans follow."""
    if order == 0:
        raise HTTPException(404, "there is no such order")
    bridge.set_tag("order", order)
    with tracer.start_as_current_span("load order"), bridge.start_span("add prices", op="function"):
        return {"order": order, "total": 42}


@app.get("/checkout/{order}")
async def checkout(order: int) -> dict[str, int]:
    """Ask the next service."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{STOCK_URL}/{order}")
    return {"order": order, "pieces": answer.json()["pieces"]}


@app.get("/stock/{order}")
async def stock(order: int) -> dict[str, int]:
    """Answer the service before."""
    with bridge.start_span("SELECT pieces FROM stock", op="db"):
        return {"pieces": 7}


@app.get("/fail/{order}")
async def fail(order: int) -> None:
    """Fail: `capture_span_exceptions` sends the exception that the instrumentation records."""
    bridge.set_tag("order", order)
    raise ValueError(f"order {order} cannot be paid")


@app.get("/report")
def report() -> StreamingResponse:
    """Answer in parts, within the request's span."""

    @bridge.trace("write report")
    def rows() -> Iterator[str]:
        for row in range(3):
            with bridge.start_span(f"row {row}"):
                yield f"{row}\n"

    return StreamingResponse(rows(), media_type="text/plain")


@app.post("/orders")
async def place_order(tasks: BackgroundTasks) -> dict[str, str]:
    """Answer first and work afterwards: the task is part of the request's trace, with its user."""
    tasks.add_task(send_receipt)
    return {"state": "placed"}


def send_receipt() -> None:
    """Work in the background."""
    with bridge.start_span("send receipt", op="task"):
        bridge.capture_message("a receipt was sent")


@app.websocket("/ws")
async def talk(socket: WebSocket) -> None:
    """Talk over a websocket: one transaction from its opening to its end."""
    await socket.accept()
    with bridge.start_span("greet"):
        await socket.send_text(f"welcome, {await socket.receive_text()}")
    await socket.close()
