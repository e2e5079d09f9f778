"""OpenTelemetry's own context suites pass on our runtime context, as many as on theirs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.interop.neighbours import FOLDER, absent

SUITES = {"opentelemetry-api": "tests/context", "opentelemetry-sdk": "tests/context"}


def suite_of(package: str) -> Path:
    """Return the tests of the installed version of a package, from its source distribution."""
    folder = FOLDER / "suites"
    folder.mkdir(parents=True, exist_ok=True)
    unpacked = folder / f"{package.replace('-', '_')}-{version(package)}"
    if not unpacked.exists():
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--no-binary",
                package,
                "--dest",
                str(folder),
                f"{package}=={version(package)}",
            ],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if done.returncode:
            absent(f"the source of {package} cannot be had: {done.stderr.strip()[-300:]}")
        with tarfile.open(f"{unpacked}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return unpacked


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
@pytest.mark.parametrize("package", SUITES)
def test_the_context_suite_passes(package: str) -> None:
    """The same number of tests, and our runtime context was really the one that they used."""
    folder = suite_of(package)
    passed, attached = run_suite(folder, SUITES[package], "bridge")
    assert (passed, attached) == run_suite(folder, SUITES[package], "stock")
    assert passed > 0
    assert attached > 0
