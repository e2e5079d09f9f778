"""A fleet of services of three kinds keeps or drops each trace as one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON, Sampler

import bridge
from bridge._internal.sampling.sampler import decide_by_rate
from bridge._internal.wire.sample_rand import random_bits_from_sample_rand
from bridge._internal.wire.tracestate import is_kept
from bridge.testing.isolation import isolated
from tests.benchmark import load

RANGE = 1 << 56


@pytest.mark.parametrize("rate", [0.1, 1 / 3, 0.9])
@pytest.mark.parametrize("sampler", [None, ALWAYS_ON, DEFAULT_ON], ids=["own", "always on", "as it comes"])
def test_each_trace_is_whole(rate: float, sampler: Sampler | None) -> None:
    """Whatever mixture of `bridge`, Sentry and OpenTelemetry services it goes through, and whoever's provider it is."""
    with isolated(None):
        provider = None if sampler is None else TracerProvider(sampler=sampler, shutdown_on_exit=False)
        bridge.init(traces_sample_rate=rate, tracer_provider=provider)
        outcome = load("fleet").run(200, 50, rate)
        bridge.close()
    assert outcome["torn"] == 0
    assert outcome["kept"] > 0
    assert outcome["dropped"] > 0


def test_a_torn_trace_would_be_found() -> None:
    """One service at another rate tears traces."""
    bridge.init(traces_sample_rate=0.9)
    assert load("fleet").run(100, 50, 0.1)["torn"] > 0


@given(st.integers(1, 2**128 - 1), st.floats(0, 1))
@example(1, 1e-18)
@example((1 << 56) - 1, 0.99999999)
@example(1, 0.99999999)
@example(1, 0.9999999999999999)
@example((1 << 56) - 1, 5e-324)
def test_a_head_decides_as_opentelemetrys_rule(trace_id: int, rate: float) -> None:
    """`R >= T` for any trace id and rate, and `sample_rand < sample_rate` says the same."""
    decision = decide_by_rate(trace_id, rate, None)
    kept = trace_id % RANGE >= RANGE - round(rate * RANGE)
    assert decision.sampled is kept
    assert (float(decision.sample_rand) < rate) is kept
    assert 0 <= float(decision.sample_rand) < 1


@given(st.integers(0, 10**6 - 1), st.integers(0, 10**6))
@example(0, 0)
@example(999_999, 10**6)
def test_what_a_sentry_sdk_drew_is_told_to_opentelemetry(micro_rand: int, micro_rate: int) -> None:
    """The random value that stands for a `sample_rand` is kept at a rate just where the number is below it."""
    bits: Any = random_bits_from_sample_rand(micro_rand / 10**6)
    assert 0 <= bits < RANGE
    assert is_kept(bits, micro_rate / 10**6) is (micro_rand < micro_rate)
