"""W3C Trace Context, level 2, rule by rule: a `bridge` service is as strict as OpenTelemetry alone, and no stricter."""

from __future__ import annotations

import re

import pytest

from tests.interop.fleet import Fleet, Hop

pytestmark = pytest.mark.neighbour
T, S = "12345678901234567890123456789012", "1234567890123456"
GOOD = f"00-{T}-{S}-01"
OTHER = f"00-{'a' * 32}-{S}-01"
FORM = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
LONG_KEY, LONG_TENANT = "z" * 256, f"{'t' * 241}@{'v' * 14}"

CONTINUED = {
    "a valid one": [("traceparent", GOOD)],
    "a name in another case": [("TraceParent", GOOD)],
    "a name in capitals": [("TRACEPARENT", GOOD)],
    "white space around it": [("traceparent", f" \t{GOOD}\t ")],
    "a future version": [("traceparent", f"cc-{T}-{S}-01")],
    "a future version with more fields": [("traceparent", f"cc-{T}-{S}-01-what-comes")],
    "unknown flags": [("traceparent", f"00-{T}-{S}-ff")],
}
NOT_CONTINUED = {
    "none": [],
    "two": [("traceparent", OTHER), ("traceparent", GOOD)],
    "another name": [("trace-parent", GOOD), ("trace.parent", GOOD)],
    "version 00 with more": [("traceparent", f"{GOOD}-what-comes")],
    "version 00 with a stop": [("traceparent", f"{GOOD}.")],
    "a future version with a stop": [("traceparent", f"cc-{T}-{S}-01.what-comes")],
    "version ff": [("traceparent", f"ff-{T}-{S}-01")],
    "an illegal version": [("traceparent", f".0-{T}-{S}-01")],
    "a long version": [("traceparent", f"000-{T}-{S}-01")],
    "a short version": [("traceparent", f"0-{T}-{S}-01")],
    "a trace id of zeros": [("traceparent", f"00-{'0' * 32}-{S}-01")],
    "an illegal trace id": [("traceparent", f"00-.{T[1:]}-{S}-01")],
    "a trace id in capitals": [("traceparent", f"00-{'A' * 32}-{S}-01")],
    "a long trace id": [("traceparent", f"00-{T}3-{S}-01")],
    "a short trace id": [("traceparent", f"00-{T[1:]}-{S}-01")],
    "a span id of zeros": [("traceparent", f"00-{T}-{'0' * 16}-01")],
    "an illegal span id": [("traceparent", f"00-{T}-{S[1:]}.-01")],
    "a long span id": [("traceparent", f"00-{T}-{S}7-01")],
    "a short span id": [("traceparent", f"00-{T}-{S[1:]}-01")],
    "illegal flags": [("traceparent", f"00-{T}-{S}-.0")],
    "long flags": [("traceparent", f"00-{T}-{S}-001")],
    "short flags": [("traceparent", f"00-{T}-{S}-1")],
    "nothing but dashes": [("traceparent", "---")],
}
STATES: dict[str, tuple[list[str], list[str] | None]] = {
    "one member": (["foo=1"], ["foo=1"]),
    "members in order": (["foo=1,bar=2"], ["foo=1", "bar=2"]),
    "several headers": (["foo=1", "bar=2", "rojo=3"], ["foo=1", "bar=2", "rojo=3"]),
    "white space": (["foo=1 \t , \t bar=2"], ["foo=1", "bar=2"]),
    "empty members": (["foo=1,,bar=2", "", " "], ["foo=1", "bar=2"]),
    "all characters of a key": (["abcdefghijklmnopqrstuvwxyz0123456789_-*/=1"], None),
    "a tenant": (["t-0@v=1"], ["t-0@v=1"]),
    "a long key": ([f"{LONG_KEY}=1"], [f"{LONG_KEY}=1"]),
    "a long tenant": ([f"{LONG_TENANT}=1"], [f"{LONG_TENANT}=1"]),
    "a value with signs": (["foo=:-)"], ["foo=:-)"]),
    "32 members": ([",".join(f"k{n}=1" for n in range(31))], [f"k{n}=1" for n in range(31)]),
}
BAD_STATES = {
    "a key in capitals": "FOO=1",
    "a space in a key": "foo =1",
    "a key with a stop": "foo.bar=1",
    "no tenant": "@foo=1",
    "no system": "foo@=1",
    "two tenants": "foo@@bar=1",
    "a key that is too long": f"{LONG_KEY}z=1",
    "a value with =": "foo=bar=baz",
    "no value": "foo=",
    "33 members": ",".join(f"k{n}=1" for n in range(33)),
}
NAMES = ("bridge", "otel-python")


def state_of(hop: Hop) -> list[str]:
    """The members that a service sends, but for those that say our own decision."""
    members = [member for member in hop.sent.get("tracestate", "").split(",") if member]
    return [member for member in members if not member.startswith(("sentry=", "ot="))]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("headers", CONTINUED.values(), ids=CONTINUED.keys())
def test_a_traceparent_that_is_continued(fleet: Fleet, name: str, headers: list[tuple[str, str]]) -> None:
    """Same trace, the sender as parent, a span id of our own."""
    hop = fleet.raw(name, headers)
    assert (hop.trace_id, hop.parent_span_id) == (T, S)
    assert FORM.fullmatch(hop.sent["traceparent"])
    assert hop.sent["traceparent"][3:35] == T
    assert hop.sent["traceparent"][36:52] != S
    assert hop.sampled


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("headers", NOT_CONTINUED.values(), ids=NOT_CONTINUED.keys())
def test_a_traceparent_that_is_not(fleet: Fleet, name: str, headers: list[tuple[str, str]]) -> None:
    """A new trace, with a valid header of its own and none of the trace state that came along."""
    hop = fleet.raw(name, [*headers, ("tracestate", "foo=1")])
    assert hop.parent_span_id is None
    assert FORM.fullmatch(hop.sent["traceparent"])
    assert not any(part in hop.sent["traceparent"] for part in (T[1:], "a" * 32, "0" * 32, S))
    assert state_of(hop) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("state", "expected"), STATES.values(), ids=STATES.keys())
def test_a_tracestate_that_is_passed_on(fleet: Fleet, name: str, state: list[str], expected: list[str] | None) -> None:
    """Members of others keep their order; ours is the left-most."""
    headers = [("traceparent", GOOD), *[("TraceState", value) for value in state]]
    hop = fleet.raw(name, headers)
    assert hop.trace_id == T
    assert state_of(hop) == (state if expected is None else expected)
    if name == "bridge":
        assert hop.sent["tracestate"].startswith("sentry=")
        assert hop.sent["tracestate"].count(",") < 32


@pytest.mark.parametrize("state", BAD_STATES.values(), ids=BAD_STATES.keys())
def test_a_tracestate_that_is_malformed(fleet: Fleet, state: str) -> None:
    """The trace goes on; of the members no more are passed on than OpenTelemetry alone passes on."""
    ours, theirs = (fleet.raw(name, [("traceparent", GOOD), ("tracestate", state)]) for name in NAMES)
    assert ours.trace_id == theirs.trace_id == T
    assert state_of(ours) == state_of(theirs)


@pytest.mark.parametrize("name", NAMES)
def test_each_request_is_a_span_of_its_own(fleet: Fleet, name: str) -> None:
    """Span ids are never used twice; the random flag is passed on."""
    headers = [("traceparent", f"00-{T}-{S}-03")]
    hops = [fleet.raw(name, headers) for _ in range(5)]
    assert len({hop.sent["traceparent"] for hop in hops}) == 5
    assert {hop.sent["traceparent"][-2:] for hop in hops} == {"03"}
