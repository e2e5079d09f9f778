"""`python -m bridge decode`: what headers say, where they disagree, and what bridge does with them."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import baggage, propagate, trace
from opentelemetry.context.context import Context
from opentelemetry.trace import SpanKind

import bridge
from bridge._internal.cli import main
from bridge._internal.decode.decoder import decode
from bridge._internal.decode.input import UnreadableError, read_text
from bridge._internal.decode.text import report_lines
from bridge._internal.options import resolve
from bridge._internal.wire.baggage import parse_dsc
from bridge._internal.wire.carrier import read_headers
from bridge._internal.wire.sentry_trace import parse_sentry_trace
from bridge.testing import capture
from tests.benchmark import load

T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"
OTHER = "0af7651916cd43dd8448eb211c80319c"
KEY = "5e17a1de5e17a1de5e17a1de5e17a1de"
DSC = f"sentry-trace_id={T},sentry-public_key={KEY}"


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["decode", *arguments])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_headers_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Every part of all four headers is named and explained, followed by what bridge would do with them."""
    code, text = run(
        capsys,
        f"sentry-trace: {T}-{S}-1",
        f"baggage: {DSC},sentry-sample_rate=0.25,sentry-sample_rand=0.123456,sentry-sampled=true,sentry-org_id=1"
        ",c=%20d",
        f"traceparent: 00-{T}-{S}-03",
        "tracestate: sentry=s:1;r:0.25;n:0.123456,ot=th:c;rv:e0652a00000000,vendor=x",
    )
    told, _, outcome = text.partition("What bridge does")
    assert code == 0
    assert " ".join(told.split()) == " ".join(
        [
            "sentry-trace",
            f"trace id {T} the trace to continue",
            f"parent span id {S} the caller's span, parent of the receiver's",
            "flag 1 sampled",
            "baggage 194 bytes, 7 members",
            f"sentry-trace_id {T} the trace that the Sentry members describe",
            f"sentry-public_key {KEY} the key of the project that started the trace and whose rules sample it",
            "sentry-sample_rate 0.25 the sample rate where the trace started: 25 %",
            "sentry-sample_rand 0.123456 the trace's random number: sampled at any rate above it",
            "sentry-sampled true the sampling decision where the trace started",
            "sentry-org_id 1 the organisation that started the trace; others do not continue it",
            "c d user baggage",
            "traceparent",
            "version 00",
            f"trace id {T} the trace to continue",
            f"parent id {S} the caller's span, parent of the receiver's",
            "flags 03 sampled, random trace id",
            "tracestate 63 characters, 3 members",
            "sentry s 1 Sentry's decision: sampled",
            "sentry r 0.25 the rate of that decision: 25 %",
            "sentry n 0.123456 the trace's random number: sampled at any rate above it",
            "ot th c rejection threshold T: a probability of 0.25",
            "ot rv e0652a00000000 the trace's random value R: sampled at a rate of 0.123456 and above",
            "vendor x another vendor's, forwarded unchanged",
        ]
    )
    lines = outcome.splitlines()
    assert lines[1] == f"  continues  trace {T}, below span {S}, by sentry-trace"
    assert lines[2].startswith("  decides    sampled: the flag of sentry-trace says so")
    assert lines[3:5] == ["  baggage    c = d", "  sends on   with the id of its own span:"]
    assert lines[5].startswith(f"    sentry-trace: {T}-")
    assert lines[-1] == "    tracestate: sentry=s:1;r:0.25;n:0.123456,ot=th:c;rv:e0652a00000000,vendor=x"


def found(**headers: str) -> list[tuple[str, str, str]]:
    """The kinds of problems, what they say, and what comes of them."""
    report = decode({name.replace("_", "-"): value for name, value in headers.items()})
    return [(problem.kind, problem.what, problem.effect) for problem in report.problems]


@pytest.mark.parametrize(
    "value",
    [
        "",
        T,
        f"{T}-{S}-1-x",
        f"{T[1:]}-{S}",
        f"{T}-{S}0",
        f"{T.upper()}-{S}",
        f"{T}-{S[1:]}g",
        f"{'0' * 32}-{S}",
        f"{T}-{S}-2",
    ],
)
def test_a_malformed_sentry_trace(value: str) -> None:
    """A malformed value is reported with the expected form, and with its effect."""
    what = "Expected <trace id>-<span id> or <trace id>-<span id>-<flag>: 32 and 16 lower-case hex digits, 1 or 0."
    assert found(sentry_trace=value) == [("malformed", what, "Receivers ignore it.")]


@pytest.mark.parametrize(
    "value",
    [
        f"00-{T}-{S}",
        f"0-{T}-{S}-01",
        f"ff-{T}-{S}-01",
        f"00-{T[2:]}-{S}-01",
        f"00-{T}-{'0' * 16}-01",
        f"00-{T}-{S}-1",
        f"00-{T}-{S}-01-x",
        f"00-{T}-{S}-01,00-{T}-{S}-01",
    ],
)
def test_a_malformed_traceparent(value: str) -> None:
    """A malformed value is reported with the expected form; tracestate is ignored with it."""
    what = "Expected <version>-<trace id>-<parent id>-<flags>: 2, 32, 16 and 2 lower-case hex digits."
    assert found(traceparent=value) == [("malformed", what, "Receivers ignore it, and tracestate with it.")]


MALFORMED_BAGGAGE = [
    ("sentry-sample_rate=2", "sentry-sample_rate is '2'.", "Receivers ignore it."),
    ("sentry-sample_rand=1.0", "sentry-sample_rand is '1.0'.", None),
    ("sentry-sampled=True", "sentry-sampled is 'True'.", None),
    ("sentry-replay_id=x", "sentry-replay_id is 'x'.", "It is forwarded unchanged."),
    ("sentry-release=", "sentry-release is ''.", "It is forwarded unchanged."),
    ("sentry-release=a,sentry-release=b", "sentry-release occurs more than once.", "The last one counts."),
    ("a", "'a' has no name and value.", "Receivers skip it."),
    ("a b=c", "'a b=c' is not a baggage member.", "OpenTelemetry ignores it."),
]


@pytest.mark.parametrize(("member", "what", "effect"), MALFORMED_BAGGAGE)
def test_a_malformed_baggage(member: str, what: str, effect: str | None) -> None:
    """Each malformed member is named, with its effect on a receiver."""
    [(kind, said, comes_of_it)] = found(sentry_trace=f"{T}-{S}", baggage=f"{DSC},{member}")
    assert (kind, said) == ("malformed", what)
    assert effect in (None, comes_of_it)


@pytest.mark.parametrize(
    ("value", "kind", "what"),
    [
        ("a=1,a=2", "malformed", "Expected lower-case keys, each once, with = and a value without commas."),
        ("A=1", "malformed", "Expected lower-case keys, each once, with = and a value without commas."),
        ("a=1,b", "malformed", "Expected lower-case keys, each once, with = and a value without commas."),
        ("ot=th:xyz", "malformed", "ot th=xyz is malformed."),
        ("ot=rv:1", "malformed", "ot rv=1 is malformed."),
        ("sentry=s:2;r:0.5", "malformed", "sentry=s:2;r:0.5 is malformed."),
        ("sentry=x", "malformed", "sentry=x is malformed."),
        (",".join(f"k{n}=1" for n in range(33)), "limit", "It has 33 members; at most 32 are allowed."),
        (f"a={'x' * 200},b={'x' * 200},c={'x' * 200}", "limit", "It has 608 characters; services must accept 512."),
    ],
)
def test_a_malformed_tracestate(value: str, kind: str, what: str) -> None:
    """A malformed part is named, and so is a member for which OpenTelemetry drops the whole header."""
    [(told_kind, said, _)] = found(traceparent=f"00-{T}-{S}-01", tracestate=value)
    assert (told_kind, said) == (kind, what)


def test_limits_of_baggage() -> None:
    """Headers larger than what services must accept are reported."""
    many = found(baggage=",".join(f"k{n}=1" for n in range(65)))
    assert many[0][:2] == ("limit", "It has 65 members; services must accept 64.")
    large = found(baggage=f"a={'x' * 9000}")
    assert ("limit", "It has 9002 bytes; services must accept 8192.") in [one[:2] for one in large]


W3C = f"00-{T}-{S}-01"
KEPT = f"{DSC},sentry-sample_rate=0.25,sentry-sample_rand=0.1,sentry-sampled=true"


@pytest.mark.parametrize(
    ("headers", "what"),
    [
        (
            {"sentry_trace": f"{T}-{S}-1", "traceparent": f"00-{OTHER}-{S}-01", "baggage": KEPT},
            f"They name different traces: {T} and {OTHER}.",
        ),
        (
            {"sentry_trace": f"{T}-{S}-1", "traceparent": f"00-{T}-{'a' * 16}-01", "baggage": KEPT},
            f"They name different parents: {S} and {'a' * 16}.",
        ),
        (
            {"sentry_trace": f"{T}-{S}-1", "traceparent": f"00-{T}-{S}-00", "baggage": KEPT},
            "sentry-trace says sampled, traceparent says not sampled.",
        ),
        (
            {"sentry_trace": f"{OTHER}-{S}-1", "baggage": KEPT},
            f"The Sentry members describe trace {T} instead of {OTHER}.",
        ),
        (
            {"traceparent": f"00-{OTHER}-{S}-01", "baggage": KEPT},
            f"The Sentry members describe trace {T} instead of {OTHER}.",
        ),
        ({"sentry_trace": f"{T}-{S}-0", "baggage": KEPT}, "The flag is not sampled, sentry-sampled says sampled."),
        ({"sentry_trace": f"{T}-{S}", "baggage": KEPT}, "The flag is deferred, sentry-sampled says sampled."),
        (
            {"sentry_trace": f"{T}-{S}-1", "baggage": KEPT.replace("0.1", "0.9")},
            "sample_rand 0.9 >= sample_rate 0.25, but sampled is true.",
        ),
        (
            {"traceparent": f"00-{T}-{S}-00", "tracestate": "sentry=s:1"},
            "sentry= says sampled, the flag of traceparent says otherwise.",
        ),
        (
            {"sentry_trace": f"{T}-{S}-1", "traceparent": W3C, "tracestate": "sentry=s:0", "baggage": KEPT},
            "sentry= says not sampled, sentry-trace says sampled.",
        ),
        (
            {"traceparent": W3C, "tracestate": "sentry=s:1;r:0.5;n:0.1", "baggage": KEPT},
            "sentry= has the rate 0.5, baggage has 0.25.",
        ),
        (
            {"traceparent": W3C, "tracestate": "sentry=s:1;r:0.25;n:0.2", "baggage": KEPT},
            "sentry= has the random number 0.2, baggage has 0.1.",
        ),
        (
            {"traceparent": W3C, "tracestate": "ot=th:c;rv:00000000000001"},
            "R (rv, 00000000000001) < T (c0000000000000), but the flag says sampled.",
        ),
        (
            {"traceparent": f"00-{T}-{S}-00", "tracestate": "ot=th:0"},
            "R (the trace id's last 56 bits, 36d5159a501700) >= T (00000000000000), but the flag says not sampled.",
        ),
        (
            {"traceparent": W3C, "tracestate": "ot=th:8;rv:e6666666666665", "baggage": KEPT},
            "th is a probability of 50 %, sentry-sample_rate is 25 %.",
        ),
        (
            {"traceparent": W3C, "tracestate": "ot=rv:f0000000000000", "baggage": KEPT},
            "rv stands for a sample_rand of 0.062499, sentry-sample_rand is 0.1.",
        ),
    ],
)
def test_disagreements(headers: dict[str, str], what: str) -> None:
    """Each conflict is found, reported once, and with its effect."""
    assert [(kind, said) for kind, said, _ in found(**headers)] == [("disagreement", what)]
    assert found(**headers)[0][2]


@pytest.mark.parametrize("rate", [None, 0.0, 0.3, 1.0])
@pytest.mark.parametrize("incoming", ["", f"{T}-{S}", f"{T}-{S}-1", f"{T}-{S}-0"])
@pytest.mark.parametrize("with_dsc", [False, True])
def test_what_the_bridge_sends_agrees(rate: float | None, incoming: str, with_dsc: bool) -> None:
    """Headers that bridge itself writes are never malformed or in conflict, at any rate."""
    headers = {"sentry-trace": incoming} if incoming else {}
    if incoming and with_dsc:
        headers["baggage"] = f"{DSC},sentry-sample_rand=0.5"
    options: dict[str, Any] = {"traces_sample_rate": rate}
    with (
        capture("https://key@o1.ingest.example/1", **options),
        bridge.continue_trace(headers),
        bridge.start_span("job"),
    ):
        out = bridge.trace_headers()
    assert decode(out).problems == []


# Forms of input.

AS_A_DICT = {"sentry-trace": f"{T}-{S}-1", "baggage": f"{DSC},a=b"}
CURL = f"""* Connected to localhost
> GET /checkout HTTP/1.1
> Host: localhost
> sentry-trace: {T}-{S}-1
> Baggage: {DSC}
> baggage: a=b
>
< HTTP/1.1 200 OK
"""


@pytest.mark.parametrize(
    "text",
    [
        CURL,
        json.dumps(AS_A_DICT),
        json.dumps({"Sentry-Trace": f"{T}-{S}-1", "Baggage": [DSC, "a=b"]}),
        f"PATH=/bin\nSENTRY_TRACE={T}-{S}-1\nSENTRY_BAGGAGE={DSC},a=b\n",
        f"HTTP_SENTRY_TRACE={T}-{S}-1\nHTTP_BAGGAGE={DSC},a=b",
    ],
)
def test_a_paste(text: str) -> None:
    """A request as curl shows it, a JSON object, or an environment."""
    assert read_text(text) == AS_A_DICT


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ([f"sentry-trace: {T}-{S}-1", f"baggage:{DSC},a=b"], AS_A_DICT),
        ([f"sentry-trace={T}-{S}-1", f"baggage={DSC},a=b"], AS_A_DICT),
        ([f"sentry-trace: {T}-{S}-1", f"Baggage: {DSC}", "baggage: a=b"], AS_A_DICT),
        (["tracestate: a=b"], {"tracestate": "a=b"}),
    ],
)
def test_arguments(capsys: pytest.CaptureFixture[str], arguments: list[str], headers: dict[str, str]) -> None:
    """Headers are given as `name: value` or `name=value`."""
    _, text = run(capsys, "--json", *arguments)
    assert {name: told["value"] for name, told in json.loads(text)["headers"].items()} == headers


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "says"),
    [
        ([f"sentry-trace: {T}-{S}-1"], "", 0, "sampled: the flag of sentry-trace says so"),
        ([f"sentry-trace: {T}-{S}-1-"], "", 1, "malformed"),
        ([], f"sentry-trace: {T}-{S}-1", 0, f"trace {T}, below span {S}"),
        (["-"], f"sentry-trace: {T}-{S}-1", 0, f"trace {T}, below span {S}"),
        ([f"{T}-{S}-1"], "", 2, "is no trace header; write its name, as in 'sentry-trace: VALUE'"),
        ([f"sentry-trace: {T}-{S}-1", "a=b"], "", 2, "'a=b' is no trace header"),
        ([], "{", 2, "there is no sentry-trace, baggage, traceparent or tracestate in it"),
        ([], "nothing here", 2, "there is no sentry-trace, baggage, traceparent or tracestate in it"),
        ([], None, 2, "pass headers, as in 'sentry-trace: ...'"),
        ([f"sentry-trace: {T}-{S}-1", "--rate", "7"], "", 2, "option 'traces_sample_rate' got 7.0"),
    ],
)
def test_exit_codes(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    stdin: str | None,
    code: int,
    says: str,
) -> None:
    """0 if all is well, 1 if headers have problems, 2 if there are none; the command never waits for a terminal."""
    monkeypatch.setattr(sys, "stdin", _Terminal() if stdin is None else io.StringIO(stdin))
    answered, text = run(capsys, *arguments)
    assert answered == code
    assert says in text


def test_as_a_command() -> None:
    """The command reads standard input and prints the complete report as JSON."""
    command = [sys.executable, "-m", "bridge", "decode", "--json", "--org-id", "3", "--rate", "1"]
    text = f"sentry-trace: {T}-{S}-0\nbaggage: {DSC},sentry-org_id=4\n"
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=True)
    told = json.loads(done.stdout)
    assert (told["fine"], told["problems"]) == (True, [])
    assert told["headers"]["sentry-trace"]["facts"][0] == {
        "name": "trace id",
        "value": T,
        "meaning": "the trace to continue",
        "well_formed": True,
    }
    assert told["outcome"]["continues"] is None
    assert "the trace is of organisation 4, the receiver of 3" in told["outcome"]["why"]
    assert told["outcome"]["sampled"] is True


@pytest.mark.parametrize(
    ("headers", "options", "continues", "sampled", "why"),
    [
        ({"sentry-trace": f"{T}-{S}-1"}, {}, "sentry-trace", True, "the flag of sentry-trace says so"),
        ({"traceparent": W3C}, {}, "traceparent", True, "the flag of traceparent says so"),
        (
            {"traceparent": W3C, "tracestate": "sentry=s:0"},
            {},
            "traceparent",
            False,
            "sentry= in tracestate says so",
        ),
        (
            {"sentry-trace": f"{T}-{S}"},
            {},
            "sentry-trace",
            None,
            "if the receiver's traces_sample_rate is above sample_rand 0.78",
        ),
        (
            {"sentry-trace": f"{T}-{S}"},
            {"traces_sample_rate": 0.8},
            "sentry-trace",
            True,
            "its sample_rand is 0.785811, at a rate of 0.8",
        ),
        ({"baggage": "a=b"}, {}, None, None, "no header names a trace"),
        (
            {"sentry-trace": f"{T}-{S}-1"},
            {"org_id": "3", "strict_trace_continuation": True},
            None,
            None,
            "only one side names its organisation",
        ),
    ],
)
def test_what_would_be_done(
    headers: dict[str, str], options: dict[str, Any], continues: str | None, sampled: bool | None, why: str
) -> None:
    """The outcome names the header that wins, the decision and its reason; undecided if the receiver's rate decides."""
    outcome = decode(headers, resolve(options, {})).outcome
    assert (outcome.continues, outcome.sampled) == (continues, sampled)
    assert why in outcome.why
    assert bool(outcome.sends_on) is (sampled is not None)


def test_baggage_that_went_through_opentelemetry() -> None:
    """Without sentry-trace, baggage was re-encoded by OpenTelemetry, and a plus is a space, as in the propagator."""
    baggage = f"{DSC},sentry-transaction=GET+%2F%2Ba"
    for headers, name in (({"traceparent": W3C}, "GET /+a"), ({"sentry-trace": f"{T}-{S}-1"}, "GET+/+a")):
        explained = decode({**headers, "baggage": baggage}).headers
        [told] = [fact.value for one in explained for fact in one.facts if fact.name == "sentry-transaction"]
        with capture(), bridge.continue_trace({**headers, "baggage": baggage}), bridge.start_span("job"):
            sent = parse_dsc(bridge.trace_headers()["baggage"])
        assert told == sent["transaction"] == name


def test_it_leaves_the_process_alone() -> None:
    """An active client stays active and sends nothing."""
    with capture() as sent:
        decode({"sentry-trace": f"{T}-{S}-1"})
        assert bridge.is_initialized()
        assert bridge.get_client() is sent.client
        assert sent.spans == []


def test_the_options_of_the_active_client_play_no_part() -> None:
    """The given options describe the receiver, even in a program that has a client of its own."""
    headers = {"sentry-trace": f"{T}-{S}", "baggage": f"{DSC},sentry-org_id=1,sentry-sample_rand=0.5"}
    receiver = resolve({"org_id": "1", "traces_sample_rate": 1.0}, {})
    with capture(org_id="2", strict_trace_continuation=True, traces_sample_rate=0.0) as sent:
        outcome = decode(headers, receiver).outcome
        assert (outcome.continues, outcome.trace_id, outcome.sampled) == ("sentry-trace", T, True)
        assert sent.client.accounting().started == 0


# Arbitrary headers.


@st.composite
def some_headers(draw: st.DrawFn) -> Mapping[str, str]:
    """Headers as the benchmark mutates them, or with any text in them."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    made = read_headers(load("fuzz_headers").headers(chance))
    for name in draw(st.sets(st.sampled_from(["sentry-trace", "baggage", "traceparent", "tracestate"]), max_size=1)):
        made[name] = draw(st.text(max_size=80))
    return made


@pytest.fixture
def client() -> Iterator[None]:
    """A receiver."""
    with capture(traces_sample_rate=0.5):
        yield


@given(headers=some_headers(), width=st.integers(40, 200))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.usefixtures("client")
def test_it_never_disagrees_with_the_library(headers: Mapping[str, str], width: int) -> None:
    """For any headers: no exception, and the trace, the parent and the decision are a real receiver's."""
    report = decode(headers, resolve({"traces_sample_rate": 0.5}, {}))
    context = propagate.extract(headers, Context())
    request = trace.get_tracer("t").start_span("request", context, kind=SpanKind.SERVER)
    outcome = report.outcome
    assert (outcome.continues is None) is (request.parent_span_id is None)
    assert outcome.parent_span_id == request.parent_span_id
    if outcome.continues is not None:
        assert outcome.trace_id == request.trace_id
        assert outcome.sampled is request.sampled
    assert outcome.user_baggage == dict(baggage.get_all(context))
    malformed = any(p.kind == "malformed" and p.headers == ("sentry-trace",) for p in report.problems)
    assert malformed is ("sentry-trace" in headers and parse_sentry_trace(headers["sentry-trace"]) is None)
    json.dumps(report.as_json())
    lines = ["".join(text for text, _ in line) for line in report_lines(report, width)]
    assert all(line.isprintable() for line in lines)
    request.end()


@given(text=st.text(max_size=200))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_paste_is_read_or_refused(text: str) -> None:
    """Any text is read, or refused with a message."""
    try:
        given_headers = read_text(text)
    except UnreadableError:
        return
    decode(given_headers)
