"""The wire's codecs, a table each."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge._internal.propagation.propagator import may_continue
from bridge._internal.wire.baggage import MAX_BYTES, merge_baggage, parse_dsc, render_dsc, split_baggage
from bridge._internal.wire.carrier import environment_carrier, read_headers
from bridge._internal.wire.sample_rand import (
    RANDOM_BITS,
    backfill_sample_rand,
    format_sample_rand,
    format_sample_rate,
    parse_sample_rand,
    parse_sample_rate,
    sample_rand_from_random_bits,
)
from bridge._internal.wire.sentry_trace import SentryTrace, format_sentry_trace, parse_sentry_trace
from bridge._internal.wire.sigv4 import signed_headers
from bridge._internal.wire.targets import Targets
from bridge._internal.wire.tracestate import (
    OtState,
    SentryState,
    format_ot_member,
    format_sentry_member,
    format_tracestate,
    parse_ot_member,
    parse_sentry_member,
    parse_tracestate,
    rate_for_threshold,
    threshold_for_rate,
)

T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"
MANY = ",".join(f"k{n}=v" for n in range(80))
T2, S2 = "00000000000000000000000000000abc", "0000000000000def"


def trace(sampled: bool | None) -> SentryTrace:
    """What a header with these ids says."""
    return SentryTrace(int(T, 16), int(S, 16), sampled)


@pytest.mark.parametrize(
    ("header", "result"),
    [
        (f"{T}-{S}-1", trace(True)),
        (f"{T}-{S}-0", trace(False)),
        (f"{T}-{S}", trace(None)),
        (f"{T}-{S}-", trace(None)),
        (f" \t{T}-{S}-1 \t", trace(True)),
        (f"{T}-{S}-1\n", trace(True)),
        (f"{T}-{S}-1,{T2}-{S2}-0", trace(True)),
        (f",{T}-{S}-1", trace(True)),
        (f" , {T}-{S}-0", trace(False)),
        *[
            (bad, None)
            for bad in (
                T,
                f"{T}-",
                f"{T}-1",
                f"{T}{S}1",
                f"{S}-1",
                "1",
                "0",
                "-",
                "",
                "  ",
                None,
                f"{T.upper()}-{S}-1",
                f"{T}-{S.upper()}-1",
                f"{T[1:]}-{S}-1",
                f"{T}0-{S}-1",
                f"{T}-{S}-2",
                f"{T}-{S}-1-x",
                f"{'0' * 32}-{S}-1",
                f"{T}-{'0' * 16}-1",
                f"x,{T}-{S}-1",
                f"{T}-{S}-\u0661",
            )
        ],
    ],
)
def test_sentry_trace(header: str | None, result: SentryTrace | None) -> None:
    """What is a header, and what counts as absent."""
    assert parse_sentry_trace(header) == result


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.sampled_from([True, False, None]))
def test_sentry_trace_goes_round(trace_id: int, span_id: int, sampled: bool | None) -> None:
    """What is written is read back."""
    assert parse_sentry_trace(format_sentry_trace(trace_id, span_id, sampled)) == SentryTrace(
        trace_id, span_id, sampled
    )


@given(st.text() | st.from_regex(re.compile(r"[0-9a-f]{30,33}-[0-9a-f]{15,17}(-[01x]?)?")))
@example("1")
def test_no_header_breaks_or_forces_anything(header: str) -> None:
    """Whatever is in it: no exception, no zero ids, and nothing but a whole header samples."""
    found = parse_sentry_trace(header)
    assert found is None or (found.trace_id and found.span_id)
    split_baggage(header)
    parse_sentry_member(header)
    parse_ot_member(header)
    parse_tracestate(header)
    assert parse_sample_rand(header) is None or 0 <= float(header) < 1
    rate = parse_sample_rate(header)
    assert rate is None or 0 <= rate <= 1


@pytest.mark.parametrize(
    ("header", "dsc", "others"),
    [
        ("", {}, []),
        ("sentry-trace_id=abc,sentry-sampled=true", {"trace_id": "abc", "sampled": "true"}, []),
        (" sentry-release = a%20b ; p=1 , x = y ; p=2", {"release": "a b"}, ["x = y ; p=2"]),
        ("sentry-a,=b,,sentry-=c,sentry-d=e=f", {"d": "e=f"}, []),
        ("sentry-a=1,sentry-a=2", {"a": "2"}, []),
        ("Sentry-a=1,SENTRY-b=2", {}, ["Sentry-a=1", "SENTRY-b=2"]),
        ("sentry-foo-bar=1", {"foo-bar": "1"}, []),
        ("sentry-a=%zz%", {"a": "%zz%"}, []),
        ("sentry-a=%C3%A4", {"a": "ä"}, []),
        ("sentry-a=%FF", {"a": "\ufffd"}, []),
    ],
)
def test_baggage(header: str, dsc: dict[str, str], others: list[str]) -> None:
    """Sentry's members are told from those of others, which stay as they are."""
    assert split_baggage(header) == (dsc, others)


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"))))
def test_a_dsc_goes_round(dsc: dict[str, str]) -> None:
    """What is written is read back, whatever the names and values."""
    assert parse_dsc(render_dsc(dsc)) == dsc


@pytest.mark.parametrize(
    ("dsc", "others", "merged"),
    [
        ("", (), ""),
        ("sentry-a=1", (), "sentry-a=1"),
        ("sentry-a=1", ("x=y",), "sentry-a=1,x=y"),
        ("sentry-a=1", ("x=1, y=2;p", "x=3,z=4"), "sentry-a=1,x=1,y=2;p,z=4"),
        ("sentry-a=1", ("sentry-old=9,x=1",), "sentry-a=1,x=1"),
        ("", ("sentry-old=9,x=1",), "x=1"),
        (f"sentry-a={'v' * MAX_BYTES}", ("x=1",), "x=1"),
        ("sentry-a=1", (f"x={'v' * MAX_BYTES},y=2",), "sentry-a=1,y=2"),
        (
            "sentry-a=1",
            (",".join(f"k{n}=v" for n in range(80)),),
            "sentry-a=1," + ",".join(f"k{n}=v" for n in range(63)),
        ),
    ],
)
def test_merged_baggage(dsc: str, others: tuple[str, ...], merged: str) -> None:
    """Sentry's members first, whole or not at all; others' members never twice and never cut."""
    assert merge_baggage(dsc, *others) == merged


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (SentryState(True, 0.25, "0.123456"), "s:1;r:0.25;n:0.123456"),
        (SentryState(False, 1.0, "0.9"), "s:0;r:1.0;n:0.9"),
        (SentryState(None, None, "0.000001"), "n:0.000001"),
    ],
)
def test_our_trace_state_member(state: SentryState, text: str) -> None:
    """The decision and its numbers, short and valid by the W3C grammar."""
    assert format_sentry_member(state) == text
    assert parse_sentry_member(text) == state


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("", None),
        ("x", None),
        ("s:2;r:9;n:1.0", None),
        ("s:1;r:nan", None),
        ("s:1;n:1.0", None),
        ("s:true;r:0.5", None),
        ("s:1;other:x", SentryState(True, None, None)),
    ],
)
def test_a_bad_trace_state_member(text: str, state: SentryState | None) -> None:
    """A member with a part that cannot be read is ignored whole; a part that is unknown is not."""
    assert parse_sentry_member(text) == state


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("th:c", OtState(0xC0000000000000)),
        ("th:0", OtState(0)),
        ("th:c;rv:00000000000001", OtState(0xC0000000000000, 1)),
        ("rv:1;th:xyz;other:1", OtState(None, None, ("other:1",))),
    ],
)
def test_opentelemetrys_trace_state_member(text: str, state: OtState) -> None:
    """Threshold and random value; other parts stay."""
    assert parse_ot_member(text) == state
    if state.threshold is not None:
        assert format_ot_member(state) == text


def test_trace_state_members_keep_their_order() -> None:
    """Members in order, at most 32."""
    assert parse_tracestate("a=1, b=2=3,c") == [("a", "1"), ("b", "2=3")]
    assert format_tracestate([(f"k{n}", "v") for n in range(40)]).count(",") == 31


@given(st.integers(0, 2**RANDOM_BITS - 1), st.integers(1, 10**6))
@example(0, 10**6)
@example(2**RANDOM_BITS - 1, 1)
def test_sentry_and_opentelemetry_keep_the_same_traces(random_bits: int, micro_rate: int) -> None:
    """`sample_rand < rate` says what `R >= (1 - rate) * 2**56` says, in exact arithmetic, at any six-decimal rate."""
    rand = sample_rand_from_random_bits(random_bits)
    kept_by_otel = random_bits * 10**6 >= (10**6 - micro_rate) * 2**RANDOM_BITS
    assert (rand < micro_rate / 10**6) is kept_by_otel
    assert format_sample_rand(rand) == f"{rand:.6f}"


@pytest.mark.parametrize("micro_rate", [1, 2, 3, 250_000, 333_333, 500_000, 999_999, 10**6])
def test_at_the_threshold_itself(micro_rate: int) -> None:
    """The first random value that is kept, and the last one that is not."""
    first = -(-(10**6 - micro_rate) * 2**RANDOM_BITS // 10**6)
    assert sample_rand_from_random_bits(first) < micro_rate / 10**6
    if first:
        assert not sample_rand_from_random_bits(first - 1) < micro_rate / 10**6


@pytest.mark.parametrize(("rand", "text"), [(0.9999999, "0.999999"), (0.0, "0.000000"), (0.1234567, "0.123456")])
def test_sample_rand_is_truncated(rand: float, text: str) -> None:
    """Six decimals, never rounded up to one."""
    assert format_sample_rand(rand) == text


@pytest.mark.parametrize(
    ("text", "usable"),
    [("0.5", True), ("0", True), ("0.12345678901234", True), (".5", True), ("1e-3", True)]
    + [
        (bad, False)
        for bad in ("abc", "null", "1.0", "47", "-0.1", "nan", "inf", "0_1", " 0.5", "0.5 ", "", None, "\u0660.\u0665")
    ],
)
def test_an_incoming_sample_rand(text: str | None, usable: bool) -> None:
    """A number in [0, 1) as it stands; anything else is as if absent."""
    assert parse_sample_rand(text) == (text if usable else None)


@given(st.integers(0, 2**RANDOM_BITS - 1), st.booleans(), st.floats(0, 1))
def test_a_filled_in_sample_rand_gives_the_decision(random_bits: int, sampled: bool, rate: float) -> None:
    """A rand that is made for a known decision gives that decision; an impossible pair gives none."""
    rand = backfill_sample_rand(random_bits, sampled, rate)
    if rand is None:
        assert rate == 0 if sampled else rate > 1 - 1e-6
    else:
        assert 0 <= rand < 1
        assert (rand < rate) is sampled


@pytest.mark.parametrize(("rate", "text"), [(0.25, "0.25"), (1, "1.0"), (True, "1.0"), (0, "0.0")])
def test_a_rate_is_a_json_number(rate: float, text: str) -> None:
    """Never `True`."""
    assert format_sample_rate(rate) == text
    assert parse_sample_rate(text) == rate


@pytest.mark.parametrize("rate", [1.0, 0.5, 0.25, 0.1, 0.000001])
def test_thresholds(rate: float) -> None:
    """A rate and its rejection threshold."""
    assert rate_for_threshold(threshold_for_rate(rate)) == pytest.approx(rate, abs=1e-15)


@pytest.mark.parametrize(
    ("theirs", "ours", "lenient", "strict"),
    [
        ("1", "1", True, True),
        (None, "1", True, False),
        ("1", None, True, False),
        (None, None, True, True),
        ("1", "2", False, False),
    ],
)
def test_continuation(theirs: str | None, ours: str | None, lenient: bool, strict: bool) -> None:
    """Never across organisations; strictly only where both or neither are known."""
    assert may_continue(theirs, ours, False) is lenient
    assert may_continue(theirs, ours, True) is strict


@pytest.mark.parametrize(
    ("targets", "url", "matches"),
    [
        (None, "http://a/", True),
        ([], "http://a/", False),
        (["a.example"], "https://a.example/x", True),
        (["b.example"], "https://a.example/x", False),
        ([re.compile(r"^/api")], "/api/1", True),
        ([re.compile(r"^/api")], "http://h/api", False),
    ],
)
def test_targets(targets: list[str | re.Pattern[str]] | None, url: str, matches: bool) -> None:
    """All, none, substrings and patterns; asked twice, the answer is remembered."""
    compiled = Targets(targets)
    assert compiled.matches(url) is matches
    assert compiled.matches(url) is matches


@pytest.mark.parametrize(
    "headers",
    [
        {"sentry-trace": "A", "baggage": "B"},
        {"Sentry-Trace": "A", "BAGGAGE": "B"},
        {b"sentry-trace": b"A", b"baggage": b"B"},
        {"HTTP_SENTRY_TRACE": "A", "HTTP_BAGGAGE": "B"},
        {"SENTRY_TRACE": "A", "SENTRY_BAGGAGE": "B", 1: "x"},
        {"sentry-trace": ["A"], "baggage": (b"B",), "traceparent": None, "tracestate": 5},
    ],
)
def test_carriers(headers: dict[object, object]) -> None:
    """Headers in any case, as text, bytes or lists, as WSGI and the environment name them."""
    assert read_headers(headers) == {"sentry-trace": "A", "baggage": "B"}


def test_several_baggage_headers_are_one() -> None:
    """A list is joined by commas; bytes that are no UTF-8 do not matter."""
    assert read_headers({"baggage": ["a=1", b"b=2", None, b"\xff"]}) == {"baggage": "a=1,b=2,\ufffd"}


@pytest.mark.parametrize(("use", "found"), [(None, True), ("1", True), ("false", False), ("No", False), ("0", False)])
def test_the_environment_as_carrier(use: str | None, found: bool) -> None:
    """A parent process's headers, unless SENTRY_USE_ENVIRONMENT is off."""
    environ = {"SENTRY_TRACE": "A"} | ({} if use is None else {"SENTRY_USE_ENVIRONMENT": use})
    assert environment_carrier(environ) == ({"sentry-trace": "A"} if found else {})


@pytest.mark.parametrize(
    ("authorization", "signed"),
    [
        ("", set()),
        ("Bearer x", set()),
        ("AWS4-HMAC-SHA256 SignedHeaders=host;baggage, Signature=b", {"host", "baggage"}),
        ("AWS4-HMAC-SHA256 Credential=a", set()),
    ],
)
def test_signed_requests(authorization: str, signed: set[str]) -> None:
    """Which headers an AWS signature covers."""
    assert signed_headers(authorization) == signed
