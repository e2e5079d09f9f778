"""`tracestate` in words: our member, OpenTelemetry's, other vendors', and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge._internal.console.terminal import counted
from bridge._internal.decode.parser import trace_state_of
from bridge._internal.decode.report import DECISIONS, Explained, Fact, Problem, malformed, share
from bridge._internal.wire.tracestate import (
    MAX_MEMBERS,
    OTEL_MEMBER,
    SENTRY_MEMBER,
    TRACESTATE,
    parse_ot_member,
    parse_sentry_member,
    parse_tracestate,
    rate_for_threshold,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAX_CHARACTERS = 512


def explain_tracestate(headers: Mapping[str, str]) -> Explained:
    """Explain the `tracestate` among these headers."""
    value = headers[TRACESTATE]
    members = parse_tracestate(value)
    facts = [fact for key, text in members for fact in _state_facts(key, text)]
    problems = [
        malformed(TRACESTATE, f"{fact.name}={fact.value} is not understood.", "That part counts as absent.")
        for fact in facts
        if not fact.well_formed
    ]
    problems += _state_problems(value, members)
    size = f"{len(value)} characters, {counted(len(members), 'member', 'members')}"
    return Explained(TRACESTATE, value, size, facts, problems)


def _state_facts(key: str, value: str) -> Iterator[Fact]:
    if key == SENTRY_MEMBER:
        yield from _sentry_member(value)
    elif key == OTEL_MEMBER:
        yield from _ot_member(value)
    else:
        yield Fact(key, value, "another vendor's; passed on as it is")


def _sentry_member(value: str) -> Iterator[Fact]:
    state = parse_sentry_member(value)
    if state is None:
        yield Fact(SENTRY_MEMBER, value, "the decision of a service with the bridge; not understood", well_formed=False)
        return
    for part in value.split(";"):
        key, _, text = part.partition(":")
        if key == "s":
            meaning = f"Sentry's decision: {DECISIONS[state.sampled]}"
            yield Fact(f"{SENTRY_MEMBER} s", text, meaning, state.sampled is not None)
        elif key == "r":
            told = "" if state.sample_rate is None else f": {share(state.sample_rate)}"
            yield Fact(f"{SENTRY_MEMBER} r", text, f"the rate of that decision{told}", state.sample_rate is not None)
        elif key == "n":
            known = state.sample_rand is not None
            yield Fact(f"{SENTRY_MEMBER} n", text, "the trace's random number; it is kept at a rate above it", known)
        elif part:
            yield Fact(f"{SENTRY_MEMBER} {key}", text, "not known here")


def _ot_member(value: str) -> Iterator[Fact]:
    state = parse_ot_member(value)
    for part in value.split(";"):
        key, _, text = part.partition(":")
        if key == "th":
            meaning = "rejection threshold T"
            if state.threshold is not None:
                rate = rate_for_threshold(state.threshold)
                meaning += f": a trace is kept where its R is at least T, which is a probability of {rate:.6g}"
            yield Fact(f"{OTEL_MEMBER} th", text, meaning, state.threshold is not None)
        elif key == "rv":
            meaning = "the trace's random value R"
            if state.random_value is not None:
                lowest = rate_for_threshold(state.random_value)
                meaning += f", instead of its id's last 56 bits; kept at a rate of {lowest:.6g} and above"
            yield Fact(f"{OTEL_MEMBER} rv", text, meaning, state.random_value is not None)
        elif part:
            yield Fact(f"{OTEL_MEMBER} {key}", text, "not known here; passed on as it is")


def _state_problems(value: str, members: Sequence[tuple[str, str]]) -> Iterator[Problem]:
    """Say why OpenTelemetry would keep less than there is."""
    if len(value) > MAX_CHARACTERS:
        what = f"It has {len(value)} characters; {MAX_CHARACTERS} are certain to pass."
        effect = "Others may drop members, from the right." if len(trace_state_of(value)) else _DROPPED
        yield Problem("limit", (TRACESTATE,), what, effect)
    elif len(members) > MAX_MEMBERS:
        what = f"It has {len(members)} members; there may be {MAX_MEMBERS}."
        yield Problem("limit", (TRACESTATE,), what, _DROPPED)
    elif len(trace_state_of(value)) < len(members) or any("=" not in p for p in value.split(",") if p.strip(" \t")):
        yield malformed(TRACESTATE, _why_state_is_dropped(value, members), _DROPPED)


_DROPPED = "OpenTelemetry drops all of it, with what sentry= and ot= say."


def _why_state_is_dropped(value: str, members: Sequence[tuple[str, str]]) -> str:
    keys = [key for key, _ in members]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        return f"{twice!r} comes more than once."
    parts = [part.strip(" \t") for part in value.split(",")]
    wrong = next((part for part in parts if part and not len(trace_state_of(part))), "")
    return f"{wrong[:60]!r} is no member: it takes a lower-case key, = and a value without commas."
