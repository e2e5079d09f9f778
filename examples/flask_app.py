"""A shop with Flask: `gunicorn --workers 4 examples.flask_app:app`, with `SENTRY_DSN` in the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator

import requests
from flask import Flask, Response, abort, request
from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor

import bridge

STOCK_URL = os.environ.get("STOCK_URL", "http://127.0.0.1:8000/stock")
tracer = trace.get_tracer("shop")

bridge.init(traces_sample_rate=1.0, capture_span_exceptions=True, instrumentations=[RequestsInstrumentor()])

app = Flask(__name__)
FlaskInstrumentor().instrument_app(app)


@app.before_request
def remember_user() -> None:
    """Say whose request it is: on everything that this request sends, and on nothing else."""
    bridge.set_user({"id": request.headers.get("X-User", "nobody")})


@app.get("/health")
def health() -> str:
    """Answer; with `OTEL_PYTHON_EXCLUDED_URLS=health` without a span."""
    return "well"


@app.get("/orders/<int:order>")
def show_order(order: int) -> dict[str, int]:
    """Answer with spans of both APIs."""
    if order == 0:
        abort(404)
    bridge.set_tag("order", order)
    with tracer.start_as_current_span("load order"), bridge.start_span("add prices", op="function"):
        return {"order": order, "total": 42}


@app.get("/checkout/<int:order>")
def checkout(order: int) -> dict[str, int]:
    """Ask the next service."""
    answer = requests.get(f"{STOCK_URL}/{order}", timeout=10)
    return {"order": order, "pieces": answer.json()["pieces"]}


@app.get("/stock/<int:order>")
def stock(order: int) -> dict[str, int]:
    """Answer the service before."""
    with bridge.start_span("SELECT pieces FROM stock", op="db"):
        return {"pieces": 7}


@app.get("/fail/<int:order>")
def fail(order: int) -> None:
    """Fail: `capture_span_exceptions` sends the exception that the instrumentation records."""
    bridge.set_tag("order", order)
    raise ValueError(f"order {order} cannot be paid")


@app.get("/report")
def report() -> Response:
    """Answer in parts: the request's span ends before the first, so theirs starts here and is sent by itself."""
    writing = bridge.start_inactive_span("write report")

    def rows() -> Iterator[str]:
        with writing:
            for row in range(3):
                yield f"{row}\n"

    return Response(rows(), mimetype="text/plain")
