"""Claim: reading and writing our headers costs less than OpenTelemetry's W3C propagators cost on the same headers.

`python benchmarks/propagation.py [ROUNDS]`
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from harness import interleaved, table
from opentelemetry import context as context_api
from opentelemetry import propagate
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import bridge

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.propagators.textmap import TextMapPropagator

CALLS, ROUNDS = 1_000, int(sys.argv[1]) if len(sys.argv) > 1 else 41
T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"
DSC = {
    "trace_id": T,
    "public_key": "b1946ac92492d2347c6235b4d2611184",
    "sample_rate": "0.25",
    "sample_rand": "0.123456",
    "sampled": "true",
    "release": "shop%401.2.3",
    "environment": "production",
    "org_id": "1234",
    "transaction": "GET%20%2Fcheckout",
    "replay_id": "0123456789abcdef0123456789abcdef",
}
OTHERS = ",".join(f"key{n}=value{n}" for n in range(20))


def headers(*members: str) -> dict[str, str]:
    """Return what a Sentry SDK and an OpenTelemetry one send together."""
    found = {
        "host": "shop.example",
        "accept": "*/*",
        "user-agent": "python/3",
        "content-type": "application/json",
        "sentry-trace": f"{T}-{S}-1",
        "traceparent": f"00-{T}-{S}-01",
        "tracestate": "vendor=abc",
    }
    return {**found, "baggage": ",".join(filter(None, members))} if any(members) else found


CASES = {
    "no baggage": headers(),
    "DSC of 10": headers(",".join(f"sentry-{key}={value}" for key, value in DSC.items())),
    "DSC + 20 others": headers(",".join(f"sentry-{key}={value}" for key, value in DSC.items()), OTHERS),
}


def extract(propagator: TextMapPropagator, carrier: dict[str, str]) -> Callable[[int], None]:
    """Return the work of a server."""

    def work(calls: int) -> None:
        for _ in range(calls):
            propagator.extract(carrier)

    return work


def inject(propagator: TextMapPropagator, context: Context) -> Callable[[int], None]:
    """Return the work of a client within a span."""

    def work(calls: int) -> None:
        token = context_api.attach(context)
        for _ in range(calls):
            propagator.inject({"host": "stock.example", "accept": "*/*", "user-agent": "python/3"})
        context_api.detach(token)

    return work


def within_span(propagator: TextMapPropagator, provider: TracerProvider, carrier: dict[str, str]) -> Context:
    """Return the Context of a span that continues these headers."""
    context = propagator.extract(carrier)
    with provider.get_tracer("t").start_as_current_span("request", context=context):
        from opentelemetry import trace

        return trace.set_span_in_context(trace.get_current_span(), context)


def main() -> None:
    """Print the tables."""
    stock = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
    provider = TracerProvider(shutdown_on_exit=False)
    client = bridge.init("http://key@127.0.0.1:9/1", traces_sample_rate=1.0, transport=lambda envelope: None)
    ours = propagate.get_global_textmap()
    written, read = {}, {}
    for name, carrier in CASES.items():
        contexts = (
            within_span(stock, provider, carrier),
            within_span(ours, client.tracer_provider, carrier),  # type: ignore[arg-type]  # it is an SDK provider
        )
        candidates = {"W3C": inject(stock, contexts[0]), "ours": inject(ours, contexts[1])}
        written[name] = interleaved(candidates, calls=CALLS, rounds=ROUNDS)
        candidates = {"W3C": extract(stock, carrier), "ours": extract(ours, carrier)}
        read[name] = interleaved(candidates, calls=CALLS, rounds=ROUNDS)
    print(table("inject, ratio to OpenTelemetry's W3C propagators", written, {"DSC of 10: ours": 0.5}))
    print(table("extract, ratio to OpenTelemetry's W3C propagators", read, {"DSC of 10: ours": 0.7}))
    bridge.close()


if __name__ == "__main__":
    main()
