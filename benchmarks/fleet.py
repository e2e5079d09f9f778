"""Claim: a fleet of `bridge`, Sentry and OpenTelemetry services at one rate keeps each trace whole or drops it whole.

`python benchmarks/fleet.py [TRACES] [SERVICES]` runs 10 000 traces through 50 services each, prints how many were kept,
dropped and torn, and exits with 1 if one was torn. A `bridge` service is the library itself, on its own provider or
beside one of the SDK's that records everything; the two others are the rules of Sentry's and OpenTelemetry's
specifications. Neither continues what only the other's headers tell: between a Sentry and an OpenTelemetry service
there is a `bridge` one.
"""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

from opentelemetry import context as context_api
from opentelemetry import propagate
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

import bridge
from bridge.otel import SentrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable

Headers = dict[str, str]
Service = tuple[bool | None, Headers]  # whether it kept the trace (None: it only passes it on), and what it sends
RANGE = 1 << 56
ALWAYS_ON_PROVIDER = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
ALWAYS_ON_PROVIDER.add_span_processor(SentrySpanProcessor())
ALWAYS_ON_TRACER = ALWAYS_ON_PROVIDER.get_tracer("fleet")


def ids(chance: random.Random) -> tuple[str, str]:
    """Return a trace id and a span id."""
    return f"{chance.getrandbits(128):032x}", f"{chance.getrandbits(64):016x}"


def ours(headers: Headers, rate: float, chance: random.Random) -> Service:
    """Run a request through the library."""
    token = context_api.attach(propagate.extract(headers))
    out: Headers = {}
    with bridge.start_span("request") as span:
        propagate.inject(out)
    context_api.detach(token)
    return span.sampled, out


def beside(headers: Headers, rate: float, chance: random.Random) -> Service:
    """Run a request through a provider that records everything, beside which Sentry's rate decides."""
    out: Headers = {}
    with ALWAYS_ON_TRACER.start_as_current_span("request", context=propagate.extract(headers)):
        propagate.inject(out)
    return out["sentry-trace"].endswith("-1"), out


def sentry(headers: Headers, rate: float, chance: random.Random) -> Service:
    """Decide as a Sentry SDK: the flag, else `sample_rand < rate`, which a head draws."""
    trace_id, span_id = ids(chance)
    dsc = members(headers.get("baggage", ""), ",", "=", "sentry-")
    flag = ""
    if "sentry-trace" in headers:
        trace_id, _, flag = (*headers["sentry-trace"].split("-"), "")[:3]
    else:
        dsc = {"trace_id": trace_id, "sample_rand": f"{int(chance.random() * 10**6) / 10**6:.6f}"}
    sampled = flag == "1" if flag else float(dsc["sample_rand"]) < rate
    if "sample_rate" not in dsc:
        dsc |= {"sample_rate": str(rate), "sampled": str(sampled).lower()}
    return sampled, {"sentry-trace": f"{trace_id}-{span_id}-{sampled:d}", "baggage": joined(dsc, ",", "=", "sentry-")}


def sentry_without_performance(headers: Headers, rate: float, chance: random.Random) -> Service:
    """Pass a trace on as a Sentry SDK does with tracing off: it decides nothing."""
    _, out = sentry(headers, rate, chance)
    if "sentry-trace" in headers:
        flag = headers["sentry-trace"].split("-")[2:]
        return None, {
            "sentry-trace": "-".join([*out["sentry-trace"].split("-")[:2], *flag]),
            "baggage": headers["baggage"],
        }
    dsc = members(out["baggage"], ",", "=", "sentry-")
    kept = {key: value for key, value in dsc.items() if key in ("trace_id", "sample_rand")}
    return None, {
        "sentry-trace": out["sentry-trace"].rpartition("-")[0],
        "baggage": joined(kept, ",", "=", "sentry-"),
    }


def opentelemetry(headers: Headers, rate: float, chance: random.Random) -> Service:
    """Decide as OpenTelemetry's consistent probability sampler, which asks no parent: `R >= T`."""
    trace_id, span_id = ids(chance)
    if "traceparent" in headers:
        trace_id = headers["traceparent"].split("-")[1]
    state = members(headers.get("tracestate", ""), ",", "=")
    ot = members(state.pop("ot", ""), ";", ":")
    randomness = int(ot["rv"], 16) if "rv" in ot else int(trace_id, 16) % RANGE
    threshold = RANGE - round(rate * RANGE)
    sampled = randomness >= threshold
    ot.pop("th", None)
    if sampled:
        ot["th"] = f"{threshold:014x}".rstrip("0") or "0"
    state = {**({"ot": joined(ot, ";", ":")} if ot else {}), **state}
    out = {"traceparent": f"00-{trace_id}-{span_id}-{2 + sampled:02x}", "tracestate": joined(state, ",", "=")}
    return sampled, {**out, **{key: headers[key] for key in ("baggage",) if key in headers}}


def members(text: str, separator: str, equals: str, prefix: str = "") -> dict[str, str]:
    """Split a header's value."""
    pairs = (part.split(equals, 1) for part in text.split(separator) if part.startswith(prefix) and equals in part)
    return {key[len(prefix) :]: value for key, value in pairs}


def joined(found: dict[str, str], separator: str, equals: str, prefix: str = "") -> str:
    """Write a header's value."""
    return separator.join(f"{prefix}{key}{equals}{value}" for key, value in found.items())


NEXT: dict[Callable[[Headers, float, random.Random], Service], list[Callable[[Headers, float, random.Random], Service]]]
NEXT = {
    ours: [ours, beside, sentry, sentry_without_performance, opentelemetry],
    beside: [ours, beside, sentry, sentry_without_performance, opentelemetry],
    sentry: [ours, beside, sentry, sentry_without_performance],
    sentry_without_performance: [ours, beside, sentry],
    opentelemetry: [ours, beside, opentelemetry],
}


def run(traces: int, services: int, rate: float, seed: int = 1) -> dict[str, int]:
    """Return how many traces were kept, dropped and torn."""
    chance = random.Random(seed)
    outcome = {"kept": 0, "dropped": 0, "torn": 0}
    for _ in range(traces):
        service, headers, decisions = chance.choice(list(NEXT)), dict[str, str](), set[bool]()
        for _ in range(services):
            sampled, headers = service(headers, rate, chance)
            if sampled is not None:
                decisions.add(sampled)
            service = chance.choice(NEXT[service])
        outcome["torn" if len(decisions) > 1 else "kept" if True in decisions else "dropped"] += 1
    return outcome


def main(traces: int, services: int) -> int:
    """Print the outcome at several rates."""
    torn = 0
    for rate in (0.1, 0.25, 1 / 3, 0.9):
        bridge.init("http://key@127.0.0.1:9/1", traces_sample_rate=rate, transport=lambda envelope: None)
        outcome = run(traces // 4, services, rate)
        torn += outcome["torn"]
        print(f"rate {rate:8.6f}  " + "  ".join(f"{name} {count}" for name, count in outcome.items()))
        bridge.close()
    return 1 if torn else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) if len(sys.argv) == 3 else main(10_000, 50))
