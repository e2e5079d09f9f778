"""Claim: what a span costs does not grow: with tasks, threads, open spans, depth or the size of the trace.

`python benchmarks/scaling.py [--plot FILE]`; the plot needs the dependency group `bench`.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry.context.context import Context
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

import bridge

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
GOAL = 1.5


def tasks(start: Any, number: int) -> int:
    """Run so many asyncio tasks at once, each with ten spans; returns how many spans that were."""

    async def task() -> None:
        with start("task"):
            for _ in range(9):
                with start("step"):
                    pass
                await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(task() for _ in range(number)))

    asyncio.run(main())
    return 10 * number


def threads(start: Any, number: int) -> int:
    """Run so many threads at once; the work is the same in all."""
    each = 4000 // number

    def work() -> None:
        with start("root"):
            for _ in range(each):
                with start("child"):
                    pass

    running = [threading.Thread(target=work) for _ in range(number)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return number * (each + 1)


def open_spans(start: Any, number: int) -> int:
    """Make spans while so many roots are open."""
    held = [start("open") for _ in range(number)]
    for one in held:
        token = context_api.attach(Context())
        one.__enter__()
        context_api.attach(Context())
        del token
    began = time.perf_counter()
    with start("root"):
        for _ in range(2000):
            with start("child"):
                pass
    open_spans.seconds = time.perf_counter() - began  # type: ignore[attr-defined]
    return 2001


def depth(start: Any, number: int) -> int:
    """Nest spans so deep."""
    times = max(1, 1000 // number)
    for _ in range(times):
        blocks = [start(f"level {level}") for level in range(number)]
        for block in blocks:
            block.__enter__()
        for block in reversed(blocks):
            block.__exit__(None, None, None)
    return times * number


def size(start: Any, number: int) -> int:
    """Make a trace of so many spans."""
    with start("root"):
        for _ in range(number - 1):
            with start("child"):
                pass
    return number


AXES: dict[str, tuple[Callable[[Any, int], int], tuple[int, ...]]] = {
    "tasks": (tasks, (100, 1000, 10_000)),
    "threads": (threads, (1, 2, 4, 8)),
    "open spans": (open_spans, (1, 100, 5000)),
    "depth": (depth, (1, 10, 100, 1000)),
    "spans of a trace": (size, (1000, 10_000, 100_000)),
}


class NoProcessor(SpanProcessor):
    """Does nothing."""


def microseconds(work: Callable[[Any, int], int], start: Any, number: int) -> float:
    """Return what a span costs, wall time, in microseconds."""
    token = context_api.attach(Context())
    open_spans.seconds = None  # type: ignore[attr-defined]
    began = time.perf_counter()
    spans = work(start, number)
    seconds = open_spans.seconds or time.perf_counter() - began  # type: ignore[attr-defined]
    context_api.detach(token)
    return seconds / spans * 1e6


def main() -> None:
    """Print the table, and draw it."""
    client = bridge.init(
        "http://public@127.0.0.1:9/1", traces_sample_rate=1.0, max_spans=200_000, transport=lambda envelope: None
    )
    # Ten thousand roots at once overflow the queue; what is then not sampled would make the spans after it look cheap.
    client.sender.backpressure.next_check = math.inf
    bare = TracerProvider(shutdown_on_exit=False)
    bare.add_span_processor(NoProcessor())
    starts = {
        "bridge": client.tracer_provider.get_tracer("t").start_as_current_span,
        "bare SDK": bare.get_tracer("t").start_as_current_span,
    }
    curves: dict[str, dict[str, list[float]]] = {}
    print(f"{'':18} {'':10} us a span at each size{'':26} last to first")
    for axis, (work, sizes) in AXES.items():
        curves[axis] = {}
        for name, start in starts.items():
            curve = []
            for number in sizes:
                rounds = []
                for _ in range(ROUNDS):
                    rounds.append(microseconds(work, start, number))
                    bridge.flush(60)
                curve.append(statistics.median(rounds))
            curves[axis][name] = curve
            growth = curve[-1] / curve[0]
            verdict = "" if name != "bridge" else f"{GOAL} {'met' if growth <= GOAL else 'MISSED'}"
            points = "  ".join(f"{number}: {cost:.1f}" for number, cost in zip(sizes, curve, strict=True))
            print(f"{axis:18} {name:10} {points:48} {growth:5.2f} {verdict}")
    bridge.close()
    if "--plot" in sys.argv:
        plot(curves, sys.argv[sys.argv.index("--plot") + 1])


def plot(curves: dict[str, dict[str, list[float]]], file: str) -> None:
    """Draw a panel for each axis."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.fonttype"] = "none"  # text as text: a third of the file
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(curves), figsize=(3 * len(curves), 3), sharey=True)
    for panel, (axis, lines) in zip(panels, curves.items(), strict=True):
        for name, curve in lines.items():
            panel.plot(AXES[axis][1], curve, marker="o", label=name)
        panel.set_xscale("log")
        panel.set_ylim(bottom=0)
        panel.set_xlabel(axis)
    panels[0].set_ylabel("microseconds a span")
    panels[0].legend()
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
