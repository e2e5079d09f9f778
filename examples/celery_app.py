"""Jobs of a shop with Celery and Redis: `celery -A examples.celery_app worker`, with `SENTRY_DSN` set."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, Task
from opentelemetry import baggage, trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor

import bridge

BROKER = os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0")
tracer = trace.get_tracer("shop")

# Here, and not in each child of the pool: a fork is harmless, and the process that enqueues needs it as well.
bridge.init(capture_span_exceptions=True, instrumentations=[CeleryInstrumentor()])

app = Celery("shop", broker=BROKER, backend=BROKER)


@app.task(name="shop.pack")
def pack(order: int) -> dict[str, Any]:
    """Work with spans of both APIs; return what a call from here would send on."""
    bridge.set_tag("order", order)
    with bridge.start_span("wrap", op="function"), tracer.start_as_current_span("weigh"):
        return {"headers": bridge.trace_headers(), "baggage": dict(baggage.get_all())}


@app.task(name="shop.ship")
def ship(order: int) -> dict[str, Any]:
    """Run a job in place and enqueue another: both are children of this one."""
    done: dict[str, Any] = pack.apply(args=[order]).result
    pack.delay(order)
    return done


@app.task(name="shop.charge", bind=True)
def charge(self: Task, order: int) -> dict[str, Any]:
    """Succeed at the second attempt, which is a child of the first."""
    bridge.set_tag("order", order)
    if not self.request.retries:
        raise self.retry(countdown=0)
    return {"headers": bridge.trace_headers(), "baggage": dict(baggage.get_all())}


@app.task(name="shop.refuse")
def refuse(order: int) -> None:
    """Fail: the exception is sent once, linked to the job's span."""
    bridge.set_tag("order", order)
    raise ValueError(f"order {order} cannot be delivered")
