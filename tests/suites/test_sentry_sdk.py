"""sentry-sdk's own suite passes with `bridge.init()` in force and nothing else, as it does without."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.interop.neighbours import FOLDER
from tests.suites.sources import pip, suite_of

CHOSEN = (
    "tests/test_api.py",
    "tests/test_dsc.py",
    "tests/test_propagationcontext.py",
    "tests/test_scope.py",
    "tests/tracing/test_baggage.py",
    "tests/tracing/test_http_headers.py",
    "tests/tracing/test_ignore_status_codes.py",
    "tests/tracing/test_noop_span.py",
    "tests/tracing/test_propagation.py",
    "tests/tracing/test_sample_rand.py",
    "tests/tracing/test_sample_rand_propagation.py",
    "tests/tracing/test_sampling.py",
    "tests/tracing/test_span_name.py",
    "tests/tracing/test_span_origin.py",
)
"""What touches spans, scopes, decisions and headers; the rest takes an hour, or services that are not here."""
NEEDED = (
    *("pytest-localserver", "pytest-forked", "py"),
    *("jsonschema", "jsonschema-specifications", "referencing", "rpds-py", "attrs"),
)
NAMED_EXCEPTIONS: dict[str, str] = {}
"""Tests that pass without the bridge and cannot with it: test id -> why."""


def helpers() -> Path:
    """Return a folder of what the suite imports, which nothing else may lean on."""
    folder = FOLDER / "suites" / "sentry-sdk-helpers"
    if not folder.exists():
        pip("install", "--target", str(folder), *NEEDED)
    return folder


def run_suite(folder: Path, result: Path, *, with_bridge: bool) -> dict[str, Any]:
    """Run what is chosen; returns the outcome of each test."""
    plugins = ["-p", "sentry_sdk_plugin", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:asyncio"]
    here = Path(__file__).parent
    chosen = [path for path in CHOSEN if (folder / path).exists()]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "ignore", *plugins, "--rootdir", ".", *chosen],
        cwd=folder,
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith(("SENTRY_", "OTEL_"))},
            "WITH_BRIDGE": "1" if with_bridge else "",
            "SUITE_RESULT": str(result),
            "PYTHONPATH": os.pathsep.join([str(here), str(helpers())]),
        },
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.exists(), done.stdout[-4000:] + done.stderr[-2000:]
    print(done.stdout[-6000:])
    found: dict[str, Any] = json.loads(result.read_text())
    return found


@pytest.mark.neighbour
@pytest.mark.programs
@pytest.mark.suite
def test_what_passes_alone_passes_with_the_bridge(tmp_path: Path) -> None:
    """Every chosen test that passes plain passes with the bridge in force, but for what is named, which fails."""
    source = suite_of("sentry-sdk")
    folder = tmp_path / "suite"
    folder.mkdir()
    shutil.copytree(source / "tests", folder / "tests")  # without the package beside it: the installed one is tested
    shutil.copy(source / "pyproject.toml", folder)
    plain = run_suite(folder, tmp_path / "plain.json", with_bridge=False)["outcomes"]
    found = run_suite(folder, tmp_path / "bridge.json", with_bridge=True)
    assert found["mode"] == "joined"
    passing = {test for test, outcome in plain.items() if outcome == "passed"}
    assert len(passing) > 200
    lost = {test for test in passing if found["outcomes"].get(test) != "passed"}
    assert lost == set(NAMED_EXCEPTIONS)
