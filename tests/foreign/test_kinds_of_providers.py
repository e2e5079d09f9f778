"""Providers of every shape: what is on them stays, each span is sent once, and the account balances."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import bridge
from bridge._internal.otel_private import (
    global_tracer_provider,
    sdk_provider,
    set_tracer_provider,
    span_processors,
)
from bridge.otel import SentrySpanProcessor
from bridge.otel import TracerProvider as BridgeProvider
from bridge.testing import capture
from bridge.testing.isolation import isolated
from bridge.testing.transport import CapturingTransport


@pytest.fixture(autouse=True)
def _as_in_a_new_process() -> Iterator[None]:
    """No provider is global when a test begins, and none is left behind."""
    with isolated(None):
        yield
        bridge.close()


class Delegating(trace.TracerProvider):
    """Passes on to an SDK provider, as Temporal's does."""

    def __init__(self, behind: TracerProvider) -> None:
        self._behind = behind

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return self._behind.get_tracer(*args, **kwargs)

    def add_span_processor(self, processor: SpanProcessor) -> None:
        self._behind.add_span_processor(processor)


class Slotted(trace.TracerProvider):
    """Holds the SDK provider in a slot, and another delegating one in between."""

    __slots__ = ("_wrapped",)

    def __init__(self, behind: TracerProvider) -> None:
        self._wrapped = Delegating(behind)

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return self._wrapped.get_tracer(*args, **kwargs)

    def add_span_processor(self, processor: SpanProcessor) -> None:
        self._wrapped.add_span_processor(processor)


class OfMethods(trace.TracerProvider):
    """Holds nothing but methods of the SDK provider."""

    def __init__(self, behind: TracerProvider) -> None:
        self._get_tracer = behind.get_tracer
        self.add_span_processor = behind.add_span_processor

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return self._get_tracer(*args, **kwargs)


def of_a_closure(behind: TracerProvider) -> trace.TracerProvider:
    """A provider that does not tell what is behind it."""

    class Closed(trace.TracerProvider):
        def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
            return behind.get_tracer(*args, **kwargs)

        def add_span_processor(self, processor: SpanProcessor) -> None:
            behind.add_span_processor(processor)

    return Closed()


class Replacing(TracerProvider):
    """Its add_span_processor shuts down and takes off the one that it came with, as Phoenix's does."""

    default: SpanProcessor | None = None

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        if self.default is not None:
            self.default.shutdown()
            self._active_span_processor._span_processors = ()
            self.default = None
        super().add_span_processor(span_processor)


def exporting(provider: TracerProvider) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    TracerProvider.add_span_processor(provider, SimpleSpanProcessor(exporter))
    return exporter


def sent_by_an_init(provider: Any, **options: Any) -> list[str]:
    """Call init, start a root with a child by each API; returns the transactions, whose account balances."""
    sent = CapturingTransport()
    client = bridge.init(
        "http://key@127.0.0.1:9/1", transport=sent, traces_sample_rate=1.0, tracer_provider=provider, **options
    )
    with provider.get_tracer("a").start_as_current_span("root"), bridge.start_span("child"):
        pass
    transactions = sent.transactions
    account = client.accounting()
    assert (account.started, account.delivered, account.pending) == (2 * len(transactions),) * 2 + (0,)
    assert [span["description"] for one in transactions for span in one["spans"]] == ["child"] * len(transactions)
    return [transaction["transaction"] for transaction in transactions]


@pytest.fixture
def no_global_provider() -> Iterator[None]:
    """Start without a global provider, and put the one of before back."""
    before = global_tracer_provider()
    set_tracer_provider(None, fixed=False)
    yield
    set_tracer_provider(before, fixed=before is not None)


@pytest.mark.parametrize("wrap", [Delegating, Slotted, OfMethods, of_a_closure, lambda behind: behind])
@pytest.mark.parametrize(
    "make",
    [TracerProvider, lambda **given: TracerProvider(active_span_processor=ConcurrentMultiSpanProcessor(), **given)],
    ids=["in turn", "concurrent"],
)
def test_init_again_and_again(
    no_global_provider: None, wrap: Callable[[TracerProvider], Any], make: Callable[..., TracerProvider]
) -> None:
    """Each span is sent once however often init runs, to the client in force, and exporters get it once."""
    behind = make(shutdown_on_exit=False)
    exporter = exporting(behind)
    provider = wrap(behind)
    for times in range(1, 6):
        assert sent_by_an_init(provider) == ["root"], f"after init number {times}"
        assert len(exporter.get_finished_spans()) == 2 * times
        assert [problem.code for problem in bridge.check_setup() if problem.severity == "error"] == []
    bridge.close()
    with provider.get_tracer("a").start_as_current_span("later"):
        pass
    assert len(exporter.get_finished_spans()) == 11
    working = [one for one in span_processors(behind) if not (isinstance(one, SentrySpanProcessor) and one._is_off)]
    assert len(working) == 1
    if wrap is not of_a_closure:
        assert len(span_processors(behind)) == 1
        assert sdk_provider(provider) is behind
    behind.shutdown()


def test_our_own_provider_behind_one_that_delegates() -> None:
    """It is set up as if it were given itself."""
    behind = BridgeProvider(shutdown_on_exit=False)
    provider = Delegating(behind)
    for _ in range(2):
        assert sent_by_an_init(provider) == ["root"]
    assert span_processors(behind) == ()
    bridge.close()
    assert not provider.get_tracer("a").start_span("later").is_recording()


def test_a_default_processor_stays_where_it_is() -> None:
    """Neither ours nor one of `span_processors` costs a vendor its own, and init leaves no trace at close."""
    provider, mine = Replacing(shutdown_on_exit=False), InMemorySpanExporter()
    vendor = exporting(provider)
    (provider.default,) = span_processors(provider)
    assert sent_by_an_init(provider, span_processors=[SimpleSpanProcessor(mine)]) == ["root"]
    assert len(vendor.get_finished_spans()) == len(mine.get_finished_spans()) == 2
    bridge.close()
    assert span_processors(provider) == (provider.default,)


class Filter(SpanProcessor):
    """Passes on all spans but those of one library; written before there was `_on_ending`."""

    def __init__(self, *inner: SpanProcessor) -> None:
        self.inner = inner

    def wanted(self, span: Any) -> bool:
        return span.instrumentation_scope.name != "noise"

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        for one in self.inner if self.wanted(span) else ():
            one.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        for one in self.inner if self.wanted(span) else ():
            one.on_end(span)


class NewerFilter(Filter):
    """One that passes `_on_ending` on."""

    def _on_ending(self, span: Any) -> None:
        for one in self.inner if self.wanted(span) else ():
            one._on_ending(span)


class Silent:
    """A processor that is no subclass of the SDK's, around another one."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.inner.on_start(span, parent_context)

    def on_end(self, span: Any) -> None:
        self.inner.on_end(span)

    def _on_ending(self, span: Any) -> None: ...

    def shutdown(self) -> None: ...

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


@pytest.mark.parametrize("kind", [Filter, NewerFilter])
@pytest.mark.parametrize("around", [lambda one: one, Silent], ids=["directly", "wrapped once more"])
def test_a_processor_within_a_filter(kind: Any, around: Any) -> None:
    """What the filter keeps out is not sent, all else is, once; init adds none beside it and the doctor is content."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(around(kind(SentrySpanProcessor())))
    for _ in range(2):
        with capture(tracer_provider=provider) as sent:
            app, noise = provider.get_tracer("app"), provider.get_tracer("noise")
            with app.start_as_current_span("GET") as root, app.start_as_current_span("db"):
                noise.start_span("noise").end()
                root.set_attribute("late", True)
            assert sent.tree() == ["GET", ["db"]]
            assert sent.transactions[0]["contexts"]["trace"]["data"]["late"] is True
            account = sent.client.accounting()
            assert (account.started, account.delivered, account.pending) == (2, 2, 0)
            assert "processor-missing" not in [problem.code for problem in bridge.check_setup()]
    assert len(span_processors(provider)) == 1


def test_two_of_them_take_a_span_once() -> None:
    """Wired by hand twice, directly and in a filter, in either order: each span is sent once."""
    for order in (1, -1):
        provider = TracerProvider(shutdown_on_exit=False)
        for processor in [SentrySpanProcessor(), Filter(SentrySpanProcessor())][::order]:
            provider.add_span_processor(processor)
        with capture(tracer_provider=provider) as sent:
            with provider.get_tracer("t").start_as_current_span("root"), bridge.start_span("child"):
                pass
            assert sent.tree() == ["root", ["child"]]
            account = sent.client.accounting()
        assert (account.started, account.delivered, account.pending) == (2, 2, 0)


def test_what_a_filter_keeps_to_itself_is_lost_and_counted() -> None:
    """A span whose end is not passed on is held by nothing of ours, and the account balances."""

    class ForgetsEnds(Filter):
        def on_end(self, span: ReadableSpan) -> None:
            if span.name == "root":
                super().on_end(span)

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ForgetsEnds(SentrySpanProcessor()))
    with capture(tracer_provider=provider) as sent:
        with provider.get_tracer("t").start_as_current_span("root"), bridge.start_span("child"):
            pass
        assert sent.tree() == ["root"]
        gc.collect()
        account = sent.client.accounting()
    assert (account.started, account.delivered, account.lost, account.pending) == (2, 1, {"buffer_overflow": 1}, 0)


def test_a_get_tracer_of_the_provider_object_itself_is_given_back() -> None:
    """A provider object with a `get_tracer` of its own has the same one after `close`; one without has none."""
    for assigns in (True, False):
        provider = TracerProvider(shutdown_on_exit=False)
        own = TracerProvider.get_tracer.__get__(provider)
        if assigns:
            provider.get_tracer = own  # type: ignore[method-assign]  # as proxies do
        for _ in range(2):
            assert sent_by_an_init(provider) == ["root"]
        bridge.close()
        assert vars(provider).get("get_tracer") is (own if assigns else None)
        provider.shutdown()


def test_a_get_tracer_that_other_code_put_on_top_stays() -> None:
    """What replaced it after `init` is not taken off by `close`."""
    provider = TracerProvider(shutdown_on_exit=False)
    assert sent_by_an_init(provider) == ["root"]
    before = provider.get_tracer

    def patched(*args: Any, **kwargs: Any) -> trace.Tracer:
        return before(*args, **kwargs)

    provider.get_tracer = patched  # type: ignore[method-assign]  # as another agent does
    bridge.close()
    assert provider.get_tracer is patched
    provider.shutdown()
