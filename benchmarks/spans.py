"""Claim: spans of the bridge cost a quarter of what the bare OpenTelemetry SDK's cost, whichever API starts them.

`python benchmarks/spans.py [ROUNDS]`. The bare SDK has one processor that does nothing; the bridge has a transport that
does nothing, and what its worker does is not counted here (benchmarks/export.py does).
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from harness import interleaved, table
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context.context import Context
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

import bridge

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS, ROUNDS = 400, 21
ATTRIBUTES: dict[str, Any] = {f"key{n}": n if n % 2 else f"value {n}" for n in range(10)}


def with_root(start: Any, work: Callable[[Any, int], None]) -> Callable[[int], None]:
    """Return the work done below an open root, which is a new one each time."""

    def run(calls: int) -> None:
        token = context_api.attach(Context())
        with start("root"):
            work(start, calls)
        context_api.detach(token)

    return run


def child(start: Any, calls: int) -> None:
    """Start, activate and end children."""
    for _ in range(calls):
        with start("child"):
            pass


def ten_attributes(start: Any, calls: int) -> None:
    """Set ten attributes on a child."""
    for _ in range(calls):
        with start("child") as span:
            for key, value in ATTRIBUTES.items():
                span.set_attribute(key, value)


def given_attributes(start: Any, calls: int) -> None:
    """Start a child with ten attributes."""
    for _ in range(calls):
        with start("child", attributes=ATTRIBUTES):
            pass


def one_event(start: Any, calls: int) -> None:
    """Add an event to a child."""
    for _ in range(calls):
        with start("child") as span:
            span.add_event("happened", {"n": 1})


def one_exception(start: Any, calls: int) -> None:
    """Record an exception on a child."""
    for _ in range(calls):
        with start("child") as span:
            try:
                raise LookupError("nothing there")
            except LookupError as error:
                span.record_exception(error)


def roots(start: Any) -> Callable[[int], None]:
    """Start, activate and end roots."""

    def run(calls: int) -> None:
        token = context_api.attach(Context())
        for _ in range(calls):
            with start("root"):
                pass
        context_api.detach(token)

    return run


def trees(start: Any) -> Callable[[int], None]:
    """Make trees of a root and ten children."""

    def run(calls: int) -> None:
        token = context_api.attach(Context())
        for _ in range(calls // 11 + 1):
            with start("root"):
                for _ in range(10):
                    with start("child"):
                        pass
        context_api.detach(token)

    return run


class NoProcessor(SpanProcessor):
    """Does nothing."""


def bare(sampled: bool = True) -> TracerProvider:
    """Return the SDK's provider with a processor that does nothing."""
    provider = TracerProvider(shutdown_on_exit=False, **({} if sampled else {"sampler": ParentBased(ALWAYS_OFF)}))
    provider.add_span_processor(NoProcessor())
    return provider


def client(rate: float, **options: Any) -> bridge.Client:
    """Return a client that sends to nowhere."""
    return bridge.init(
        "http://public@127.0.0.1:9/1", traces_sample_rate=rate, transport=lambda envelope: None, **options
    )


def of_calling_thread(candidates: dict[str, Callable[[int], None]], calls: int, rounds: int) -> dict[str, list[float]]:
    """Return each one's ratios to the first by CPU of the calling thread, and close the client."""
    try:
        return interleaved(candidates, calls=calls, rounds=rounds, clock=time.thread_time, settle=bridge.flush)
    finally:
        bridge.close()


def both_apis(work: Callable[[Any], Callable[[int], None]], sampled: bool, rounds: int) -> dict[str, list[float]]:
    """Return the ratios of native tracer and `start_span` to the bare SDK."""
    ours = client(1.0 if sampled else 0.0)
    candidates = {
        "bare SDK": work(bare(sampled).get_tracer("t").start_as_current_span),
        "native": work(ours.tracer_provider.get_tracer("t").start_as_current_span),
        "start_span": work(bridge.start_span),
    }
    return of_calling_thread(candidates, CALLS, rounds)


def below_root(work: Callable[[Any, int], None]) -> Callable[[Any], Callable[[int], None]]:
    """Return the work as it is done on any API, below a root."""
    return lambda start: with_root(start, work)


def adopted(sampled: bool, rounds: int) -> dict[str, list[float]]:
    """Return the ratios on a user's own provider."""
    theirs = bare(sampled)
    client(1.0, tracer_provider=theirs)
    candidates = {
        "bare SDK": with_root(bare(sampled).get_tracer("t").start_as_current_span, child),
        "native": with_root(theirs.get_tracer("t").start_as_current_span, child),
        "start_span": with_root(bridge.start_span, child),
    }
    return of_calling_thread(candidates, CALLS, rounds)


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    rows = {
        "child": both_apis(below_root(child), True, rounds),
        "root": both_apis(roots, True, rounds),
        "tree of 1 + 10": both_apis(trees, True, rounds),
        "10 attributes": both_apis(below_root(ten_attributes), True, rounds),
        "10 attributes at the start": both_apis(below_root(given_attributes), True, rounds),
        "1 event": both_apis(below_root(one_event), True, rounds),
        "1 exception": both_apis(below_root(one_exception), True, rounds),
        "unsampled child": both_apis(below_root(child), False, rounds),
        "unsampled root": both_apis(roots, False, rounds),
        "not initialised": interleaved(
            {
                "no provider": with_root(trace.NoOpTracerProvider().get_tracer("t").start_as_current_span, child),
                "start_span": with_root(bridge.start_span, child),
            },
            calls=CALLS,
            rounds=rounds,
            clock=time.thread_time,
        ),
        "adopted": adopted(True, rounds),
        "adopted, unsampled": adopted(False, rounds),
    }
    limits = {"child": 0.25, "root": 0.35, "tree of 1 + 10": 0.25, "10 attributes": 0.22, "1 event": 0.25}
    limits |= {"10 attributes at the start": 0.22, "1 exception": 0.08, "unsampled child": 0.18, "unsampled root": 0.25}
    goals = {f"{row}: {name}": limit for row, limit in limits.items() for name in ("native", "start_span")}
    goals |= {"not initialised: start_span": 0.10, "adopted: native": 1.10, "adopted: start_span": 0.95}
    goals |= {"adopted, unsampled: native": 0.90}
    print(table("Spans, ratio to the bare OpenTelemetry SDK", rows, goals))


if __name__ == "__main__":
    main()
