"""A process that another one started continues its trace, by the environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"
PROGRAM = """
import json, threading, bridge
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind
from bridge.testing import capture

def facts(span):
    return [span.trace_id, span.parent_span_id, span.sampled]

with capture(traces_sample_rate=1.0) as sent:
    bridge.init()  # as the process does: a capture by itself continues nothing
    found = {"before": sent.headers()["sentry-trace"].split("-")[0::2]}
    with bridge.start_span("by start_span") as one:
        found["start_span"] = facts(one)
        found["baggage"] = sent.headers().get("baggage", "")
    with trace.get_tracer("t").start_as_current_span("by a tracer") as two:
        found["tracer"] = facts(two)
    found["invalid"] = not trace.get_current_span().get_span_context().is_valid
    with bridge.isolation_scope(), bridge.start_span("job") as three:
        found["job"] = facts(three)
    with bridge.new_trace(), bridge.start_span("fresh") as four:
        found["new trace"] = four.trace_id
    request = propagate.extract({})
    with trace.get_tracer("t").start_as_current_span("request", context=request, kind=SpanKind.SERVER) as five:
        found["request"] = five.trace_id
    found["sent"] = len(sent.transactions)
print(json.dumps(found))
"""


def run(**variables: str) -> dict[str, Any]:
    """Run the program with these variables of the environment and return what it found."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SENTRY_", "OTEL_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env={**environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("flag", "sampled"), [("-1", True), ("-0", False), ("", True)])
def test_a_process_continues_its_parents_trace(flag: str, sampled: bool) -> None:
    """Roots of both APIs, jobs and what is outside of spans are of the parent's trace, with its decision and DSC."""
    dsc = f"sentry-trace_id={T},sentry-public_key=abc,sentry-sample_rand=0.100000"
    found = run(SENTRY_TRACE=f"{T}-{S}{flag}", SENTRY_BAGGAGE=dsc)
    assert found["before"] == ([T, flag[1:]] if flag else [T])
    assert found["start_span"] == found["tracer"] == found["job"] == [T, S, sampled]
    assert set(dsc.split(",")) <= set(found["baggage"].split(","))
    assert found["sent"] == (5 if sampled else 2)


def test_what_starts_anew_does_not_belong_to_it() -> None:
    """No span is active by it, and neither a fresh trace nor a request without headers is the parent's."""
    found = run(SENTRY_TRACE=f"{T}-{S}-1")
    assert found["invalid"]
    assert len({T, found["new trace"], found["request"]}) == 3


@pytest.mark.parametrize(
    "variables",
    [{"SENTRY_TRACE": f"{T}-{S}-1", "SENTRY_USE_ENVIRONMENT": "off"}, {"SENTRY_TRACE": "1"}, {}],
)
def test_an_environment_that_says_nothing(variables: dict[str, str]) -> None:
    """Switched off, malformed or absent: the process has a trace of its own."""
    found = run(**variables)
    assert found["start_span"][0] != T
    assert found["start_span"][1:] == [None, True]
    assert found["sent"] == 5
