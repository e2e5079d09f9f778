"""The W3C `tracestate` header, our member of it (`sentry=`) and OpenTelemetry's (`ot=`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TRACESTATE = "tracestate"
SENTRY_MEMBER = "sentry"
OTEL_MEMBER = "ot"
MAX_MEMBERS = 32

_THRESHOLD_BITS = 56
_THRESHOLD_END = 1 << _THRESHOLD_BITS
_HEX_1_TO_14 = re.compile(r"[0-9a-f]{1,14}", re.ASCII)
_HEX_14 = re.compile(r"[0-9a-f]{14}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,8}(?:\.[0-9]{1,20})?(?:e-[0-9]{1,3})?", re.ASCII)


def parse_tracestate(header: str) -> list[tuple[str, str]]:
    """Return the members in order; what has no `=` is skipped."""
    members = []
    for part in header.split(","):
        key, separator, value = part.strip(" \t").partition("=")
        if separator and key:
            members.append((key, value))
    return members


def format_tracestate(members: Sequence[tuple[str, str]]) -> str:
    """Write the members in order, at most 32 of them."""
    return ",".join(f"{key}={value}" for key, value in members[:MAX_MEMBERS])


@dataclass(frozen=True, slots=True)
class SentryState:
    """Our member: the decision and the two numbers that it came from; what is not known is `None`."""

    sampled: bool | None
    sample_rate: float | None
    sample_rand: str | None


def parse_sentry_member(value: str) -> SentryState | None:
    """Read our member; `None` if a part of it cannot be read: then the member decides nothing."""
    parts = dict(part.split(":", 1) for part in value.split(";") if ":" in part)
    sampled, rate, rand = parts.get("s"), parts.get("r"), parts.get("n")
    if (
        (sampled, rate, rand) == (None, None, None)
        or sampled not in (None, "0", "1")
        or not (rate is None or (_NUMBER.fullmatch(rate) and float(rate) <= 1))
        or not (rand is None or (_NUMBER.fullmatch(rand) and float(rand) < 1))
    ):
        return None
    return SentryState(None if sampled is None else sampled == "1", None if rate is None else float(rate), rand)


def format_sentry_member(state: SentryState) -> str:
    """Write our member, `s:1;r:0.25;n:0.123456`, each part where it is known."""
    parts = []
    if state.sampled is not None:
        parts.append(f"s:{state.sampled:d}")
    if state.sample_rate is not None:
        parts.append(f"r:{float(state.sample_rate)!r}")
    if state.sample_rand is not None:
        parts.append(f"n:{state.sample_rand}")
    return ";".join(parts)


@dataclass(frozen=True, slots=True)
class OtState:
    """OpenTelemetry's member: rejection threshold and random value, 56 bits each; other parts as they stand."""

    threshold: int | None = None
    random_value: int | None = None
    rest: tuple[str, ...] = ()


def parse_ot_member(value: str) -> OtState:
    """Read OpenTelemetry's member; a part that is malformed counts as absent."""
    threshold = random_value = None
    rest = []
    for part in value.split(";"):
        key, _, text = part.partition(":")
        if key == "th":
            if _HEX_1_TO_14.fullmatch(text):
                threshold = int(text.ljust(14, "0"), 16)
        elif key == "rv":
            if _HEX_14.fullmatch(text):
                random_value = int(text, 16)
        elif part:
            rest.append(part)
    return OtState(threshold, random_value, tuple(rest))


def format_ot_member(state: OtState) -> str:
    """Write OpenTelemetry's member: `th` without trailing zeros, `rv` with 14 digits."""
    parts = []
    if state.threshold is not None:
        parts.append(f"th:{f'{state.threshold:014x}'.rstrip('0') or '0'}")
    if state.random_value is not None:
        parts.append(f"rv:{state.random_value:014x}")
    return ";".join((*parts, *state.rest))


def threshold_for_rate(rate: float) -> int:
    """Return the rejection threshold of a rate in (0, 1]: a trace is kept if its random value is at least this."""
    return min(_THRESHOLD_END - 1, max(0, _lowest_kept(rate)))


def is_kept(random_value: int, rate: float) -> bool:
    """Tell what OpenTelemetry's consistent probability sampling decides at this rate: `R >= T`."""
    return random_value >= _lowest_kept(rate)


@lru_cache(maxsize=64)
def _lowest_kept(rate: float) -> int:
    return _THRESHOLD_END - round(rate * _THRESHOLD_END)


def rate_for_threshold(threshold: int) -> float:
    """Return the rate that a rejection threshold stands for."""
    return (_THRESHOLD_END - threshold) / _THRESHOLD_END
