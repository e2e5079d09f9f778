"""The `sentry-trace` header: `<trace id>-<span id>[-<0 or 1>]`."""

from __future__ import annotations

import re
from dataclasses import dataclass

SENTRY_TRACE = "sentry-trace"

_FORM = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})(?:-([01])?)?", re.ASCII)
_FLAGS = {None: None, "0": False, "1": True}


@dataclass(frozen=True, slots=True)
class SentryTrace:
    """What a header says; `sampled` is `None` where the decision is deferred."""

    trace_id: int
    span_id: int
    sampled: bool | None


def parse_sentry_trace(header: str | None) -> SentryTrace | None:
    """Read a header; of several joined by commas the first that is not empty. `None` if it is not one."""
    if not header:
        return None
    for part in header.split(","):
        text = part.strip(" \t\r\n")
        if text:
            return _parse(text)
    return None


def _parse(text: str) -> SentryTrace | None:
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    trace_id, span_id = int(match[1], 16), int(match[2], 16)
    if not trace_id or not span_id:
        return None
    return SentryTrace(trace_id, span_id, _FLAGS[match[3]])


def format_sentry_trace(trace_id: int, span_id: int, sampled: bool | None) -> str:
    """Write a header."""
    if sampled is None:
        return f"{trace_id:032x}-{span_id:016x}"
    return f"{trace_id:032x}-{span_id:016x}-{sampled:d}"
