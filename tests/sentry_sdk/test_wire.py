"""Headers are written once, complete, and read by whichever side comes first."""

from __future__ import annotations

import http.server
import threading

import pytest
import sentry_sdk
from opentelemetry import baggage
from opentelemetry import context as context_api
from opentelemetry.trace import SpanKind

import bridge
from tests.sentry_sdk.worlds import ORDERS, one_world

TRACE, SPAN = "a" * 32, "b" * 16
DSC = (
    f"sentry-trace_id={TRACE},sentry-public_key=other,sentry-sample_rate=0.5,sentry-sample_rand=0.123,sentry-foreign=x"
)


def theirs(**given):
    return dict(sentry_sdk.get_current_scope().iter_trace_propagation_headers(**given))


def test_user_baggage_and_w3c_are_in_sentry_sdks_headers(world):
    """What sentry-sdk writes has the user's baggage, `traceparent` and `tracestate` as well."""
    token = context_api.attach(baggage.set_baggage("team", "a"))
    with world.sdk_root("root"):
        headers = theirs()
    context_api.detach(token)
    assert "team=a" in headers["baggage"].split(",")
    trace_id, span_id, flag = headers["sentry-trace"].split("-")
    assert headers["traceparent"][:53] == f"00-{trace_id}-{span_id}-"[:53]
    assert int(headers["traceparent"][-2:], 16) & 1 == int(flag)
    assert "sentry=s:1" in headers["tracestate"]


def test_a_pages_tags_are_sentrys_two(static_world):
    """`trace_propagation_meta` writes two tags, as ever."""
    with sentry_sdk.start_transaction(name="root"):
        assert sentry_sdk.get_current_scope().trace_propagation_meta().count("<meta") == 2


def test_the_first_writer_writes(world):
    """Where OpenTelemetry's instrumentation wrote the headers of a request, sentry-sdk's writers are silent."""
    with world.native("root"), world.native("GET", kind=SpanKind.CLIENT):
        carrier: dict[str, str] = {}
        bridge.get_client().propagator.inject(carrier)
        assert theirs() == {}
    assert carrier["sentry-trace"].split("-")[1] == world.named("GET")["span_id"]


@pytest.mark.parametrize("header", ["sentry-trace", "traceparent"])
@pytest.mark.parametrize("flag", [True, False])
def test_sentry_sdk_continues_either_header(order, header, flag):
    """`continue_trace` reads W3C's parent where there is no `sentry-trace`, and obeys its flag."""
    incoming = {
        "sentry-trace": {"sentry-trace": f"{TRACE}-{SPAN}-{int(flag)}", "baggage": DSC},
        "traceparent": {"traceparent": f"00-{TRACE}-{SPAN}-0{int(flag)}", "tracestate": "vendor=1"},
    }[header]
    with one_world(order) as world:
        transaction = sentry_sdk.continue_trace(incoming, op="http.server", name="request")
        with sentry_sdk.start_transaction(transaction), world.native("native"):
            headers = bridge.trace_headers()
        assert headers["sentry-trace"].startswith(f"{TRACE}-")
        assert headers["sentry-trace"].endswith(f"-{int(flag)}")
        assert headers["traceparent"][-1] == str(int(flag))
        if header == "traceparent":
            assert "vendor=1" in headers["tracestate"]
        else:
            assert set(headers["baggage"].split(",")) == set(DSC.split(","))
        assert len(world.transactions) == flag
        if flag:
            assert world.transactions[0]["contexts"]["trace"]["parent_span_id"] == SPAN


def test_natives_continue_what_sentry_sdk_read(world):
    """`continue_trace` with no transaction started is continued by a native root."""
    if world.streams:
        sentry_sdk.traces.continue_trace({"sentry-trace": f"{TRACE}-{SPAN}-1", "baggage": DSC})
    else:
        sentry_sdk.continue_trace({"sentry-trace": f"{TRACE}-{SPAN}-1", "baggage": DSC})
    with world.native("root"):
        headers = bridge.trace_headers()
    assert world.named("root")["trace_id"] == TRACE
    assert world.named("root")["parent"] == SPAN
    assert set(headers["baggage"].split(",")) == set(DSC.split(","))


def test_sentry_sdk_continues_what_the_propagator_read(static_world):
    """A transaction under what an OpenTelemetry instrumentation extracted continues it, and so do errors before."""
    context = bridge.get_client().propagator.extract({"sentry-trace": f"{TRACE}-{SPAN}-1", "baggage": DSC})
    token = context_api.attach(context)
    sentry_sdk.capture_message("before")
    with sentry_sdk.start_transaction(name="root"):
        pass
    context_api.detach(token)
    assert static_world.named("root")["trace_id"] == TRACE
    assert static_world.named("root")["parent"] == SPAN
    assert static_world.named("root")["dsc"]["foreign"] == "x"
    assert static_world.events[0]["contexts"]["trace"]["trace_id"] == TRACE


def test_extracting_again_keeps_the_request(world):
    """A second instrumentation that extracts the same headers gets the Context in force, with the active span."""
    incoming = {"sentry-trace": f"{TRACE}-{SPAN}-1", "baggage": DSC + ",team=a"}
    propagator = bridge.get_client().propagator
    context = propagator.extract(incoming)
    with world.tracer.start_as_current_span("request", context=context, kind=SpanKind.SERVER):
        again = propagator.extract(incoming)
        token = context_api.attach(again)
        assert bridge.get_current_span().description == "request"
        assert baggage.get_baggage("team") == "a"
        context_api.detach(token)


def test_nothing_sampled_is_passed_on(order):
    """`-0` from upstream: nothing is sent, `-0` and flags 00 go on from either API, upstream's DSC verbatim."""
    with one_world(order) as world:
        context = bridge.get_client().propagator.extract({"sentry-trace": f"{TRACE}-{SPAN}-0", "baggage": DSC})
        request = world.tracer.start_as_current_span("request", context=context, kind=SpanKind.SERVER)
        with request, sentry_sdk.start_span(name="child"):
            for headers in (theirs(), bridge.trace_headers()):
                assert headers["sentry-trace"].endswith("-0")
                assert headers["traceparent"].endswith("00")
                assert set(headers["baggage"].split(",")) == set(DSC.split(","))
        assert world.spans() == []


class _Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.requests.append(dict(self.headers))  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("order", ORDERS)
def test_own_requests_make_no_spans(order):
    """With urllib3 instrumented, one span is one envelope, and no trace header goes to Sentry's server."""
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.urllib3")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    server.requests = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    instrumentor = instrumentation.URLLib3Instrumentor()
    try:
        with one_world(order, dsn=f"http://key@127.0.0.1:{server.server_port}/1", transport=None) as world:
            instrumentor.instrument()
            with world.native("only"):
                pass
            world.flush()
            world.flush()
            assert len(server.requests) == 1  # type: ignore[attr-defined]
            assert "sentry-trace" not in {name.lower() for name in server.requests[0]}  # type: ignore[attr-defined]
    finally:
        instrumentor.uninstrument()
        server.shutdown()
        server.server_close()
