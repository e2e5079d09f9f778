"""Tools that bring tracing of their own, the real ones, in one process with the bridge: set up before it, and after."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.interop.neighbours import pip_install
from tests.interop.vendors.program import REQUESTS

pytestmark = pytest.mark.neighbour
ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "vendors" / "program.py"
REQUIREMENTS = f"""--editable {ROOT}
arize-phoenix-otel==0.17.2
ddtrace==4.16.0
langfuse==5.0.4
logfire==5.4.0
temporalio==1.35.0
"""
QUIET = {
    "DD_TRACE_STARTUP_LOGS": "0",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "0",
    "DD_REMOTE_CONFIGURATION_ENABLED": "0",
    "PATH": "/usr/bin:/bin",
}
BRIDGES = ["native", "ours", "request"]


def told(vendor: str, place: str, rate: float) -> Any:
    """Run a vendor's program in an environment that has all of them; returns what it saw."""
    python = pip_install("vendors", REQUIREMENTS) / "bin" / "python"
    command = [str(python), str(PROGRAM), vendor, place, str(rate)]
    done = subprocess.run(command, cwd=ROOT, env=QUIET, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def spans(found: Any) -> Counter[str]:
    """How often Sentry got each span."""
    return Counter(name for root, children in found["transactions"] for name in (root, *children))


def is_balanced(found: Any) -> bool:
    """Whether each span that was started for Sentry was delivered, and was sent once."""
    started, delivered, pending = found["account"]
    return started == delivered == spans(found).total() and pending == 0


def is_one_trace(found: Any) -> bool:
    """Whether each request had one trace, and one decision of Sentry's, from its root to its innermost span."""
    heads = [[one["sentry-trace"][:32] + one["sentry-trace"][-2:] for one in request] for request in found["headers"]]
    return all(len(set(request)) == 1 for request in heads) and len({request[0] for request in heads}) == REQUESTS


@pytest.mark.parametrize("vendor", ["langfuse", "phoenix", "logfire", "temporal"])
@pytest.mark.parametrize("rate", [1.0, 0.5, 0.0])
def test_a_vendor_that_was_there_first(vendor: str, rate: float) -> None:
    """Its exporter gets every span; Sentry gets each whole request that its own rate keeps, once; no finding."""
    found = told(vendor, "first", rate)
    assert Counter(found["exported"]) == dict.fromkeys([*BRIDGES, "own"], REQUESTS)
    kept = sum(request[0]["sentry-trace"].endswith("-1") for request in found["headers"])
    assert found["transactions"] == [["request", ["native", "ours", "own"]]] * kept
    assert kept == pytest.approx(rate * REQUESTS, abs=15 if rate == 0.5 else 0)
    assert all(one["traceparent"].endswith("3") for request in found["headers"] for one in request)
    assert is_one_trace(found)
    assert is_balanced(found)
    assert found["problems"] == []


def test_langfuse_that_comes_second() -> None:
    """It adds its processor to the provider of the bridge: both sides get what Sentry's rate keeps."""
    found = told("langfuse", "second", 0.5)
    kept = len(found["transactions"])
    assert 0 < kept < REQUESTS
    assert spans(found) == Counter(found["exported"]) == dict.fromkeys([*BRIDGES, "own"], kept)
    assert is_one_trace(found)
    assert is_balanced(found)
    assert found["problems"] == []


@pytest.mark.parametrize(
    ("vendor", "place", "finding"),
    [
        ("phoenix", "second", "provider-apart"),
        ("temporal", "second", "provider-apart"),
        ("logfire", "second", "logfire-apart"),
        ("langfuse_isolated", "first", "provider-apart"),
        ("langfuse_isolated", "second", "provider-apart"),
    ],
)
def test_a_vendor_with_a_provider_apart(vendor: str, place: str, finding: str) -> None:
    """Its own spans are the vendor's, ours are Sentry's, in one trace with one decision; the doctor tells of it."""
    found = told(vendor, place, 0.5)
    kept = sum(request[0]["sentry-trace"].endswith("-1") for request in found["headers"])
    assert 0 < kept < REQUESTS
    assert spans(found) == dict.fromkeys(BRIDGES, kept)
    assert set(found["exported"]) == {"own"}
    assert is_one_trace(found)
    assert is_balanced(found)
    assert finding in found["all_problems"]


@pytest.mark.parametrize("place", ["first", "second"])
def test_ddtrace(place: str) -> None:
    """Each traces by itself; the doctor tells that both write a `traceparent`."""
    found = told("ddtrace", place, 0.5)
    kept = len(found["transactions"])
    assert 0 < kept < REQUESTS
    assert found["transactions"] == [["request", ["native", "ours"]]] * kept
    assert Counter(found["exported"]) == {"own": REQUESTS}
    assert is_one_trace(found)
    assert is_balanced(found)
    assert found["problems"] == ["ddtrace-headers"]
