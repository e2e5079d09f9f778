"""OpenTelemetry's own context suites pass on our runtime context, as many as on theirs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.suites.sources import suite_of

SUITES = {"opentelemetry-api": "tests/context", "opentelemetry-sdk": "tests/context"}


def run_suite(folder: Path, tests: str, runtime_context: str) -> tuple[int, int]:
    """Run a suite; returns how many tests passed and how often the runtime context was attached to."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "runtime_context_plugin", "-p", "no:cacheprovider", tests],
        cwd=folder,
        env={**os.environ, "RUNTIME_CONTEXT": runtime_context, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    attached = re.search(r"runtime context: (\d+) attached", done.stdout)
    assert passed is not None
    assert attached is not None
    return int(passed[1]), int(attached[1])


@pytest.mark.neighbour
@pytest.mark.suite
@pytest.mark.parametrize("package", SUITES)
def test_the_context_suite_passes(package: str) -> None:
    """The same number of tests, and our runtime context was really the one that they used."""
    folder = suite_of(package)
    passed, attached = run_suite(folder, SUITES[package], "bridge")
    assert (passed, attached) == run_suite(folder, SUITES[package], "stock")
    assert passed > 0
    assert attached > 0
