"""`sentry-trace` and `traceparent` in words: ids, decision, flags."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from opentelemetry.trace import TraceFlags

from bridge._internal.console.terminal import counted
from bridge._internal.decode.parser import w3c_context
from bridge._internal.decode.report import DECISIONS, Explained, Fact, Problem, malformed
from bridge._internal.otel_private import RANDOM_TRACE_FLAG
from bridge._internal.wire.carrier import TRACEPARENT
from bridge._internal.wire.sentry_trace import SENTRY_TRACE, parse_sentry_trace

if TYPE_CHECKING:
    from collections.abc import Mapping


def explain_sentry_trace(headers: Mapping[str, str]) -> Explained:
    """Explain the `sentry-trace` among these headers."""
    value = headers[SENTRY_TRACE]
    parsed = parse_sentry_trace(value)
    parts = [part.strip() for part in value.split(",") if part.strip()]
    problems: list[Problem] = []
    if parsed is None:
        problems.append(malformed(SENTRY_TRACE, why_no_sentry_trace(parts[0] if parts else ""), "It counts as absent."))
        return Explained(SENTRY_TRACE, value, "", [], problems)
    if len(parts) > 1:
        what = f"It came {len(parts)} times."
        problems.append(Problem("note", (SENTRY_TRACE,), what, "The first that is not empty counts."))
    facts = [
        Fact("trace id", f"{parsed.trace_id:032x}", "the trace that goes on"),
        Fact("parent span id", f"{parsed.span_id:016x}", "the caller's span; what the receiver starts is below it"),
        Fact("flag", "" if parsed.sampled is None else f"{parsed.sampled:d}", DECISIONS[parsed.sampled]),
    ]
    return Explained(SENTRY_TRACE, value, "", facts, problems)


def why_no_sentry_trace(text: str) -> str:
    """Say what a value lacks to be a `sentry-trace`."""
    if not text:
        return "It is empty."
    parts = text.split("-")
    if len(parts) not in (2, 3):
        has = counted(len(parts), "part", "parts")
        return f"It takes <trace id>-<span id> or <trace id>-<span id>-<flag>, and has {has}."
    for part, what, digits in zip(parts, ("trace id", "span id"), (32, 16), strict=False):
        if (wrong := _why_no_id(part, what, digits)) is not None:
            return wrong
    return f"The flag is {parts[2]!r}; it takes 1 (sampled), 0 (not sampled) or nothing (deferred)."


def _why_no_id(text: str, what: str, digits: int) -> str | None:
    takes = f"it takes {digits} lower-case hex digits"
    if not re.fullmatch(r"[0-9a-fA-F]*", text):
        return f"The {what} has characters that are no hex digits; {takes}."
    if len(text) != digits:
        return f"The {what} has {len(text)} digits; {takes}."
    if text != text.lower():
        return f"The {what} has upper-case digits; {takes}."
    return f"The {what} is all zeros, which is none." if not int(text, 16) else None


def explain_traceparent(headers: Mapping[str, str]) -> Explained:
    """Explain the `traceparent` among these headers."""
    value = headers[TRACEPARENT]
    context = w3c_context({TRACEPARENT: value})
    if context is None:
        effect = "It counts as absent, and tracestate with it."
        return Explained(TRACEPARENT, value, "", [], [malformed(TRACEPARENT, why_no_traceparent(value), effect)])
    version = value.strip()[:2]
    flags = int(context.trace_flags)
    known = "the form of today" if version == "00" else "a later form; what is known of it is read"
    facts = [
        Fact("version", version, known),
        Fact("trace id", f"{context.trace_id:032x}", "the trace that goes on"),
        Fact("parent id", f"{context.span_id:016x}", "the caller's span; what the receiver starts is below it"),
        Fact("flags", f"{flags:02x}", _flags_in_words(flags)),
    ]
    return Explained(TRACEPARENT, value, "", facts)


def _flags_in_words(flags: int) -> str:
    words = ["sampled (bit 0)" if flags & TraceFlags.SAMPLED else "not sampled (bit 0)"]
    if flags & RANDOM_TRACE_FLAG:
        words.append("the trace id's last 56 bits are random (bit 1), so samplers may go by them")
    else:
        words.append("nothing is promised of how random the trace id is (bit 1)")
    if rest := flags & ~(TraceFlags.SAMPLED | RANDOM_TRACE_FLAG):
        words.append(f"bits that mean nothing yet ({rest:02x})")
    return "; ".join(words)


def why_no_traceparent(value: str) -> str:
    """Say what a value lacks to be a `traceparent`."""
    parts = value.strip(" \t").split("-")
    if "," in value:
        return "It came several times, which the standard does not allow."
    if len(parts) < 4:
        return f"It takes <version>-<trace id>-<parent id>-<flags>, and has {counted(len(parts), 'part', 'parts')}."
    if not re.fullmatch(r"[0-9a-f]{2}", parts[0]):
        return f"The version is {parts[0]!r}; it takes two lower-case hex digits."
    if parts[0] == "ff":
        return "Version ff is forbidden."
    for part, what, digits in zip(parts[1:], ("trace id", "parent id"), (32, 16), strict=False):
        if (wrong := _why_no_id(part, what, digits)) is not None:
            return wrong
    if not re.fullmatch(r"[0-9a-f]{2}", parts[3]):
        return f"The flags are {parts[3]!r}; they take two lower-case hex digits."
    return "There is more than version 00 has." if len(parts) > 4 else "It is longer than OpenTelemetry reads."
