"""Explanation of each header: its parts, malformed values, and limits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from opentelemetry.trace import TraceFlags

from bridge._internal.console.terminal import pluralized
from bridge._internal.decode.parser import parse_w3c, split_dsc, trace_state_of, user_baggage_of
from bridge._internal.decode.report import DECISIONS, Explained, Fact, Finding, malformed, share
from bridge._internal.otel_private import RANDOM_TRACE_FLAG
from bridge._internal.wire.baggage import BAGGAGE, MAX_BYTES, SENTRY_PREFIX, split_baggage
from bridge._internal.wire.baggage import MAX_MEMBERS as MAX_BAGGAGE_MEMBERS
from bridge._internal.wire.carrier import TRACEPARENT
from bridge._internal.wire.sample_rand import parse_sample_rand, parse_sample_rate
from bridge._internal.wire.sentry_trace import SENTRY_TRACE, parse_sentry_trace
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
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Meanings = Mapping[str, tuple[str, bool]]
    """Meaning and well-formedness of the parts of a `tracestate` member, by key."""

_MAX_TRACESTATE = 512
_HEX_32 = re.compile(r"[0-9a-f]{32}")
_TRACE_ID = "the trace to continue"
_PARENT_ID = "the caller's span, parent of the receiver's"
_SAMPLE_RAND = "the trace's random number: sampled at any rate above it"


def explain_sentry_trace(headers: Mapping[str, str]) -> Explained:
    """Explain the `sentry-trace` among these headers."""
    value = headers[SENTRY_TRACE]
    parsed = parse_sentry_trace(value)
    if parsed is None:
        what = "Expected <trace id>-<span id> or <trace id>-<span id>-<flag>: 32 and 16 lower-case hex digits, 1 or 0."
        return Explained(SENTRY_TRACE, value, problems=[malformed(SENTRY_TRACE, what, "Receivers ignore it.")])
    facts = [
        Fact("trace id", f"{parsed.trace_id:032x}", _TRACE_ID),
        Fact("parent span id", f"{parsed.span_id:016x}", _PARENT_ID),
        Fact("flag", "" if parsed.sampled is None else f"{parsed.sampled:d}", DECISIONS[parsed.sampled]),
    ]
    return Explained(SENTRY_TRACE, value, facts=facts)


def explain_traceparent(headers: Mapping[str, str]) -> Explained:
    """Explain the `traceparent` among these headers."""
    value = headers[TRACEPARENT]
    context = parse_w3c({TRACEPARENT: value})
    if context is None:
        what = "Expected <version>-<trace id>-<parent id>-<flags>: 2, 32, 16 and 2 lower-case hex digits."
        effect = "Receivers ignore it, and tracestate with it."
        return Explained(TRACEPARENT, value, problems=[malformed(TRACEPARENT, what, effect)])
    flags = context.trace_flags
    words = [DECISIONS[flags.sampled], *["random trace id"] * bool(flags & RANDOM_TRACE_FLAG)]
    if unknown := flags & ~(TraceFlags.SAMPLED | RANDOM_TRACE_FLAG):
        words.append(f"unknown bits {unknown:02x}")
    facts = [
        Fact("version", value.strip()[:2], ""),
        Fact("trace id", f"{context.trace_id:032x}", _TRACE_ID),
        Fact("parent id", f"{context.span_id:016x}", _PARENT_ID),
        Fact("flags", f"{flags:02x}", ", ".join(words)),
    ]
    return Explained(TRACEPARENT, value, facts=facts)


def explain_baggage(headers: Mapping[str, str]) -> Explained:
    """Explain the `baggage` among these headers."""
    value = headers[BAGGAGE]
    dsc, others = split_dsc(headers)
    facts = [_dsc_fact(name, text) for name, text in dsc.items()]
    problems = [
        malformed(BAGGAGE, f"{fact.name} is {fact.value!r}.", _EFFECTS.get(fact.name, "It is forwarded unchanged."))
        for fact in facts
        if not fact.well_formed
    ]
    for member in others:
        name, text = next(iter(user_baggage_of(member).items()), (None, ""))
        if name is None:
            problems.append(malformed(BAGGAGE, f"{member!r} is not a baggage member.", "OpenTelemetry ignores it."))
        facts.append(Fact(name or member.partition("=")[0], text, "user baggage", name is not None))
    members = [part.strip() for part in value.split(",") if part.strip()]
    size = len(value.encode(errors="replace"))
    problems += _baggage_problems(members, size)
    return Explained(BAGGAGE, value, f"{size} bytes, {pluralized(len(members), 'member', 'members')}", facts, problems)


_EFFECTS = {
    "sentry-trace_id": "The Sentry members are treated as another trace's and dropped.",
    "sentry-sample_rate": "Receivers ignore it.",
    "sentry-sample_rand": "Receivers ignore it and generate one.",
    "sentry-sampled": "Sentry cannot read it; receivers use the flag of sentry-trace.",
}
_CUT = "Services may truncate it. bridge sends all Sentry members or none, then the user members that fit."


def _baggage_problems(members: Sequence[str], size: int) -> Iterator[Finding]:
    names: list[str] = []
    for member in members:
        dsc, others = split_baggage(member)
        names += dsc
        if not dsc and not others:
            yield malformed(BAGGAGE, f"{member!r} has no name and value.", "Receivers skip it.")
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield malformed(BAGGAGE, f"{SENTRY_PREFIX}{name} occurs more than once.", "The last one counts.")
    if size > MAX_BYTES:
        yield Finding("limit", (BAGGAGE,), f"It has {size} bytes; services must accept {MAX_BYTES}.", _CUT)
    if len(members) > MAX_BAGGAGE_MEMBERS:
        what = f"It has {len(members)} members; services must accept {MAX_BAGGAGE_MEMBERS}."
        yield Finding("limit", (BAGGAGE,), what, _CUT)


def _is_trace_id(text: str) -> bool:
    return _HEX_32.fullmatch(text) is not None and int(text, 16) != 0


# name -> meaning, check of a value
_DSC: dict[str, tuple[str, Callable[[str], bool]]] = {
    "trace_id": ("the trace that the Sentry members describe", _is_trace_id),
    "public_key": ("the key of the project that started the trace and whose rules sample it", bool),
    "sample_rate": ("the sample rate where the trace started", lambda v: parse_sample_rate(v) is not None),
    "sample_rand": (_SAMPLE_RAND, lambda v: parse_sample_rand(v) is not None),
    "sampled": ("the sampling decision where the trace started", lambda v: v in ("true", "false")),
    "release": ("the release of the service that started the trace", bool),
    "environment": ("the environment of the service that started the trace", bool),
    "transaction": ("the name of the trace's first root span", bool),
    "org_id": ("the organisation that started the trace; others do not continue it", str.isdecimal),
    "replay_id": ("the session replay that the trace belongs to", _is_trace_id),
    "user_id": ("the user, from older SDKs", bool),
    "user_segment": ("the user's segment, from older SDKs", bool),
}


def _dsc_fact(name: str, value: str) -> Fact:
    meaning, is_well_formed = _DSC.get(name, ("unknown, forwarded unchanged", lambda _: True))
    if name == "sample_rate" and (rate := parse_sample_rate(value)) is not None:
        meaning += f": {share(rate)}"
    return Fact(SENTRY_PREFIX + name, value, meaning, is_well_formed(value))


def explain_tracestate(headers: Mapping[str, str]) -> Explained:
    """Explain the `tracestate` among these headers."""
    value = headers[TRACESTATE]
    members = parse_tracestate(value)
    facts = [fact for key, text in members for fact in _member_facts(key, text)]
    problems = [
        malformed(TRACESTATE, f"{fact.name}={fact.value} is malformed.", "Receivers ignore it.")
        for fact in facts
        if not fact.well_formed
    ]
    problems += _tracestate_problems(value, len(members))
    size = f"{len(value)} characters, {pluralized(len(members), 'member', 'members')}"
    return Explained(TRACESTATE, value, size, facts, problems)


def _member_facts(key: str, value: str) -> Iterator[Fact]:
    if key == OTEL_MEMBER:
        yield from _part_facts(key, value, _ot_meanings(value))
    elif key != SENTRY_MEMBER:
        yield Fact(key, value, "another vendor's, forwarded unchanged")
    elif meanings := _sentry_meanings(value):
        yield from _part_facts(key, value, meanings)
    else:
        yield Fact(key, value, "the decision of a service that uses bridge", well_formed=False)


def _part_facts(member: str, value: str, meanings: Meanings) -> Iterator[Fact]:
    for part in filter(None, value.split(";")):
        key, _, text = part.partition(":")
        meaning, well_formed = meanings.get(key, ("unknown", True))
        yield Fact(f"{member} {key}", text, meaning, well_formed)


def _sentry_meanings(value: str) -> Meanings:
    state = parse_sentry_member(value)
    if state is None:
        return {}
    rate = "" if state.sample_rate is None else f": {share(state.sample_rate)}"
    return {
        "s": (f"Sentry's decision: {DECISIONS[state.sampled]}", True),
        "r": (f"the rate of that decision{rate}", True),
        "n": (_SAMPLE_RAND, True),
    }


def _ot_meanings(value: str) -> Meanings:
    state = parse_ot_member(value)
    probability = "" if state.threshold is None else f": a probability of {rate_for_threshold(state.threshold):.6g}"
    lowest = (
        "" if state.random_value is None else f": sampled at a rate of {rate_for_threshold(state.random_value):.6g}"
    )
    return {
        "th": (f"rejection threshold T{probability}", state.threshold is not None),
        "rv": (f"the trace's random value R{lowest and lowest + ' and above'}", state.random_value is not None),
    }


_DROPPED = "OpenTelemetry drops the whole header, including sentry= and ot=."


def _tracestate_problems(value: str, members: int) -> Iterator[Finding]:
    kept = len(trace_state_of(value))
    if len(value) > _MAX_TRACESTATE:
        what = f"It has {len(value)} characters; services must accept {_MAX_TRACESTATE}."
        yield Finding("limit", (TRACESTATE,), what, "Services may drop members from the right." if kept else _DROPPED)
    elif members > MAX_MEMBERS:
        yield Finding("limit", (TRACESTATE,), f"It has {members} members; at most {MAX_MEMBERS} are allowed.", _DROPPED)
    elif kept < members or any("=" not in part for part in value.split(",") if part.strip(" \t")):
        what = "Expected lower-case keys, each once, with = and a value without commas."
        yield malformed(TRACESTATE, what, _DROPPED)
