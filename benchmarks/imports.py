"""Claims: `import bridge` costs under 10 ms beyond OpenTelemetry's api; the pytest plugin, not used, under 5 ms a run.

`python benchmarks/imports.py [ROUNDS]`. Each measurement is a whole process, from its start to its end. Pairs are
interleaved and take turns in being first; a figure is the median of the pairs' differences, of time on the wall and of
the processor's. Other pytest plugins are left out: with a dozen of them a run varies by ten times what is measured.
Below the table is the interpreter's own account (`-X importtime`) of what each import loads.
"""

from __future__ import annotations

import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness import clean_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUNDS = 41
API = "import opentelemetry.trace, opentelemetry.context, opentelemetry.propagate"
LOADING_GOAL = 5.0
_IMPORTTIME = re.compile(r"import time:\s*(\d+) \|\s*(\d+) \|( *)(\S+)")
_PYTEST = ("-m", "pytest", "-q", "-s", "-p", "no:cacheprovider")
PAIRS: dict[str, tuple[Sequence[str], Sequence[str], float]] = {
    "import bridge": (("-c", API), ("-c", f"{API}, bridge"), 10.0),
    "the pytest plugin, not used": (_PYTEST, (*_PYTEST, "-p", "bridge.pytest_plugin"), 5.0),
}
# A whole run of pytest varies by more than the plugin costs: the same seen from inside, as an entry point loads it.
LOADING = """
import time
from _pytest.config import get_config
config = get_config()
began = time.perf_counter()
config.pluginmanager.register(__import__("bridge.pytest_plugin").pytest_plugin)
print((time.perf_counter() - began) * 1000)
"""


class Taken(NamedTuple):
    """How many milliseconds a process took, on the wall and of the processor."""

    wall: float
    processor: float


def run(arguments: Sequence[str], folder: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, without what would configure an SDK or bring other plugins."""
    environ = {**clean_environment(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPYCACHEPREFIX": folder}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is compiled is kept, as it is for who runs tests twice
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environ, check=True, text=True, **options)


def timed(arguments: Sequence[str], folder: str) -> Taken:
    """Return what a process takes."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run(arguments, folder, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(wall * 1000, processor * 1000)


def pairs(without: Sequence[str], with_it: Sequence[str], rounds: int, folder: str) -> list[tuple[Taken, Taken]]:
    """Return what both take, a pair each."""
    found = []
    for number in range(-1, rounds):
        if number % 2:
            pair = timed(without, folder), timed(with_it, folder)
        else:
            pair = (timed(with_it, folder), timed(without, folder))[::-1]
        if number >= 0:  # the round before that writes what Python compiles
            found.append(pair)
    return found


def account(arguments: Sequence[str], folder: str) -> list[str]:
    """Return what the interpreter says of the modules of the bridge that are imported, and of what they bring along."""
    done = run(("-X", "importtime", *arguments), folder, capture_output=True)
    lines, below = [], 0
    # A module is written after what it imports, so the lines are read from the last one.
    for match in map(_IMPORTTIME.match, reversed(done.stderr.splitlines())):
        if match is None:
            continue
        itself_us, total_us, depth, name = int(match[1]), int(match[2]), len(match[3]), match[4]
        if name.split(".")[0] == "bridge":
            below = below or depth
        elif not below or depth <= below:
            below = 0
            continue
        lines.append(f"  {name:32} itself {itself_us / 1000:6.2f} ms, with what it imports {total_us / 1000:6.2f} ms")
    return lines[::-1]


def main() -> None:
    """Measure both and print what came out."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        print(f"{'milliseconds':40} {'without':>8} {'more':>7} {'quartiles':>15} {'goal':>6}")
        for name, (without, with_it, goal) in PAIRS.items():
            measured = pairs(without, with_it, rounds, folder)
            for number, kind in enumerate(Taken._fields):
                alone = statistics.median(a[number] for a, _ in measured)
                low, median, high = statistics.quantiles((b[number] - a[number] for a, b in measured), n=4)
                row = f"{f'{name}: {kind}':40} {alone:8.1f} {median:7.2f} {low:7.2f}-{high:7.2f}"
                print(row, f"{goal:6.1f} {'met' if median < goal else 'MISSED'}")
        loading = [float(run(("-c", LOADING), folder, stdout=subprocess.PIPE).stdout) for _ in range(rounds + 1)][1:]
        low, median, high = statistics.quantiles(loading, n=4)
        verdict = "met" if median < LOADING_GOAL else "MISSED"
        row = f"{'the pytest plugin, seen from inside':40} {0:8.1f} {median:7.2f} {low:7.2f}-{high:7.2f}"
        print(row, f"{LOADING_GOAL:6.1f} {verdict}")
        for name, program in {"import bridge": f"{API}, bridge", "the pytest plugin": LOADING}.items():
            print(f"\n{name}: what is imported", *account(("-c", program), folder), sep="\n")


if __name__ == "__main__":
    main()
