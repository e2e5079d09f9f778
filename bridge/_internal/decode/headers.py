"""What each header says: its parts in words, what is malformed in it, and limits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from opentelemetry.trace import TraceFlags

from bridge._internal.console.terminal import counted
from bridge._internal.decode.parser import split_dsc, trace_state_of, user_baggage_of, w3c_context
from bridge._internal.decode.report import DECISIONS, Explained, Fact, Problem, malformed, share
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


_HEX_32 = re.compile(r"[0-9a-f]{32}")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def explain_baggage(headers: Mapping[str, str]) -> Explained:
    """Explain the `baggage` among these headers."""
    value = headers[BAGGAGE]
    dsc, others = split_dsc(headers)
    raw = [part.strip() for part in value.split(",") if part.strip()]
    facts = [_dsc_fact(name, text) for name, text in dsc.items()]
    problems = [
        malformed(BAGGAGE, f"{fact.name} is {fact.value!r}: {fact.meaning}.", _EFFECTS.get(fact.name, _AS_IT_IS))
        for fact in facts
        if not fact.well_formed
    ]
    kept = user_baggage_of(",".join(others))
    for member in others:
        alone = user_baggage_of(member)
        name, text = next(iter(alone.items()), ("", ""))
        if not alone:
            problems.append(malformed(BAGGAGE, f"{member!r} is no member.", "OpenTelemetry leaves it out."))
        elif ";" in text:
            what, effect = f"{member!r} has properties.", "OpenTelemetry for Python takes them for a part of the value."
            problems.append(Problem("note", (BAGGAGE,), what, effect))
        facts.append(Fact(name or member.partition("=")[0], text, "baggage of the user's", bool(alone)))
    problems += _baggage_parts(raw, bool(others), bool(kept))
    size = f"{len(value.encode(errors='replace'))} bytes, {counted(len(raw), 'member', 'members')}"
    return Explained(BAGGAGE, value, size, facts, problems)


_CUT = "Others may cut it. The bridge sends Sentry's members whole or not at all, then those of the user's that fit."
_AS_IT_IS = "It is passed on as it is."
_EFFECTS = {
    "sentry-trace_id": "The members are taken for another trace's, and dropped.",
    "sentry-sample_rate": "It counts as absent.",
    "sentry-sample_rand": "It counts as absent; the receiver makes one.",
    "sentry-sampled": "Sentry's servers cannot read it; receivers go by the flag of sentry-trace.",
}


def _baggage_parts(raw: Sequence[str], has_others: bool, keeps_others: bool) -> Iterator[Problem]:
    """Look at the members as they stand."""
    header = (BAGGAGE,)
    names: list[str] = []
    for part in raw:
        dsc, others = split_baggage(part)
        names += dsc
        if not dsc and not others:
            yield malformed(BAGGAGE, f"{part!r} has no name and value.", "It is skipped.")
        if part.startswith(SENTRY_PREFIX) and _BAD_ESCAPE.search(part):
            yield malformed(BAGGAGE, f"{part!r} has a % that begins no escape.", "It stands for itself.")
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield malformed(BAGGAGE, f"{SENTRY_PREFIX}{name} comes more than once.", "The last counts.")
    size = len(",".join(raw).encode(errors="replace"))
    if size > MAX_BYTES:
        yield Problem("limit", header, f"It has {size} bytes; {MAX_BYTES} are certain to pass.", _CUT)
    if len(raw) > MAX_BAGGAGE_MEMBERS:
        yield Problem("limit", header, f"It has {len(raw)} members; {MAX_BAGGAGE_MEMBERS} are certain to pass.", _CUT)
    if has_others and not keeps_others and size > MAX_BYTES:
        yield Problem("limit", header, "The user's members are too many.", "OpenTelemetry leaves all of them out.")


def _is_trace_id(text: str) -> bool:
    return _HEX_32.fullmatch(text) is not None and int(text, 16) != 0


# name -> what it means, whether a value is well-formed, what it takes.
_DSC: dict[str, tuple[str, Callable[[str], bool], str]] = {
    "trace_id": ("the trace that Sentry's members were made for", _is_trace_id, "32 lower-case hex digits"),
    "public_key": ("the key of the project that began the trace, by whose rules it is sampled", bool, "a key"),
    "sample_rate": ("the rate of the head", lambda v: parse_sample_rate(v) is not None, "a number from 0 to 1"),
    "sample_rand": (
        "the trace's random number; it is kept at a rate above it",
        lambda v: parse_sample_rand(v) is not None,
        "a number from 0 to below 1",
    ),
    "sampled": ("the decision of the head", lambda v: v in ("true", "false"), "true or false"),
    "release": ("the release of the service that began the trace", bool, "a text"),
    "environment": ("the environment of the service that began the trace", bool, "a text"),
    "transaction": ("the name of the trace's first root", bool, "a text"),
    "org_id": ("the organisation that began the trace; another one does not continue it", str.isdecimal, "digits"),
    "replay_id": ("the session replay that the trace belongs to", _is_trace_id, "32 lower-case hex digits"),
    "user_id": ("the user, as older SDKs told it", bool, "a text"),
    "user_segment": ("the user's segment, as older SDKs told it", bool, "a text"),
}


def _dsc_fact(name: str, value: str) -> Fact:
    meaning, is_well_formed, takes = _DSC.get(name, ("not known here; it is passed on", lambda _: True, ""))
    if not is_well_formed(value):
        return Fact(SENTRY_PREFIX + name, value, f"it takes {takes}", well_formed=False)
    if name == "sample_rate" and (rate := parse_sample_rate(value)) is not None:
        meaning += f": {share(rate)} of its traces"
    return Fact(SENTRY_PREFIX + name, value, meaning)


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
