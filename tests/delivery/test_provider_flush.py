"""force_flush() and shutdown() of the provider deliver, as a function platform needs that freezes the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import bridge
from bridge.otel import SentrySpanProcessor
from bridge.testing.isolation import isolated


@pytest.fixture(autouse=True)
def _as_in_a_new_process() -> Iterator[None]:
    """No provider is global when a test begins, and none is left behind."""
    with isolated(None):
        yield
        bridge.close()


class Slow:
    """A transport that takes its time, until it is told to go on."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.may_go_on = threading.Event()

    def __call__(self, envelope: Any) -> None:
        self.may_go_on.wait(10)
        self.sent.append(envelope)


def set_up(kind: str, transport: Slow) -> Any:
    """Initialise on a provider of this kind; returns the one that the program holds."""
    options: dict[str, Any] = {}
    if kind == "streamed":
        options["trace_lifecycle"] = "stream"
    elif kind != "own":
        options["tracer_provider"] = TracerProvider(shutdown_on_exit=False)
    if kind == "wired by hand":
        options["tracer_provider"].add_span_processor(SentrySpanProcessor())
    bridge.init("http://key@127.0.0.1:9/1", transport=transport, traces_sample_rate=1.0, **options)
    return options.get("tracer_provider") or trace.get_tracer_provider()


@pytest.mark.parametrize("kind", ["own", "streamed", "adopted", "wired by hand"])
@pytest.mark.parametrize("method", ["force_flush", "shutdown"])
def test_everything_was_sent_when_it_returns(kind: str, method: str) -> None:
    """Spans and errors of an invocation, whoever's provider it is."""
    transport = Slow()
    provider = set_up(kind, transport)
    with provider.get_tracer("f").start_as_current_span("invocation"):
        bridge.capture_message("error of this invocation")
    threading.Timer(0.1, transport.may_go_on.set).start()
    assert getattr(provider, method)() is (True if method == "force_flush" else None)
    assert len(transport.sent) == 2


@pytest.mark.parametrize("kind", ["own", "adopted"])
def test_a_timeout_is_kept_and_told(kind: str) -> None:
    """`force_flush(50)` of what takes longer returns `False`, with nothing lost; later it is `True`."""
    transport = Slow()
    provider = set_up(kind, transport)
    with provider.get_tracer("f").start_as_current_span("invocation"):
        pass
    assert provider.force_flush(50) is False
    assert transport.sent == []
    transport.may_go_on.set()
    assert provider.force_flush() is True
    assert len(transport.sent) == 1
