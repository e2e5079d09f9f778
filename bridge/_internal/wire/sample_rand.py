"""`sample_rand`: the number in [0, 1) that Sentry compares with a rate, and OpenTelemetry's 56 random bits."""

from __future__ import annotations

import math
import re

RANDOM_BITS = 56
_RANGE = 1 << RANDOM_BITS
_MICRO = 1_000_000
_IN_UNIT_INTERVAL = re.compile(r"0?\.[0-9]{1,40}|0|0\.|[0-9](?:\.[0-9]{1,40})?e-[0-9]{1,3}", re.ASCII)
_RATE = re.compile(r"[0-9]{0,3}\.?[0-9]{1,40}(?:e-?[0-9]{1,3})?|[0-9]\.", re.ASCII | re.IGNORECASE)


def sample_rand_from_random_bits(random_bits: int) -> float:
    """Return the `sample_rand` of a trace by its random bits, a multiple of 0.000001.

    Sentry keeps what is below a rate, OpenTelemetry what is at or above `(1 - rate) * 2**56`. Turned round like this,
    both keep the same traces at every rate of at most six decimals.
    """
    return ((_RANGE - random_bits) * _MICRO - 1 >> RANDOM_BITS) / _MICRO


def random_bits_from_sample_rand(sample_rand: float) -> int:
    """Return random bits by which OpenTelemetry's rule decides as Sentry's does by this `sample_rand`, at any rate."""
    return max(0, _RANGE - round(sample_rand * _RANGE) - 1)


def format_sample_rand(sample_rand: float) -> str:
    """Write a `sample_rand` with six decimals, truncated: it never becomes 1."""
    return f"0.{min(_MICRO - 1, math.floor(round(sample_rand * _MICRO, 3))):06d}"


def agreeing_sample_rand(sample_rand: str, sampled: bool, sample_rate: float) -> str:
    """Return the nearest `sample_rand` that says this decision at this rate: itself, but next to the threshold.

    With `sample_rand < sample_rate <=> sampled` six decimals are too few for a rate that has more; then the next
    multiple of 0.000001 on the right side is taken, or the rate itself where there is none below 1.
    """
    if (float(sample_rand) < sample_rate) is sampled:
        return sample_rand
    micro = math.ceil(sample_rate * _MICRO)
    if sampled:
        while micro > 0 and micro / _MICRO >= sample_rate:
            micro -= 1
    else:
        while micro / _MICRO < sample_rate:
            micro += 1
    return f"0.{micro:06d}" if micro < _MICRO else repr(sample_rate)


def parse_sample_rand(text: str | None) -> str | None:
    """Return the text as it stands if it is a number in [0, 1), else `None`."""
    if text and _IN_UNIT_INTERVAL.fullmatch(text) and float(text) < 1:
        return text
    return None


def parse_sample_rate(text: str | None) -> float | None:
    """Read a rate in [0, 1]; `None` if it is not one."""
    if text and _RATE.fullmatch(text):
        rate = float(text)
        return rate if 0 <= rate <= 1 else None
    return None


def format_sample_rate(rate: float) -> str:
    """Write a rate as a JSON number: `0.25`, `1.0`."""
    return repr(float(rate))


def backfill_sample_rand(random_bits: int, sampled: bool, sample_rate: float) -> float | None:
    """Return a `sample_rand` that gives this decision at this rate; `None` if there is none.

    Deterministic for a trace, so that every service that fills it in gets the same.
    """
    low, high = (0, math.ceil(sample_rate * _MICRO)) if sampled else (math.ceil(sample_rate * _MICRO), _MICRO)
    if low >= high:
        return None
    return (low + math.floor(sample_rand_from_random_bits(random_bits) * (high - low))) / _MICRO
