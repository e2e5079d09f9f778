"""OpenTelemetry's own trace suite passes on our provider, as it does on theirs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.suites.sources import helpers, suite_of

NAMED_EXCEPTIONS: dict[str, str] = {}
"""Tests that pass on the SDK's provider and cannot on ours: test id -> why."""


def run_suite(folder: Path, provider: str, result: Path) -> tuple[dict[str, str], dict[str, int]]:
    """Run the suite on a provider; returns each test's outcome, and what was made of the provider's kind."""
    here = Path(__file__).parent
    plugins = ["-p", "provider_plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        # Under the suite's own settings, not ours; its tests start `python` as the PATH has it.
        [sys.executable, "-m", "pytest", "-q", *plugins, "--rootdir", ".", "-c", "pyproject.toml", "tests/trace"],
        cwd=folder,
        env={
            **os.environ,
            "TRACER_PROVIDER": provider,
            "SUITE_RESULT": str(result),
            "PYTHONPATH": os.pathsep.join([str(here), str(helpers())]),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.exists(), done.stdout[-4000:] + done.stderr[-2000:]
    found: dict[str, Any] = json.loads(result.read_text())
    print(f"{provider}: {found['counts']}\n{done.stdout[-8000:]}")
    return found["outcomes"], found["counts"]


@pytest.mark.neighbour
@pytest.mark.suite
def test_the_trace_suite_passes(tmp_path: Path) -> None:
    """What passes on theirs passes on ours but for what is named, which fails; and ours was really the one in use."""
    folder = suite_of("opentelemetry-sdk")
    theirs, made_of_theirs = run_suite(folder, "stock", tmp_path / "stock.json")
    ours, made_of_ours = run_suite(folder, "bridge", tmp_path / "bridge.json")
    passing = {test for test, outcome in theirs.items() if outcome == "passed"}
    assert len(passing) > 200
    assert {test for test in passing if ours.get(test) != "passed"} == set(NAMED_EXCEPTIONS)
    assert made_of_ours == made_of_theirs
    assert sum(made_of_ours.values()) > 100
