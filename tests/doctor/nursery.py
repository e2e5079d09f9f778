"""A process that has imported everything and set nothing up, and is forked for each program: imports are paid once.

Run as a script it takes programs as lines of JSON, and answers with what each wrote.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

_WAIT_S = 120


class Nursery:
    """The parent's side: `run` returns what a program wrote in a process of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, program: str, folder: Path) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([program, str(folder)]) + "\n")
        self._process.stdin.flush()
        assert select.select([self._process.stdout], [], [], _WAIT_S)[0], "the program did not end"
        written: str = json.loads(self._process.stdout.readline())
        return written

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(_WAIT_S)
        self._process.stdout.close()


def _serve() -> None:
    import httpx
    import opentelemetry.sdk.trace.export.in_memory_span_exporter

    from bridge._internal.doctor.checks import all_checks

    all_checks()
    assert httpx
    assert opentelemetry.sdk.trace.export.in_memory_span_exporter
    for line in sys.stdin:
        program, folder = json.loads(line)
        print(json.dumps(_forked(program, folder)), flush=True)


def _forked(program: str, folder: str) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(writing)
        os.chdir(folder)
        sys.path[0] = folder
        names: dict[str, Any] = {"__name__": "__main__"}
        try:
            exec(compile(program, "the_program.py", "exec"), names)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        written = stream.read()
    os.waitpid(child, 0)
    return written


if __name__ == "__main__":
    _serve()
