"""Claim: `end()` of a root with 1000 children returns in under 50 us of the caller's time.

`python benchmarks/end_of_root.py [ROUNDS]`, with the dependency group `bench`, beside sentry-sdk's `finish()`. Each is
in a process of its own in each round, with a transport that only counts; what an end leaves to do is waited for before
the next root.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

from harness import in_own_process

if TYPE_CHECKING:
    from collections.abc import Callable

    Root = Callable[[int], Callable[[], object]]
    Flush = Callable[[], object]
    Receive = Callable[[int], None]
    Samples = dict[str, list[float]]

ROUNDS = 5
# Children of a root -> roots that are ended in a round.
SIZES = {10: 400, 100: 200, 1000: 40, 100_000: 2}
MAX_SPANS = 200_000
WARM_UP = 20
TIMEOUT_S = 120.0
NEIGHBOURS = ("bridge", "sentry-sdk")
GOAL_CHILDREN, GOAL_US = 1000, 50.0
DSN = f"http://{'b' * 32}@127.0.0.1:9/1"


def bridge_neighbour(receive: Receive) -> tuple[Root, Flush]:
    """Return how the bridge makes a root with its children, and how it flushes."""
    from opentelemetry.trace import set_span_in_context

    import bridge

    def count(envelope: Any) -> None:
        receive(len(envelope.items[0].payload["spans"]))

    client = bridge.init(DSN, traces_sample_rate=1.0, max_spans=MAX_SPANS, transport=count)

    def root(children: int) -> Callable[[], object]:
        span = client.tracer.start_span("checkout")
        context = set_span_in_context(span)
        for number in range(children):
            client.tracer.start_span("query", context, attributes={"shop.order": number}).end()
        return span.end

    return root, lambda: bridge.flush(TIMEOUT_S)


def sentry_neighbour(receive: Receive) -> tuple[Root, Flush]:
    """Return how sentry-sdk makes a root with its children, and how it flushes."""
    import sentry_sdk
    from sentry_sdk.transport import Transport

    class CountingTransport(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            receive(len(envelope.get_transaction_event()["spans"]))

    sentry_sdk.init(DSN, traces_sample_rate=1.0, transport=CountingTransport, _experiments={"max_spans": MAX_SPANS})

    def root(children: int) -> Callable[[], object]:
        transaction = sentry_sdk.start_transaction(op="task", name="checkout")
        for number in range(children):
            with transaction.start_child(op="db", name="query") as span:
                span.set_data("shop.order", number)
        return transaction.finish

    return root, lambda: sentry_sdk.flush(TIMEOUT_S)


def measure(neighbour: str) -> dict[str, Samples]:
    """Return by the number of children how long the end of each root took, in microseconds."""
    received: list[int] = []
    root, flush = (bridge_neighbour if neighbour == "bridge" else sentry_neighbour)(received.append)
    found: dict[str, Samples] = {}
    for _ in range(WARM_UP):
        root(10)()
        flush()
    for children, count in SIZES.items():
        samples = found[str(children)] = {"elapsed": [], "CPU": []}
        received.clear()
        for _ in range(count):
            end = root(children)
            cpu, elapsed = time.thread_time_ns(), time.perf_counter_ns()
            end()
            elapsed, cpu = time.perf_counter_ns() - elapsed, time.thread_time_ns() - cpu
            samples["elapsed"].append(elapsed / 1000)
            samples["CPU"].append(cpu / 1000)
            flush()
        if received != [children] * count:
            raise SystemExit(f"{neighbour}: of {count} roots of {children} children, {received} children came")
    return found


def main(rounds: int) -> None:
    """Print the table."""
    found: dict[tuple[str, int, str], list[float]] = {}
    for round_number in range(rounds):
        for neighbour in NEIGHBOURS if round_number % 2 else reversed(NEIGHBOURS):
            for children, samples in in_own_process(__file__, neighbour).items():
                for clock, values in samples.items():
                    found.setdefault((neighbour, int(children), clock), []).extend(values)
    print("end of a root on the caller's thread, in us")
    heading = "".join(f"{name:>12} {'quartiles':>22}" for name in NEIGHBOURS)
    print(f"{'children, clock':18}{heading} {'ratio':>8} {'goal':>6}")
    for children in SIZES:
        for clock in ("elapsed", "CPU"):
            line, medians = "", []
            for neighbour in NEIGHBOURS:
                low, median, high = statistics.quantiles(found[neighbour, children, clock], n=4)
                medians.append(median)
                line += f"{median:12.1f} {f'{low:.1f}-{high:.1f}':>22}"
            verdict = (
                f"{GOAL_US:6.0f} {'met' if medians[0] < GOAL_US else 'MISSED'}" if children == GOAL_CHILDREN else ""
            )
            print(f"{f'{children}, {clock}':18}{line} {medians[1] / medians[0]:8.1f} {verdict}")


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in NEIGHBOURS:
        print(json.dumps(measure(sys.argv[1])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
