"""Programs in processes of their own that print what `check_setup` returns there."""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.doctor.nursery import Nursery

DSN = "http://public@127.0.0.1:9/1"
INIT = f'import bridge\nbridge.init("{DSN}", traces_sample_rate=1.0)\n'
FORGOTTEN = ("SENTRY_", "OTEL_", "DD_", "LOGFIRE_", "BRIDGE_", "PYTHONPATH", "PYTHONSAFEPATH")
PRINT_DIAGNOSIS = """
import json as _json
import bridge as _bridge
from bridge._internal.doctor.diagnosis import diagnose as _diagnose
from bridge._internal.guard import reraise_faults as _reraise_faults
_reraise_faults(True)
_diagnoses = [_bridge.check_setup(), _diagnose()]
print("DIAGNOSIS " + _json.dumps([[[p.severity, p.code, p.what, p.why, p.fix] for p in ps] for ps in _diagnoses]))
"""


def clean_environment(**variables: str) -> dict[str, str]:
    """Return an environment without variables about tracing, except those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FORGOTTEN)}
    return {**kept, **variables}


def run(
    arguments: list[str], cwd: Path, *, python: str | Path = sys.executable, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments."""
    return subprocess.run(
        [str(python), *arguments],
        cwd=cwd,
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def diagnosed(
    program: str, folder: Path, *, python: str | Path = sys.executable, **variables: str
) -> tuple[list[list[str]], list[list[str]]]:
    """Run a program in a folder and a process; returns what check_setup and the whole diagnosis say at its end."""
    if variables or str(python) != sys.executable or not hasattr(os, "fork"):
        file = folder / "the_program.py"
        file.write_text(program + PRINT_DIAGNOSIS)
        done = run([str(file)], folder, python=python, **variables)
        written = done.stdout + done.stderr
    else:
        written = _nursery().run(program + PRINT_DIAGNOSIS, folder)
    lines = [line for line in written.splitlines() if line.startswith("DIAGNOSIS ")]
    assert lines, written
    checked, everything = json.loads(lines[-1].removeprefix("DIAGNOSIS "))
    return checked, everything


@functools.cache
def _nursery() -> Nursery:
    started = Nursery(clean_environment())
    atexit.register(started.close)
    return started


def codes(problems: list[list[str]]) -> list[str]:
    """Return the codes of problems."""
    return [problem[1] for problem in problems]
