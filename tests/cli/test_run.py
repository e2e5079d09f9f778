"""`python -m bridge run`: the program is what Python alone would make of it, and everything is set up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge._internal.demo.receiver import Receiver
from tests.integrations.distributions import make_instrumentor, make_library

pytestmark = pytest.mark.programs

RUN = ("-m", "bridge", "run")
LOOKS_AROUND = """
import json, sys
import helper
main = sys.modules["__main__"]
json.dump({
    "argv": sys.argv, "orig_argv": sys.orig_argv[1:], "path": sys.path[0], "name": __name__, "file": main.__file__,
    "spec": getattr(main.__spec__, "name", None), "package": main.__package__, "is_main": main.__dict__ is globals(),
    "dev": sys.flags.dev_mode, "input": sys.stdin.read(), "helper": helper.__name__,
}, sys.stdout)
"""
TRACED = """
import shelf
from opentelemetry import trace
with trace.get_tracer("shop").start_as_current_span("work"):
    shelf.read()
"""


def python(*arguments: str, cwd: Path, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("SENTRY_", "OTEL_", "BRIDGE_I"))
    }
    return subprocess.run(
        [sys.executable, *arguments],
        env={**environ, **variables},
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a program as a script, a package, and a folder that can be run."""
    for name in ("script.py", "package/__main__.py", "package/module.py", "runnable/__main__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(LOOKS_AROUND)
    (tmp_path / "package/__init__.py").touch()
    for place in (".", "runnable"):
        (tmp_path / place / "helper.py").touch()
    return tmp_path


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """What the programs send to."""
    with Receiver() as receiver:
        yield receiver


def spans_of(receiver: Receiver) -> dict[str, list[str]]:
    """Return the spans of each transaction that came, by its name."""
    payloads: list[Any] = [item.payload for envelope in receiver.envelopes for item in envelope.items]
    return {p["transaction"]: [span["description"] for span in p["spans"]] for p in payloads if "transaction" in p}


@pytest.mark.parametrize(
    "program",
    [
        ["script.py"],
        ["script.py", "-m", "--flag", "run", "a b"],
        ["-m", "package", "-x"],
        ["-m", "package.module", "run"],
        ["runnable", "1"],
        ["-c", LOOKS_AROUND.replace("main.__file__", "None"), "-c"],
        ["-X", "dev", "script.py", "1"],
    ],
    ids=str,
)
def test_a_program_sees_what_it_would_see_without(folder: Path, program: list[str]) -> None:
    """Arguments, `__main__`, the path, standard input and Python's options are the same as with `python PROGRAM`."""
    alone = python(*program, cwd=folder, stdin="typed")
    run = python(*RUN, *program, cwd=folder, stdin="typed")
    assert (run.returncode, run.stderr) == (alone.returncode, alone.stderr) == (0, "")
    assert json.loads(run.stdout) == json.loads(alone.stdout)


def test_options_of_python_before_are_the_programs(folder: Path) -> None:
    """`python -X dev -W error -m bridge run` runs the program with these options."""
    done = python("-X", "dev", "-W", "error", *RUN, "script.py", cwd=folder)
    assert json.loads(done.stdout)["dev"] is True
    assert json.loads(done.stdout)["orig_argv"] == ["-X", "dev", "-W", "error", "script.py"]


@pytest.mark.parametrize(
    "ending",
    [
        "raise SystemExit(7)",
        "raise SystemExit('why')",
        "1 / 0",
        "import os; os._exit(3)",
        "raise KeyboardInterrupt",
        "(",
    ],
)
def test_a_program_ends_as_it_would_without(folder: Path, ending: str) -> None:
    """Exit codes, tracebacks and what is written to standard error are Python's own."""
    (folder / "ending.py").write_text(ending)
    alone, run = python("ending.py", cwd=folder), python(*RUN, "ending.py", cwd=folder)
    assert (run.returncode, run.stdout, run.stderr) == (alone.returncode, alone.stdout, alone.stderr)


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
def test_a_signal_reaches_the_program(folder: Path) -> None:
    """There is no process in between: who started it can stop it."""
    (folder / "waits.py").write_text("import signal\nprint('ready', flush=True)\nsignal.pause()\n")
    command = [sys.executable, *RUN, "waits.py"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.wait(30) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ([*RUN], "which program?"),
        ([*RUN, "uvicorn"], "there is no file 'uvicorn'; a module is run by: python -m bridge run -m uvicorn"),
    ],
)
def test_a_wrong_command_is_told(folder: Path, command: list[str], says: str) -> None:
    """No program, or one that does not exist, ends with code 2 and a sentence that helps."""
    done = python(*command, cwd=folder)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["-E", "-I"])
def test_an_interpreter_that_cannot_be_set_up(folder: Path, option: str) -> None:
    """Python's options that ignore the environment are refused, and not silently without effect."""
    done = python(option, *RUN, "script.py", cwd=folder)
    assert done.returncode == 2
    assert "options -E, -I and -S" in done.stderr


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a program that uses OpenTelemetry's API and a library that has an instrumentor."""
    pytest.importorskip("opentelemetry.instrumentation", reason="OpenTelemetry's instrumentations are not installed")
    make_library(tmp_path)
    make_instrumentor(tmp_path)
    (tmp_path / "shop.py").write_text(TRACED)
    return tmp_path


def variables(receiver: Receiver, shop: Path) -> dict[str, str]:
    """Return the environment of a program that sends to the receiver."""
    return {"SENTRY_DSN": receiver.dsn, "SENTRY_TRACES_SAMPLE_RATE": "1.0", "PYTHONPATH": str(shop)}


def test_everything_is_set_up(receiver: Receiver, shop: Path) -> None:
    """Spans of an unchanged program and of what is instrumented arrive."""
    done = python(*RUN, "shop.py", cwd=shop, **variables(receiver, shop))
    assert done.returncode == 0, done.stderr
    assert spans_of(receiver) == {"work": ["read"]}


def test_init_in_code_keeps_what_is_instrumented(receiver: Receiver, shop: Path) -> None:
    """A program that calls init itself has its own client, and instrumentations as well."""
    (shop / "own.py").write_text("import bridge\nbridge.init(traces_sample_rate=1.0, environment='own')\n" + TRACED)
    done = python(*RUN, "own.py", cwd=shop, **variables(receiver, shop))
    assert done.returncode == 0, done.stderr
    assert spans_of(receiver) == {"work": ["read"]}
    assert receiver.envelopes[0].headers["trace"]["environment"] == "own"


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_workers_of_multiprocessing_are_set_up(receiver: Receiver, shop: Path, method: str) -> None:
    """However a pool starts its processes, functions of the program are found there and what they do is traced."""
    if os.name == "nt" and method != "spawn":
        pytest.skip("there is no fork here")
    (shop / "pool.py").write_text(
        f"""
import multiprocessing
def work(number):
    import bridge, shelf
    from opentelemetry import trace
    with trace.get_tracer("shop").start_as_current_span(f"job {{number}}"):
        shelf.read()
    return bridge.flush(10)
if __name__ == "__main__":
    with multiprocessing.get_context("{method}").Pool(1) as pool:
        print(pool.map(work, [1, 2]))
        pool.close()
        pool.join()
"""
    )
    done = python(*RUN, "pool.py", cwd=shop, **variables(receiver, shop))
    assert (done.returncode, done.stdout) == (0, "[True, True]\n"), done.stderr
    assert spans_of(receiver) == {"job 1": ["read"], "job 2": ["read"]}


def test_child_processes_are_set_up(receiver: Receiver, shop: Path) -> None:
    """A reloader or a worker that the program starts as another Python is set up too."""
    (shop / "parent.py").write_text("import subprocess, sys\nsubprocess.run([sys.executable, 'shop.py'], check=True)\n")
    done = python(*RUN, "parent.py", cwd=shop, **variables(receiver, shop))
    assert done.returncode == 0, done.stderr
    assert spans_of(receiver) == {"work": ["read"]}


def test_a_python_without_bridge_is_left_alone(tmp_path: Path) -> None:
    """A child of the program that is run by a Python which has no bridge works, and says nothing."""
    hides = "import os, sys\nif 'BARE' in os.environ:\n    sys.path[:] = [p for p in sys.path if {keeps}]\n"
    keeps = "'site-packages' not in p and not os.path.isdir(p + '/bridge')"
    (tmp_path / "sitecustomize.py").write_text(hides.format(keeps=keeps))
    (tmp_path / "parent.py").write_text(
        "import os, subprocess, sys\n"
        "child = [sys.executable, '-c', 'import bridge']\n"
        "sys.exit(subprocess.run(child, env={**os.environ, 'BARE': '1'}).returncode)\n"
    )
    done = python(*RUN, "parent.py", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'bridge'"
    assert "cannot be set up" not in done.stderr


def test_a_sitecustomize_of_the_users_is_imported(shop: Path, receiver: Receiver) -> None:
    """The `sitecustomize` that Python would import without us is imported, and may fail as it would."""
    (shop / "sitecustomize.py").write_text("print('mine')\n")
    (shop / "whose.py").write_text("import sitecustomize\nprint(sitecustomize.__file__)\n" + TRACED)
    done = python(*RUN, "whose.py", cwd=shop, **variables(receiver, shop))
    assert done.stdout.splitlines()[-2:] == ["mine", str(shop / "sitecustomize.py")]
    (shop / "sitecustomize.py").write_text("1 / 0\n")
    done = python(*RUN, "shop.py", cwd=shop, **variables(receiver, shop))
    assert done.returncode == 0
    assert "ZeroDivisionError" in done.stderr
    assert spans_of(receiver) == {"work": ["read"]}
    assert len(receiver.envelopes) == 2


def test_run_inside_run(shop: Path, receiver: Receiver) -> None:
    """A program that is run by a program that is run is set up once."""
    done = python(*RUN, *RUN, "shop.py", cwd=shop, **variables(receiver, shop))
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["loaded", "instrumented", "uninstrumented"]
    assert spans_of(receiver) == {"work": ["read"]}


def test_a_wrong_variable_does_not_stop_the_program(shop: Path) -> None:
    """With a broken DSN the program runs, and the log names the variable."""
    done = python(*RUN, "-c", "print('ran')", cwd=shop, SENTRY_DSN="nonsense")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert done.stderr.startswith("a variable of the environment is ignored: bridge.init: option 'dsn (SENTRY_DSN)'")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_the_commands_own(tmp_path: Path, option: str) -> None:
    """Not Python's."""
    done = python(*RUN, option, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: python -m bridge run ")
    assert "python -m bridge run -m uvicorn shop:app" in done.stdout
