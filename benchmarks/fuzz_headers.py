"""Claim: no header does harm: no exception, no decision that the headers do not state, no ids of zero.

`python benchmarks/fuzz_headers.py [INPUTS] [SEED]` puts random and mutated headers through `extract`, a span and
`inject`, a million of them unless told otherwise, and exits with 1 at the first fault.
"""

from __future__ import annotations

import random
import re
import sys
from typing import Any

from opentelemetry import context as context_api
from opentelemetry import propagate

import bridge
from bridge._internal.guard import fault_counts

T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"
SEEDS = {
    "sentry-trace": [f"{T}-{S}-1", f"{T}-{S}-0", f"{T}-{S}", "1", f"{T}-{S}-1,{T}-{S}-0"],
    "baggage": [
        f"sentry-trace_id={T},sentry-sample_rate=0.25,sentry-sample_rand=0.1,sentry-sampled=true,sentry-org_id=1,x=y;p=1",
        "sentry-sampled=true,sentry-sample_rate=1",
        "a=b,c=%zz",
    ],
    "traceparent": [f"00-{T}-{S}-01", f"00-{T}-{S}-00", f"cc-{T}-{S}-03-x"],
    "tracestate": ["sentry=s:1;r:0.25;n:0.1,ot=th:c;rv:00000000000001", "a=1,b@c=2", "sentry=s:1"],
}
ALPHABET = "0123456789abcdefABCDEF-,;=:%. \t\r\nxsentry_\x00\x7f\u00e9\u4e00\ud800"
HEADER = re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}-1")
WEIRD: tuple[Any, ...] = (None, 1, b"\xff\xfe", [], [None], ["", f"{T}-{S}-1"], {"a": 1}, object())


def mutated(chance: random.Random, text: str) -> str:
    """Return the text with a few of its characters changed, removed or doubled."""
    characters = list(text)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(characters) + 1)
        characters[at : at + chance.randrange(3)] = chance.choices(ALPHABET, k=chance.randrange(3))
    return "".join(characters)


def headers(chance: random.Random) -> dict[str, Any]:
    """Return some headers."""
    found: dict[str, Any] = {}
    for name, texts in SEEDS.items():
        kind = chance.random()
        if kind < 0.5:
            found[name] = mutated(chance, chance.choice(texts))
        elif kind < 0.6:
            found[name] = "".join(chance.choices(ALPHABET, k=chance.randrange(60)))
        elif kind < 0.65:
            found[name] = chance.choice(WEIRD)
    return found


def says_sampled(given: dict[str, Any]) -> bool:
    """Whether anything in the headers says that the trace is sampled, by the strictest reading."""
    if HEADER.search(str(given.get("sentry-trace"))):
        return True
    parent = str(given.get("traceparent"))
    flagged = re.search(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f][13579bdf]", parent)
    stated = re.search(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", parent) and "sentry=" in str(
        given.get("tracestate")
    )
    return bool(flagged or stated)


def fault_of(given: dict[str, Any]) -> str | None:
    """Put headers through the library, at a rate of 0; returns what went wrong."""
    out: dict[str, str] = {}
    token = context_api.attach(propagate.extract(given))
    with bridge.start_span("request") as span:
        propagate.inject(out)
    context_api.detach(token)
    if span.sampled and not says_sampled(given):
        return "it was sampled"
    if not int(span.trace_id, 16) or not int(span.span_id, 16) or span.parent_span_id == "0" * 16:
        return "an id is zero"
    if not re.fullmatch(r"[0-9a-f]{32}-[0-9a-f]{16}-[01]", out["sentry-trace"]):
        return f"sentry-trace is {out['sentry-trace']!r}"
    if not all(value.isascii() and value.isprintable() for value in out.values()):
        return f"headers that cannot be sent: {out!r}"
    return None


def run(inputs: int, seed: int = 1) -> str | None:
    """Return the first fault, `None` if there is none."""
    chance = random.Random(seed)
    before = sum(fault_counts().values())
    bridge.init("http://key@127.0.0.1:9/1", traces_sample_rate=0.0, transport=lambda envelope: None)
    try:
        for _ in range(inputs):
            given = headers(chance)
            if fault := fault_of(given):
                return f"{fault}: {given!r}"
            if sum(fault_counts().values()) > before:
                return f"a fault was caught: {given!r}"
    finally:
        bridge.close()
    return None


def main(inputs: int = 1_000_000, seed: int = 1) -> int:
    """Print what was found."""
    fault = run(inputs, seed)
    print(f"{inputs} inputs, seed {seed}: {fault or 'no fault'}")
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
