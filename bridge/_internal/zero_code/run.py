"""`python -m bridge run`: the same Python runs the program, and sets itself up before it does.

The program is run by Python itself, not by code of ours, so `__main__`, `sys.argv`, `sys.path`, exit codes, signals and
`multiprocessing` are what they are without us. What sets up is a `sitecustomize` at the head of `PYTHONPATH`: child
processes inherit it, so reloaders and spawned workers are set up as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import bridge
from bridge._internal.options import INSTRUMENTATIONS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STARTUP = str(Path(__file__).parent / "startup")
USAGE = "python -m bridge run [PYTHON_OPTION ...] (PROGRAM | -m MODULE | -c CODE) [ARGUMENT ...]"
HELP = f"""usage: {USAGE}

Runs a program by the same Python, with everything set up before its first line: bridge.init() with what the
environment says (SENTRY_DSN, SENTRY_TRACES_SAMPLE_RATE, ...), and every instrumentation that is installed
(BRIDGE_INSTRUMENTATIONS=auto). Child processes that run the same Python are set up as well.

  python -m bridge run app.py --port 8000
  python -m bridge run -m uvicorn shop:app --workers 4
"""
_WRONG_USAGE = 2


def run_program(arguments: Sequence[str]) -> int:
    """Run a program in place of this process; returns an exit code only where that cannot be."""
    if arguments[:1] in (["-h"], ["--help"]):
        sys.stdout.write(HELP)
        return 0
    if (wrong := _complaint(arguments)) is not None:
        sys.stderr.write(f"python -m bridge run: {wrong}\n")
        return _WRONG_USAGE
    command = [sys.executable, *_interpreter_options(sys.orig_argv), *arguments]
    environ = environment(os.environ, sys.path)
    if os.name != "nt":  # where exec starts another process and ends this one
        os.execve(sys.executable, command, environ)
    return subprocess.call(command, env=environ)


def environment(environ: Mapping[str, str], path: Sequence[str]) -> dict[str, str]:
    """Return the environment of the program: everything is set up, and what is installed is instrumented."""
    there = [entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != STARTUP]
    root = str(Path(bridge.__file__).parents[1])
    # The first entry of this process's path is where it was started, which is not in the program's path.
    needed = [] if root in path[1:] else [root]
    python_path = os.pathsep.join([STARTUP, *there, *needed])
    return {INSTRUMENTATIONS_VARIABLE: "auto", **environ, "PYTHONPATH": python_path}


def _interpreter_options(argv: Sequence[str]) -> list[str]:
    """Return the options of Python's own that came before `-m bridge`."""
    for index in range(1, len(argv) - 1):
        if argv[index : index + 2] == ["-m", "bridge"]:
            return list(argv[1:index])
    return []


def _complaint(arguments: Sequence[str]) -> str | None:
    if not arguments:
        return f"which program? {USAGE}"
    if sys.flags.ignore_environment or sys.flags.no_site:
        return "options -E, -I and -S of Python keep it from being set up"
    program = arguments[0]
    if not program.startswith("-") and not Path(program).exists():
        return f"there is no file {program!r}; a module is run by: python -m bridge run -m {Path(program).name}"
    return None
