"""How benchmarks measure: ratios, interleaved in one process or in one run, medians over rounds."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def interleaved(
    candidates: Mapping[str, Callable[[int], None]],
    *,
    calls: int,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    settle: Callable[[], object] = bool,
) -> dict[str, list[float]]:
    """Run each candidate once a round, in turn; returns each one's ratios to the first, a round each.

    With `time.thread_time` as the clock only what the caller's own thread does is counted. `settle` runs after each,
    not timed: what one leaves to other threads must not burden the next.
    """
    for candidate in candidates.values():
        candidate(calls // 10 + 1)
    ratios: dict[str, list[float]] = {name: [] for name in candidates}
    names = list(candidates)
    for round_number in range(rounds):
        seconds = {}
        turn = round_number % len(names)
        for name in names[turn:] + names[:turn]:
            began = clock()
            candidates[name](calls)
            seconds[name] = clock() - began
            settle()
        for name in names:
            ratios[name].append(seconds[name] / seconds[names[0]])
    return ratios


_CONFIGURATION = ("SENTRY_", "OTEL_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would configure an SDK or put a proxy before a sink."""
    return {key: value for key, value in os.environ.items() if not key.upper().startswith(_CONFIGURATION)}


def in_own_process(program: str, *arguments: str) -> Any:
    """Run a program in a process of its own; returns what it prints as JSON on its last line."""
    command = [sys.executable, program, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=clean_environment())
    return json.loads(done.stdout.splitlines()[-1])


def table(
    title: str, rows: Mapping[str, dict[str, list[float]]], goals: Mapping[str, float], *, at_least: bool = False
) -> str:
    """Return a table of medians and quartiles, with the goal, an upper or a lower bound, and whether it was met."""
    lines = [title, f"{'':44} {'median':>7} {'quartiles':>15} {'goal':>6}"]
    for row, ratios in rows.items():
        for name, values in ratios.items():
            low, median, high = statistics.quantiles(values, n=4)
            goal = goals.get(f"{row}: {name}")
            met = goal is not None and (median >= goal if at_least else median <= goal)
            verdict = "" if goal is None else f"{goal:6.2f} {'met' if met else 'MISSED'}"
            lines.append(f"{row + ': ' + name:44} {median:7.3f} {low:7.3f}-{high:7.3f} {verdict}")
    return "\n".join(lines)
