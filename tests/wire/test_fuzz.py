"""Random and mutated headers do no harm."""

from __future__ import annotations

import logging

import pytest
from opentelemetry import trace

import bridge
from tests.benchmark import load


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """OpenTelemetry's propagators log a warning for many a malformed header."""
    for name in ("opentelemetry.baggage.propagation", "opentelemetry.trace.span", "opentelemetry.baggage"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@pytest.mark.parametrize("seed", [1, 2026])
def test_no_header_does_harm(seed: int) -> None:
    """No exception, nothing sampled that the headers do not state, no zero ids, nothing that cannot be sent."""
    assert load("fuzz_headers").run(10_000, seed) is None


def test_harm_would_be_found() -> None:
    """The check fails where a trace is sampled that no header says is."""
    fuzz = load("fuzz_headers")
    assert not fuzz.says_sampled({"sentry-trace": "1"})
    bridge.init(traces_sample_rate=1.0)
    assert fuzz.fault_of({"sentry-trace": "1"}) == "it was sampled"
    assert not trace.get_current_span().get_span_context().is_valid
