"""What was recorded is sent before a process ends, whoever started it and whichever way it leaves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.sink import Sink

ROOT = Path(__file__).parents[2]
PROGRAM = """
import multiprocessing, sys, warnings
from concurrent.futures import ProcessPoolExecutor
import bridge

warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 advises against forking with threads

def set_up():
    bridge.init(sys.argv[1], traces_sample_rate=1.0, shutdown_timeout=30)

def work(number):
    with bridge.start_span(f"job {number}"):
        pass

def set_up_and_work(number):
    set_up()
    work(number)

if __name__ == "__main__":
    _, _, method, where, kind = sys.argv
    context = multiprocessing.get_context(method)
    inside = where == "child"
    if not inside:
        set_up()
        work(2)
    if kind == "process":
        children = [context.Process(target=set_up_and_work if inside else work, args=(n,)) for n in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join()
            assert child.exitcode == 0
    else:
        with ProcessPoolExecutor(2, mp_context=context, initializer=set_up if inside else None) as pool:
            list(pool.map(work, range(2)))
"""


@pytest.fixture
def sink() -> Iterator[Sink]:
    """Where the programs send to."""
    with Sink() as sink:
        yield sink


@pytest.mark.parametrize("kind", ["process", "pool"])
@pytest.mark.parametrize(
    ("method", "where"), [("fork", "parent"), ("fork", "child"), ("spawn", "child"), ("forkserver", "child")]
)
def test_children_of_multiprocessing_send_what_they_recorded(
    sink: Sink, tmp_path: Path, method: str, where: str, kind: str
) -> None:
    """A child that a program with the bridge forked, and one that sets it up itself, lose nothing at their end."""
    if method != "spawn" and sys.platform == "win32":
        pytest.skip("the platform has no fork")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program), str(sink.dsn), method, where, kind],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    names = [item.payload["transaction"] for e in sink.envelopes for item in e.items if item.type == "transaction"]
    assert sorted(names) == ["job 0", "job 1", "job 2"][: 2 if where == "child" else 3]


def test_handlers_of_the_users_run_before_the_end(sink: Sink, tmp_path: Path) -> None:
    """What a program records in an exit handler that it registered after `init` is sent too."""
    program = tmp_path / "program.py"
    program.write_text(
        """
import atexit, sys
import bridge
bridge.init(sys.argv[1], traces_sample_rate=1.0, shutdown_timeout=30)

def work(name):
    with bridge.start_span(name):
        pass

work("first")  # Python 3.12 starts no thread in an exit handler
atexit.register(work, "last")
import multiprocessing.util
"""
    )
    subprocess.run([sys.executable, str(program), str(sink.dsn)], env={"PYTHONPATH": str(ROOT)}, timeout=30, check=True)
    assert [envelope.items[0].payload["transaction"] for envelope in sink.envelopes] == ["first", "last"]
