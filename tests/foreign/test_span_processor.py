"""A provider that somebody else made: its sampler, processors and tracers stay, its spans are Sentry's too."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind, StatusCode

import bridge
from bridge._internal.otel_private import runtime_context, span_processors
from bridge.otel import SentrySampler, SentrySpanProcessor
from bridge.testing import BridgeCapture, capture

T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"


def adopt(sampler: Sampler = ALWAYS_ON) -> tuple[TracerProvider, InMemorySpanExporter, trace.Tracer]:
    """A stock provider with an exporter of its own, and a tracer made before init."""
    provider, exporter = TracerProvider(sampler=sampler, shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter, provider.get_tracer("before", "1")


def test_spans_of_both_apis_are_one_tree() -> None:
    """Tracers made before init behave like those made after; what other exporters see is unharmed."""
    provider, exporter, tracer = adopt()
    with capture(tracer_provider=provider) as sent:
        with tracer.start_as_current_span("one", kind=SpanKind.SERVER) as one:
            bridge.set_tag("request", 1)
            with bridge.start_span("two", op="task") as two:
                assert trace.get_current_span() is two.viewed
                current = bridge.get_current_span()
                assert current is not None
                assert (current.span_id, two.parent_span_id) == (two.span_id, f"{one.get_span_context().span_id:016x}")
                bridge.get_current_scope().set_tag("inner", 1)
                assert bridge.trace_headers()["sentry-trace"] == f"{two.trace_id}-{two.span_id}-1"
                try:
                    raise ValueError("bad")
                except ValueError as error:
                    bridge.capture_exception(error)
            bridge.get_current_scope().set_tag("own", 1)
        assert sent.tree() == ["one", ["two"]]
        [transaction], [event] = sent.transactions, sent.events
        account = sent.client.accounting()
    assert transaction["tags"] == {"request": "1", "own": "1"}
    assert event["tags"] == {"request": "1", "inner": "1"}
    assert event["contexts"]["trace"]["span_id"] == two.span_id
    assert transaction["spans"][0]["op"] == "task"
    assert transaction["contexts"]["trace"]["data"]["otel.scope.name"] == "before"
    assert [span.name for span in exporter.get_finished_spans()] == ["two", "one"]
    assert (account.started, account.delivered, account.pending) == (2, 2, 0)


@pytest.mark.parametrize(("status", "expected"), [(None, "internal_error"), (StatusCode.OK, "ok")])
def test_an_exception_that_leaves_a_block(status: StatusCode | None, expected: str) -> None:
    """start_span() makes an error of it and records it, unless a status was set, as with our own provider."""
    provider, exporter, _ = adopt()
    with capture(tracer_provider=provider) as sent:
        root = bridge.start_span("root")
        if status is not None:
            root.set_status(status)
        with pytest.raises(ValueError, match="bad"), root:
            raise ValueError("bad")
        [transaction] = sent.transactions
        assert sent.events == []
    assert transaction["contexts"]["trace"]["status"] == expected
    [span] = exporter.get_finished_spans()
    assert [event.name for event in span.events] == ["exception"]


@pytest.mark.parametrize("innermost", ["native", "bridge"])
def test_recorded_exceptions_as_errors(innermost: str) -> None:
    """With capture_span_exceptions what is recorded on a span is sent as an error, once, linked to the innermost."""
    provider, exporter, tracer = adopt()
    with capture(tracer_provider=provider, capture_span_exceptions=True) as sent:
        start = tracer.start_as_current_span if innermost == "native" else bridge.start_span
        with pytest.raises(ValueError, match="bad"), tracer.start_as_current_span("root"), start("in"):
            raise ValueError("bad")
        [event], [transaction] = sent.events, sent.transactions
    assert event["contexts"]["trace"]["span_id"] == transaction["spans"][0]["span_id"]
    assert [[event.name for event in span.events] for span in exporter.get_finished_spans()] == [["exception"]] * 2


@pytest.mark.parametrize("options", [{}, {"traces_sample_rate": None, "capture_span_exceptions": True}])
def test_recorded_exceptions_stay_where_they_are(options: dict[str, Any]) -> None:
    """Without capture_span_exceptions, or where a span is not Sentry's, nothing is sent."""
    provider, _, tracer = adopt()
    with capture(tracer_provider=provider, **options) as sent:
        with pytest.raises(ValueError, match="bad"), tracer.start_as_current_span("root"):
            raise ValueError("bad")
        assert sent.events == []


def test_after_close_the_provider_is_as_it_was() -> None:
    """The processor is taken off; the provider goes on without us."""
    provider, exporter, tracer = adopt()
    with capture(tracer_provider=provider) as sent:
        pass
    with tracer.start_as_current_span("later"):
        pass
    assert sent.transport._envelopes == []
    assert [span.name for span in exporter.get_finished_spans()] == ["later"]


def test_a_processor_that_was_wired_by_hand_is_enough() -> None:
    """`init` adds none beside it, each span is sent once, and it stays where it was put when the client goes."""
    provider, _, tracer = adopt()
    wired = SentrySpanProcessor()
    provider.add_span_processor(wired)
    for _ in range(2):
        with capture(tracer_provider=provider) as sent:
            with tracer.start_as_current_span("root"), bridge.start_span("child"):
                pass
            assert sent.tree() == ["root", ["child"]]
            account = sent.client.accounting()
        assert (account.started, account.delivered, account.pending) == (2, 2, 0)
        assert span_processors(provider)[-1] is wired
    with tracer.start_as_current_span("without a client"):
        pass


def test_our_own_provider_needs_no_processor(sent: BridgeCapture) -> None:
    """One that is added to it does nothing."""
    sent.client.tracer_provider.add_span_processor(SentrySpanProcessor())  # type: ignore[attr-defined]  # ours has it
    with bridge.start_span("root"), bridge.start_span("child"):
        pass
    assert sent.tree() == ["root", ["child"]]
    account = sent.client.accounting()
    assert (account.started, account.delivered, account.pending) == (2, 2, 0)


def test_a_provider_that_takes_no_processors_is_refused_before_anything_is_changed() -> None:
    """Runtime context, propagator and the client before stay."""
    with capture() as sent:
        before = (propagate.get_global_textmap(), runtime_context(), bridge.get_client())
        with pytest.raises(ValueError, match="NoOpTracerProvider takes no span processors"):
            bridge.init(tracer_provider=trace.NoOpTracerProvider())
        assert (propagate.get_global_textmap(), runtime_context(), bridge.get_client()) == before
        with bridge.start_span("root"):
            pass
        assert sent.tree() == ["root"]


@pytest.mark.parametrize(
    ("sampler", "options", "sent_spans"),
    [
        (ALWAYS_ON, {}, 1),
        (ALWAYS_OFF, {}, 0),
        (ALWAYS_ON, {"traces_sample_rate": None}, 0),
        (SentrySampler(1.0), {}, 1),
    ],
)
def test_the_providers_sampler_decides(sampler: Sampler, options: dict[str, Any], sent_spans: int) -> None:
    """Its decision is followed; with tracing off nothing is sent to Sentry, whatever it says."""
    provider, exporter, tracer = adopt(sampler)
    with capture(**{"tracer_provider": provider, **options}) as sent:
        with tracer.start_as_current_span("a"):
            pass
        assert len(sent.spans) == sent_spans
    assert len(exporter.get_finished_spans()) == (0 if sampler is ALWAYS_OFF else 1)


def test_an_incoming_trace_is_continued() -> None:
    """Headers, scopes and a follow-up of a late child, as on our own provider."""
    provider, _, tracer = adopt()
    with capture(tracer_provider=provider) as sent:
        context = propagate.extract({"sentry-trace": f"{T}-{S}-1", "baggage": "sentry-trace_id=" + T})
        late = None
        with tracer.start_as_current_span("server", context=context, kind=SpanKind.SERVER):
            bridge.set_tag("request", 1)
            late = tracer.start_span("late")
        bridge.flush()
        late.end()
        first, second = sent.transactions
        assert first["contexts"]["trace"]["trace_id"] == second["contexts"]["trace"]["trace_id"] == T
        assert first["contexts"]["trace"]["parent_span_id"] == S
        assert sent.envelopes[0].headers.get("trace") is None or sent.envelopes[0].headers["trace"]["trace_id"] == T
        assert sent.tree() == ["server", ["late"]]


@pytest.mark.parametrize(("error", "recorded"), [(OSError("no disk"), True), (KeyboardInterrupt(), False)])
def test_an_exception_that_leaves_use_span_is_recorded_as_opentelemetry_does(
    error: BaseException, recorded: bool
) -> None:
    """`bridge.use_span` leaves a span of the adopted provider in the state that OpenTelemetry's `use_span` leaves."""
    provider, exporter, tracer = adopt()
    with capture(tracer_provider=provider) as sent:
        for use_span in (bridge.use_span, trace.use_span):
            span = tracer.start_span("read")
            with pytest.raises(type(error)), use_span(span):
                raise error
            span.end()
        statuses = [transaction["contexts"]["trace"]["status"] for transaction in sent.transactions]
    ours, theirs = [
        (
            span.status.status_code,
            span.status.description,
            [
                (event.name, {k: v for k, v in (event.attributes or {}).items() if k != "exception.stacktrace"})
                for event in span.events
            ],
        )
        for span in exporter.get_finished_spans()
    ]
    assert ours == theirs
    assert ours[0] is (StatusCode.ERROR if recorded else StatusCode.UNSET)
    assert [name for name, _ in ours[2]] == ["exception"] * recorded
    assert statuses == ["internal_error" if recorded else "ok"] * 2


def test_an_error_captured_around_use_span_belongs_to_the_span_that_it_came_through() -> None:
    """An exception that left the block of another provider's span is linked to that span when it is captured."""
    provider, _, tracer = adopt()
    with capture(tracer_provider=provider) as sent, tracer.start_as_current_span("root"):
        span = tracer.start_span("inner")
        try:
            with bridge.use_span(span, end_on_exit=True):
                raise OSError("no disk")
        except OSError as error:
            bridge.capture_exception(error)
        [event] = sent.events
    assert event["contexts"]["trace"]["span_id"] == f"{span.get_span_context().span_id:016x}"
