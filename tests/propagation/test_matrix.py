"""What goes out, and whether a trace is continued: the two tables, one parametrised test each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry import propagate, trace
from opentelemetry.context.context import Context
from opentelemetry.trace import SpanKind

import bridge
from bridge._internal.context.context_values import attached
from bridge._internal.options import Options
from bridge._internal.wire.baggage import parse_dsc
from bridge.otel import SentryPropagator
from bridge.testing import BridgeCapture, capture

T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"
URL = "http://stock.example/pieces"
OFF, NEVER, ALWAYS = None, 0.0, 1.0


def serve(headers: Mapping[str, Any], sent: BridgeCapture) -> tuple[Any, dict[str, str]]:
    """A request comes in and makes one to URL; the server's span and the headers that go out."""
    tracer, out = trace.get_tracer("t"), dict[str, str]()
    with (
        attached(propagate.extract(headers)),
        tracer.start_as_current_span("GET /", kind=SpanKind.SERVER) as server,
        tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes={"url.full": URL}),
    ):
        propagate.inject(out)
    return server, out


@pytest.mark.parametrize("targets", [None, ["stock.example"], ["elsewhere.example"], []])
@pytest.mark.parametrize(
    ("incoming", "rate", "transactions", "flag"),
    [
        ("", OFF, 0, ""),
        ("", NEVER, 0, "-0"),
        ("", ALWAYS, 1, "-1"),
        (f"{T}-{S}", OFF, 0, ""),
        (f"{T}-{S}", NEVER, 0, "-0"),
        (f"{T}-{S}", ALWAYS, 1, "-1"),
        (f"{T}-{S}-1", OFF, 0, "-1"),
        (f"{T}-{S}-1", NEVER, 1, "-1"),
        (f"{T}-{S}-1", ALWAYS, 1, "-1"),
        (f"{T}-{S}-0", OFF, 0, "-0"),
        (f"{T}-{S}-0", NEVER, 0, "-0"),
        (f"{T}-{S}-0", ALWAYS, 0, "-0"),
    ],
)
def test_what_goes_out(incoming: str, rate: float | None, transactions: int, flag: str, targets: list[str]) -> None:
    """For each incoming header and rate: what is sent to Sentry, and with which headers to which URLs."""
    headers = {"sentry-trace": incoming} if incoming else {}
    with capture(traces_sample_rate=rate, trace_propagation_targets=targets) as sent:
        server, out = serve(headers, sent)
        assert len(sent.transactions) == transactions
        for transaction in sent.transactions:
            assert transaction["contexts"]["trace"].get("parent_span_id") == (S if incoming else None)
    if targets is not None and "stock.example" not in targets:
        assert not {"sentry-trace", "baggage"} & out.keys()
        assert "sentry" not in out.get("tracestate", "")
        return
    assert out["sentry-trace"] == f"{server.trace_id}-{out['sentry-trace'][33:49]}{flag}"
    assert server.trace_id == (T if incoming else server.trace_id)
    assert out["traceparent"][3:35] == server.trace_id
    assert parse_dsc(out.get("baggage", "")).get("trace_id") == (None if incoming else server.trace_id)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("theirs", "own", "continues", "continues_strictly"),
    [
        ("1", "1", True, True),
        (None, "1", True, False),
        ("1", None, True, False),
        (None, None, True, True),
        ("1", "2", False, False),
    ],
)
@pytest.mark.parametrize("form", ["sentry-trace", "traceparent"])
@pytest.mark.parametrize("own_by", ["option", "DSN"])
def test_continue_or_not(
    theirs: str | None,
    own: str | None,
    continues: bool,
    continues_strictly: bool,
    strict: bool,
    form: str,
    own_by: str,
) -> None:
    """Never across organisations, strictly only where both or neither are known; what is refused is forgotten whole."""
    value = {"sentry-trace": f"{T}-{S}-1", "traceparent": f"00-{T}-{S}-01"}[form]
    dsc = f"sentry-trace_id={T},sentry-sampled=true,sentry-release=theirs"
    headers = {form: value, "baggage": f"{dsc},sentry-org_id={theirs}" if theirs else dsc}
    options: dict[str, Any] = {"strict_trace_continuation": strict, "traces_sample_rate": 0.0}
    if own is not None:
        options |= (
            {"org_id": int(own)} if own_by == "option" else {"dsn": f"http://public@o{own}.127.0.0.1.nip.example:9/1"}
        )
    expected = continues_strictly if strict else continues
    with capture(**options) as sent, bridge.start_span("around", sampled=True) as around:
        with bridge.continue_trace(headers), bridge.start_span("request") as request:
            out = sent.headers()
        server, _ = serve(headers, sent)
    for span in (request, server):
        assert (span.trace_id == T) is expected
        assert (span.parent_span_id == S) is expected
        assert span.sampled is expected  # by the upstream's flag, or else by the rate
        assert span.trace_id != around.trace_id
        assert span.parent_span_id in (S, None)
    assert (parse_dsc(out["baggage"]).get("release") == "theirs") is expected


def test_the_option_wins_over_the_dsn() -> None:
    """`org_id=` is the organisation, whatever the DSN's host says."""
    headers = {"sentry-trace": f"{T}-{S}-1", "baggage": f"sentry-trace_id={T},sentry-org_id=7"}
    for org_id, expected in ((7, True), (None, False)):
        dsn = "http://public@o8.ingest.example:9/1"
        with capture(dsn=dsn, org_id=org_id), bridge.continue_trace(headers), bridge.start_span("request") as request:
            assert (request.trace_id == T) is expected


@pytest.mark.parametrize(
    ("sentry_trace", "baggage", "sample_rand", "sampled"),
    [
        (f"{T}-{S}", "sentry-sample_rand=0.2", "0.2", True),
        (f"{T}-{S}", "sentry-sample_rand=0.8", "0.8", False),
        (f"{T}-{S}", "sentry-sample_rand=0.49999999999999", "0.49999999999999", True),
        (f"{T}-{S}-1", "sentry-sample_rand=0.9,sentry-sample_rate=0.1", "0.9", True),
        *[(f"{T}-{S}", f"sentry-sample_rand={bad}", None, None) for bad in ("abc", "null", "1.0", "47", "-0.1")],
    ],
)
def test_an_incoming_sample_rand(
    sentry_trace: str, baggage: str, sample_rand: str | None, sampled: bool | None
) -> None:
    """A number in [0, 1) decides, and is passed on as it came; anything else counts as absent."""
    headers = {"sentry-trace": sentry_trace, "baggage": f"sentry-trace_id={T},{baggage}"}
    with capture(traces_sample_rate=0.5) as sent, bridge.continue_trace(headers), bridge.start_span("request") as span:
        dsc, state = parse_dsc(sent.headers()["baggage"]), sent.headers()["tracestate"]
    if sample_rand is None:
        assert f"n:{dsc['sample_rand']}" not in state or 0 <= float(dsc["sample_rand"]) < 1
        assert span.sampled in (True, False)
        return
    assert (span.sampled, dsc["sample_rand"]) == (sampled, sample_rand)
    assert f"n:{sample_rand}" in state


@pytest.mark.parametrize(
    ("flag", "rate", "low", "high"),
    [("-1", "0.25", 0.0, 0.25), ("-0", "0.25", 0.25, 1.0), ("-1", "1.0", 0.0, 1.0), ("-1", "0", 0.0, 1.0)],
)
def test_a_sample_rand_that_is_filled_in(flag: str, rate: str, low: float, high: float) -> None:
    """Where only decision and rate came: a rand that gives that decision; of an impossible pair any, without error."""
    seen: list[Any] = []
    headers = {"sentry-trace": f"{T}-{S}{flag}", "baggage": f"sentry-trace_id={T},sentry-sample_rate={rate}"}
    with capture(traces_sampler=seen.append) as sent, bridge.continue_trace(headers), bridge.start_span("request"):
        state = sent.headers()["tracestate"]
    rand = float(state.split(";n:")[1].split(",")[0])
    assert low <= rand < high
    assert seen[0]["parent_sample_rate"] == float(rate)


def test_a_bare_1_samples_nothing() -> None:
    """What is no header forces no decision."""
    for bad in ("1", "0", "-", T, f"{T}-1", f"{T}-{S}-2", f"x,{T}-{S}-1", T.upper() + f"-{S}-1"):
        with capture(traces_sample_rate=0.0) as sent:
            server, out = serve({"sentry-trace": bad}, sent)
            assert sent.transactions == []
        assert server.trace_id != T
        assert out["sentry-trace"].endswith("-0")


def test_a_stale_dsc_is_dropped() -> None:
    """Of another trace than the one that is continued: neither passed on nor believed."""
    stale = f"sentry-trace_id={'a' * 32},sentry-sampled=true,sentry-sample_rand=0.1,third=party"
    for headers in ({"traceparent": f"00-{T}-{S}-00"}, {"sentry-trace": f"{T}-{S}-0"}):
        with capture(traces_sample_rate=1.0) as sent:
            server, out = serve({**headers, "baggage": stale}, sent)
            assert sent.transactions == []
        assert server.trace_id == T
        assert "a" * 32 not in out["baggage"]
        assert out["baggage"].endswith("third=party")


def test_a_dsc_that_crossed_a_service_without_sentry() -> None:
    """`traceparent` with the trace's own DSC and our member of the trace state: decision and DSC are kept verbatim.

    OpenTelemetry's samplers further on are told the random value that the trace's `sample_rand` stands for.
    """
    dsc = f"sentry-trace_id={T},sentry-sample_rate=0.25,sentry-sample_rand=0.1,sentry-sampled=true,sentry-unknown=x%20y"
    headers = {"traceparent": f"00-{T}-{S}-01", "tracestate": "a=1,sentry=s:1;r:0.25;n:0.1,b=2", "baggage": dsc}
    with capture(traces_sample_rate=0.0) as sent:
        _, out = serve(headers, sent)
        assert len(sent.transactions) == 1
    assert out["baggage"] == dsc
    assert out["tracestate"] == "sentry=s:1;r:0.25;n:0.1,ot=rv:e6666666666665,a=1,b=2"


def test_a_head_dsc_is_frozen_when_it_first_leaves() -> None:
    """A later name is not in it."""
    with capture(release="shop@1") as sent, bridge.start_span("first", source="route") as span:
        first = sent.headers()["baggage"]
        span.description = "second"
        with bridge.start_span("child"):
            assert sent.headers()["baggage"] == first
    assert parse_dsc(first)["transaction"] == "first"
    assert parse_dsc(first)["release"] == "shop@1"


def test_a_remote_parent_without_a_span() -> None:
    """Headers that are passed on without a span of ours have a span id of their own."""
    with capture() as sent, bridge.continue_trace({"sentry-trace": f"{T}-{S}-1"}):
        out = sent.headers()["sentry-trace"]
    assert out[:33] == f"{T}-"
    assert out[33:49] != S
    assert out.endswith("-1")


@pytest.mark.parametrize("flags", ["01", "03"])
def test_flags_are_compared_by_mask(flags: str) -> None:
    """The random flag beside the sampled one changes nothing, and is passed on."""
    with capture(traces_sample_rate=0.0) as sent:
        _, out = serve({"traceparent": f"00-{T}-{S}-{flags}"}, sent)
        assert len(sent.transactions) == 1
    assert out["traceparent"].endswith(flags)


def test_injecting_twice_is_injecting_once() -> None:
    """What has the headers is left alone, whatever they say."""
    with capture(), bridge.start_span("root"):
        carrier = {"Sentry-Trace": "theirs", "Baggage": "x=1"}
        propagate.inject(carrier)
        assert carrier == {"Sentry-Trace": "theirs", "Baggage": "x=1"}


def test_a_signed_request_is_not_touched() -> None:
    """A header that an AWS signature covers stays as it was signed."""
    signature = "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=baggage;sentry-trace;traceparent;tracestate, Signature=b"
    with capture(), bridge.start_span("root"):
        carrier = {"Authorization": signature}
        propagate.inject(carrier)
        assert carrier == {"Authorization": signature}


def test_nothing_of_sentrys_in_a_suppressed_block() -> None:
    """Neither headers nor our member of the trace state."""
    with capture(), bridge.start_span("root"), bridge.suppress_tracing():
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
    assert not {"sentry-trace", "baggage"} & carrier.keys()
    assert "sentry" not in str(carrier)


def test_meta_tags_are_escaped() -> None:
    """Nothing in a name breaks out of the attribute."""
    with capture(), bridge.start_span('"><script>', source="custom"):
        tags = bridge.trace_meta_tags()
    assert "<script" not in tags
    assert tags.count("<meta ") == 2


def test_a_propagator_goes_by_its_own_options_beside_a_client() -> None:
    """A propagator that was given options decides by those, one without by the active client's."""
    headers = {"sentry-trace": f"{T}-{S}-1", "baggage": f"sentry-trace_id={T},sentry-org_id=1"}
    others = Options(org_id="2")
    with capture(org_id=1):
        by_client, by_options = [
            trace.get_current_span(propagator.extract(headers, Context())).get_span_context()
            for propagator in (SentryPropagator(), SentryPropagator(options=others))
        ]
        assert (f"{by_client.trace_id:032x}", by_options.is_valid) == (T, False)
        written: dict[str, str] = {}
        SentryPropagator(options=Options(trace_propagation_targets=[])).inject(written)
        assert "sentry-trace" not in written
        SentryPropagator().inject(written)
        assert "sentry-trace" in written
