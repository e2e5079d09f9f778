"""Before init, after close, and with nobody on the other side: the program runs on."""

from __future__ import annotations

import time

import httpx
import pytest
from opentelemetry import context as context_api
from opentelemetry import trace

import bridge
from bridge.testing import capture


def test_before_init_everything_can_be_called() -> None:
    """Without init nothing is recorded and nothing raises."""
    with bridge.start_span("a") as span, bridge.start_inactive_span("b"):
        assert not span.is_recording()
        span.set_tag("a", 1)
        span.set_measurement("b", 2)
        span.op = "task"
        span.description = "c"
        assert (span.sampled, span.root_span, span.parent_span_id) == (None, None, None)
    with bridge.continue_trace({"sentry-trace": "nonsense"}), bridge.new_scope(), bridge.isolation_scope():
        bridge.set_tag("a", 1)
        bridge.add_breadcrumb(message="m")
    assert bridge.capture_exception(ValueError()) is None
    assert bridge.capture_message("m") is None
    assert bridge.trace_headers() == {}
    assert bridge.trace_meta_tags() == ""
    assert bridge.get_client().options.dsn is None
    assert bridge.flush() is True
    bridge.close()


def test_without_a_dsn_spans_live_and_nothing_is_sent() -> None:
    """init without a DSN works: spans, scopes and headers are there, captures return None."""
    bridge.init(traces_sample_rate=1.0)
    with bridge.start_span("a") as span:
        assert span.is_recording()
        assert bridge.trace_headers()["sentry-trace"] == f"{span.trace_id}-{span.span_id}-1"
        assert bridge.capture_message("m") is None
    assert bridge.flush() is True


def test_init_again_replaces_the_first_client() -> None:
    """A second init sends through the second client alone, for tracers made before as well; so does one after close."""
    tracer = trace.get_tracer("old")
    with capture() as first:
        with tracer.start_as_current_span("one"):
            pass
        with capture() as second:
            with tracer.start_as_current_span("two"):
                pass
            assert second.tree() == ["two"]
        assert first.tree() == ["one"]
    with capture() as third:
        with tracer.start_as_current_span("three"):
            pass
        assert third.tree() == ["three"]


def test_after_close_spans_are_not_recorded() -> None:
    """close takes the bridge off: native spans go on without being recorded."""
    with capture():
        pass
    with trace.get_tracer("t").start_as_current_span("a") as span:
        assert not span.is_recording()
    assert not bridge.is_initialized()


@pytest.mark.parametrize("dsn", ["http://key@127.0.0.1:9/1", "http://key@host.invalid/1"])
def test_a_dead_host_is_no_trouble(dsn: str) -> None:
    """A DSN that nobody answers: the program runs on, nothing raises, flush returns in time and says so."""
    client = bridge.init(dsn, traces_sample_rate=1.0)
    with bridge.start_span("a"):
        assert bridge.capture_message("m") is not None
    began = time.monotonic()
    bridge.flush(0.2)
    bridge.close(0.5)
    assert time.monotonic() - began < 3
    account = client.accounting()
    assert account.started == account.delivered + sum(account.lost.values()) + account.pending == 1


def test_a_hanging_host_holds_nobody_up() -> None:
    """A sink that never answers: ending a span returns at once, flush gives up at its timeout."""

    def hang(request: httpx.Request) -> httpx.Response:
        time.sleep(0.5)
        return httpx.Response(200)

    bridge.init(
        "http://key@127.0.0.1/1", traces_sample_rate=1.0, http_client=httpx.Client(transport=httpx.MockTransport(hang))
    )
    with bridge.start_span("a"):
        pass
    assert bridge.flush(0.05) is False
    assert bridge.flush(5) is True


def test_the_client_tells_what_it_has() -> None:
    """Options, DSN, transport, provider and tracer are there to look at."""
    taken: list[bridge.Envelope] = []
    client = bridge.init("http://key@127.0.0.1:9/1", transport=taken.append, environment="qa")
    assert client is bridge.get_client()
    assert (str(client.dsn), client.options.environment) == ("http://key@127.0.0.1:9/1", "qa")
    assert client.transport == taken.append
    assert client.trace_provider is client.tracer_provider is trace.get_tracer_provider()
    assert client.tracer is client.tracer
    bridge.capture_message("m")
    client.flush()
    assert [envelope.items[0].type for envelope in taken] == ["event"]


def test_a_span_of_no_trace_is_shared_and_keeps_nothing() -> None:
    """Suppressed blocks that overlap do not exchange their contexts: each leaves what it found."""
    bridge.init(traces_sample_rate=1.0)
    with bridge.suppress_tracing():
        before = context_api.get_current()
        first, second = bridge.start_span("first"), bridge.start_span("second")
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert context_api.get_current() is before
        second.__exit__(None, None, None)
        assert context_api.get_current() is before
    assert first is second
    assert not first._activates
