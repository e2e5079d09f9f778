"""Claim: a request of 1 + 20 spans costs the thread that serves it less than with the bare OpenTelemetry SDK.

`python benchmarks/request.py [ROUNDS]`. What an ASGI or WSGI instrumentation does, without the framework: headers are
extracted, a SERVER span with eight attributes is active around 20 children of two attributes each, and the headers of
one outgoing request are injected. CPU of the serving thread; the bare SDK has one processor that does nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from harness import table
from opentelemetry import propagate
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from spans import bare, client, of_calling_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.propagators.textmap import TextMapPropagator

CALLS, ROUNDS = 100, 21
ATTRIBUTES: dict[str, Any] = {
    "http.request.method": "GET",
    "url.scheme": "https",
    "url.path": "/checkout",
    "server.address": "shop.example",
    "server.port": 443,
    "client.address": "192.0.2.7",
    "user_agent.original": "python/3",
    "network.protocol.version": "1.1",
}
TRACE, SPAN = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"
BAGGAGE = f"sentry-trace_id={TRACE},sentry-sample_rate=0.25,sentry-sample_rand=0.123456,sentry-environment=production"


def headers(sampled: bool) -> dict[str, str]:
    """Return what a service of the bridge sends."""
    flag = int(sampled)
    told = f"{BAGGAGE},sentry-sampled={str(sampled).lower()}"
    return {
        "host": "shop.example",
        "sentry-trace": f"{TRACE}-{SPAN}-{flag}",
        "traceparent": f"00-{TRACE}-{SPAN}-0{flag}",
        "baggage": told,
    }


def serve(tracer: Tracer, propagator: TextMapPropagator, sampled: bool) -> Callable[[int], None]:
    """Return the work of a server."""
    came = headers(sampled)

    def run(calls: int) -> None:
        for _ in range(calls):
            context = propagator.extract(came)
            kind = SpanKind.SERVER
            with tracer.start_as_current_span(
                "GET /checkout", context=context, kind=kind, attributes=ATTRIBUTES
            ) as span:
                for number in range(20):
                    with tracer.start_as_current_span("step") as step:
                        step.set_attribute("number", number)
                        step.set_attribute("table", "carts")
                propagator.inject({})
                span.set_attribute("http.response.status_code", 200)

    return run


def request(sampled: bool, rounds: int) -> dict[str, list[float]]:
    """Return the ratios of the bridge to the bare SDK."""
    w3c = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
    theirs = bare().get_tracer("t")  # its sampler goes by the parent
    ours = client(1.0).tracer_provider.get_tracer("t")
    candidates = {
        "bare SDK": serve(theirs, w3c, sampled),
        "bridge": serve(ours, propagate.get_global_textmap(), sampled),
    }
    return of_calling_thread(candidates, CALLS, rounds)


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    rows = {"sampled": request(True, rounds), "unsampled": request(False, rounds)}
    goals = {"sampled: bridge": 0.25, "unsampled: bridge": 0.30}
    print(table("A request of 1 + 20 spans, ratio to the bare OpenTelemetry SDK", rows, goals))


if __name__ == "__main__":
    main()
