"""A program with OpenTelemetry alone that enqueues jobs: BROKER FIRST LAST."""

from __future__ import annotations

import sys

from celery import Celery
from opentelemetry import baggage, context, trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

from tests.frameworks.enqueuers.orders import job


def main() -> None:
    """Enqueue."""
    trace.set_tracer_provider(TracerProvider(sampler=ParentBasedTraceIdRatio(0.5)))
    CeleryInstrumentor().instrument()
    app = Celery("upstream", broker=sys.argv[1])
    for order in range(int(sys.argv[2]), int(sys.argv[3])):
        token = context.attach(baggage.set_baggage("customer", str(order)))
        with trace.get_tracer("upstream").start_as_current_span("checkout"):
            app.send_task(job(order), args=[order])
        context.detach(token)


if __name__ == "__main__":
    main()
