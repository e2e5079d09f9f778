"""`baggage` in words: Sentry's members by name, the user's, and limits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge._internal.console.terminal import counted
from bridge._internal.decode.parser import baggage_of, user_baggage_of
from bridge._internal.decode.report import Explained, Fact, Problem, malformed, share
from bridge._internal.wire.baggage import BAGGAGE, MAX_BYTES, MAX_MEMBERS, SENTRY_PREFIX, split_baggage
from bridge._internal.wire.sample_rand import parse_sample_rand, parse_sample_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_HEX_32 = re.compile(r"[0-9a-f]{32}")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def explain_baggage(headers: Mapping[str, str]) -> Explained:
    """Explain the `baggage` among these headers."""
    value = headers[BAGGAGE]
    dsc, others = baggage_of(headers)
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
    if len(raw) > MAX_MEMBERS:
        yield Problem("limit", header, f"It has {len(raw)} members; {MAX_MEMBERS} are certain to pass.", _CUT)
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
