"""Another sampler decides: once for both sides, or for OpenTelemetry's side beside Sentry's rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import SpanKind

import bridge
from bridge._internal.sampling.foreign_sampler import sampler_rate
from bridge._internal.tracing.segment import segment_of
from bridge._internal.wire.baggage import parse_dsc
from bridge.otel import SentrySampler
from bridge.otel import TracerProvider as BridgeProvider
from bridge.testing import BridgeCapture, capture

T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"


def headers(sentry: str | None, w3c: str | None) -> dict[str, str]:
    """What a service sends whose two sides decided like this."""
    found = {} if sentry is None else {"sentry-trace": f"{T}-{S}{sentry}"}
    return found if w3c is None else {**found, "traceparent": f"00-{T}-{S}-{w3c}"}


def exported(sent: BridgeCapture, exporter: InMemorySpanExporter) -> tuple[list[Any], list[str]]:
    """What Sentry and OpenTelemetry's exporter got."""
    return sent.tree(), [span.name for span in exporter.get_finished_spans()]


@pytest.mark.parametrize(
    ("otel", "rate", "to_sentry", "to_otel", "sentry_flag", "w3c_flag"),
    [
        (ALWAYS_ON, None, ["root", ["child"]], ["child", "root"], "1", "01"),
        (ALWAYS_OFF, None, [], [], "0", "00"),
        (ALWAYS_ON, 1.0, ["root", ["child"]], ["child", "root"], "1", "01"),
        (ALWAYS_ON, 0.0, [], ["child", "root"], "0", "01"),
        (ALWAYS_OFF, 1.0, ["root", ["child"]], [], "1", "00"),
        (ALWAYS_OFF, 0.0, [], [], "0", "00"),
    ],
)
def test_one_decision_or_two(
    otel: Sampler,
    rate: float | None,
    to_sentry: list[Any],
    to_otel: list[str],
    sentry_flag: str,
    w3c_flag: str,
) -> None:
    """Without a Sentry rate Sentry follows; with one each side keeps what it decided, and its headers say so."""
    exporter = InMemorySpanExporter()
    processors = (SimpleSpanProcessor(exporter),)
    with capture(sampler=otel, traces_sample_rate=rate, span_processors=processors) as sent:
        with bridge.start_span("root"), trace.get_tracer("t").start_as_current_span("child"):
            out = sent.headers()
        assert exported(sent, exporter) == (to_sentry, to_otel)
        account = sent.client.accounting()
    assert out["sentry-trace"].rpartition("-")[2] == sentry_flag
    flags = int(out["traceparent"].rpartition("-")[2], 16)
    assert flags & 1 == int(w3c_flag)
    dsc = parse_dsc(out["baggage"])
    assert dsc["sampled"] == ("true" if sentry_flag == "1" else "false")
    assert (float(dsc["sample_rand"]) < float(dsc["sample_rate"])) is (sentry_flag == "1")
    assert account.started == account.delivered == (2 if to_sentry else 0)


@pytest.mark.parametrize(
    ("incoming", "to_sentry", "to_otel"),
    [
        (headers("-1", "00"), 1, 0),
        (headers("-0", "01"), 0, 1),
        (headers("-1", "01"), 1, 1),
        (headers("-0", "00"), 0, 0),
    ],
)
def test_each_side_continues_its_own_decision(incoming: dict[str, str], to_sentry: int, to_otel: int) -> None:
    """`sentry-trace` decides for Sentry, `traceparent` for OpenTelemetry, and both are passed on as they came."""
    exporter = InMemorySpanExporter()
    options: dict[str, Any] = {"sampler": ParentBased(ALWAYS_ON), "span_processors": (SimpleSpanProcessor(exporter),)}
    with capture(traces_sample_rate=0.5, **options) as sent:
        tracer = trace.get_tracer("t")
        with tracer.start_as_current_span("root", context=propagate.extract(incoming), kind=SpanKind.SERVER):
            out = sent.headers()
        assert (len(sent.transactions), len(exporter.get_finished_spans())) == (to_sentry, to_otel)
    assert out["sentry-trace"].endswith(f"-{to_sentry}")
    assert int(out["traceparent"][-2:], 16) & 1 == to_otel
    assert out["sentry-trace"][:32] == out["traceparent"][3:35] == T


def test_with_one_decision_sentry_trace_wins() -> None:
    """A single sampler goes by `sentry-trace` where the two headers disagree."""
    with capture(sampler=ParentBased(ALWAYS_ON), traces_sample_rate=None) as sent:
        tracer = trace.get_tracer("t")
        with tracer.start_as_current_span("root", context=propagate.extract(headers("-0", "01"))):
            out = sent.headers()
        assert sent.tree() == []
    assert out["sentry-trace"].endswith("-0")


class HealthChecksOff(Sampler):
    """A sampler that looks at each span, not only at roots."""

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *args: Any, **kwargs: Any) -> SamplingResult:
        decision = Decision.DROP if name == "health" else Decision.RECORD_AND_SAMPLE
        return SamplingResult(decision, {"by": "us"})

    def get_description(self) -> str:
        return "HealthChecksOff"


def test_a_sampler_that_drops_a_child() -> None:
    """Neither side sees it, the others carry the attributes that the sampler gave; what is below it hangs together."""
    exporter = InMemorySpanExporter()
    with capture(
        sampler=HealthChecksOff(), traces_sample_rate=None, span_processors=(SimpleSpanProcessor(exporter),)
    ) as sent:
        tracer = trace.get_tracer("t")
        with tracer.start_as_current_span("root"):
            with tracer.start_as_current_span("health") as health:
                assert not health.is_recording()
                assert not health.get_span_context().trace_flags.sampled
            with tracer.start_as_current_span("work"):
                pass
        assert exported(sent, exporter) == (["root", ["work"]], ["work", "root"])
        assert sent.transactions[0]["contexts"]["trace"]["data"]["by"] == "us"
        account = sent.client.accounting()
    assert (account.started, account.delivered) == (2, 2)


def test_sentry_wants_a_child_that_opentelemetry_drops() -> None:
    """Side by side a child is recorded for the side that wants it."""
    exporter = InMemorySpanExporter()
    with capture(
        sampler=HealthChecksOff(), traces_sample_rate=1.0, span_processors=(SimpleSpanProcessor(exporter),)
    ) as sent:
        tracer = trace.get_tracer("t")
        with tracer.start_as_current_span("root"), tracer.start_as_current_span("health"):
            pass
        assert exported(sent, exporter) == (["root", ["health"]], ["root"])


@pytest.mark.parametrize(
    ("sampler", "head", "continued"),
    [
        (TraceIdRatioBased(0.25), 0.25, 0.25),
        (ParentBased(TraceIdRatioBased(0.25)), 0.25, None),
        (ALWAYS_ON, 1.0, 1.0),
        (ALWAYS_OFF, 0.0, 0.0),
        (HealthChecksOff(), None, None),
        (ParentBased(ParentBased(ALWAYS_ON)), 1.0, None),
    ],
)
def test_the_rate_of_a_sampler(sampler: Sampler, head: float | None, continued: float | None) -> None:
    """Known for OpenTelemetry's own samplers; a parent-based one has none for what it continues."""
    assert (sampler_rate(sampler, at_head=True), sampler_rate(sampler, at_head=False)) == (head, continued)


class Ids(list[int]):
    """An id generator that gives these trace ids."""

    def generate_trace_id(self) -> int:
        return self.pop(0)

    def generate_span_id(self) -> int:
        return 0xABCDEF

    def is_trace_id_random(self) -> bool:
        return True


def dscs(sampler: Sampler, ids: Sequence[int], *, adopted: bool) -> list[dict[str, str]]:
    """The DSC of a head for each trace id."""
    found = []
    generator: Any = Ids(ids)
    options: dict[str, Any] = {"sampler": sampler, "traces_sample_rate": None}
    options["tracer_provider"] = BridgeProvider(id_generator=generator, shutdown_on_exit=False)
    if adopted:
        provider = TracerProvider(sampler, id_generator=generator, shutdown_on_exit=False)
        options = {"tracer_provider": provider, "traces_sample_rate": 1.0}
    with capture(**options) as sent:
        for _ in ids:
            with bridge.start_span("head", parent=None):
                found.append(parse_dsc(sent.headers()["baggage"]))
    return found


@pytest.mark.parametrize("adopted", [True, False])
def test_the_dsc_says_what_another_sampler_decided(adopted: bool) -> None:
    """Rate, decision and rand agree in the DSC, although the sampler has a rule of its own.

    A span that somebody else's provider dropped tells nobody of its sampler: then there is the decision alone.
    """
    ids = [(n * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128 or 1 for n in range(1, 60)]
    found = dscs(ParentBased(TraceIdRatioBased(0.25)), ids, adopted=adopted)
    kept = [dsc["sampled"] == "true" for dsc in found]
    rates = [dsc.get("sample_rate") for dsc in found]
    assert rates == ["0.25" if known or not adopted else None for known in kept]
    assert kept == [trace_id % 2**64 < 2**62 for trace_id in ids]
    assert all(
        (float(dsc["sample_rand"]) < 0.25) is (dsc["sampled"] == "true") for dsc in found if "sample_rate" in dsc
    )
    assert 0 < sum(kept) < len(kept)


def test_a_sampler_of_ours_within_another() -> None:
    """`ParentBased(SentrySampler(...))`: its numbers are in the DSC."""
    with capture(sampler=ParentBased(SentrySampler(1.0)), traces_sample_rate=None) as sent, bridge.start_span("head"):
        dsc = parse_dsc(sent.headers()["baggage"])
    assert (dsc["sample_rate"], dsc["sampled"]) == ("1.0", "true")


def test_a_sampler_that_overrides_an_upstream() -> None:
    """What was decided here against the upstream's decision is in the DSC, rate and decision together."""
    incoming = {
        "sentry-trace": f"{T}-{S}-0",
        "baggage": f"sentry-trace_id={T},sentry-sampled=false,sentry-sample_rate=0.25,"
        "sentry-sample_rand=0.900000,sentry-x=y",
    }
    with capture(sampler=ALWAYS_ON, traces_sample_rate=None) as sent:
        with trace.get_tracer("t").start_as_current_span("root", context=propagate.extract(incoming)):
            dsc = parse_dsc(sent.headers()["baggage"])
        assert sent.tree() == ["root"]
    assert dsc == {
        "trace_id": T,
        "sampled": "true",
        "sample_rate": "1.0",
        "sample_rand": "0.900000",
        "x": "y",
    }


def test_what_nobody_wants_is_not_kept() -> None:
    """A trace that is recorded for OpenTelemetry alone leaves nothing behind in its segment."""
    with capture(sampler=ALWAYS_ON, traces_sample_rate=0.0), bridge.start_span("root") as root:
        for _ in range(10):
            with bridge.start_span("child") as child:
                assert isinstance(child, ReadableSpan)
        segment = segment_of(root)
        assert segment is not None
        assert not segment.collects


def test_tracing_off_sends_nothing_of_an_adopted_provider() -> None:
    """An always-on provider without a Sentry rate: other exporters are unharmed, the incoming flag is passed on."""
    provider, exporter = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with capture(tracer_provider=provider, traces_sample_rate=None) as sent:
        context = propagate.extract(headers("-1", None))
        with provider.get_tracer("t").start_as_current_span("root", context=context):
            out = sent.headers()
        assert exported(sent, exporter) == ([], ["root"])
        assert sent.client.accounting().started == 0
    assert out["sentry-trace"][:32] == T
    assert out["sentry-trace"].endswith("-1")


def test_our_member_is_written_for_spans_of_others() -> None:
    """A span of an adopted provider has the trace state of its own sampler; ours goes before it."""
    provider = TracerProvider(shutdown_on_exit=False)
    with capture(tracer_provider=provider) as sent:
        context = propagate.extract({"traceparent": f"00-{T}-{S}-01", "tracestate": "a=1,b=2"})
        with provider.get_tracer("t").start_as_current_span("root", context=context):
            state = sent.headers()["tracestate"]
    assert state.startswith("sentry=s:1;")
    assert state.endswith(",a=1,b=2")


@pytest.mark.parametrize(("sampler", "told"), [(ALWAYS_ON, "RECORD_AND_SAMPLE"), (ALWAYS_OFF, "DROP")])
def test_the_sdk_counts_every_span(monkeypatch: pytest.MonkeyPatch, sampler: Sampler, told: str) -> None:
    """OpenTelemetry's own metrics of spans count those that were decided against too."""
    pytest.importorskip("opentelemetry.sdk.trace._tracer_metrics")
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    reader = InMemoryMetricReader()
    provider = BridgeProvider(sampler, meter_provider=MeterProvider([reader]))
    tracer = provider.get_tracer("t")
    with tracer.start_as_current_span("root"):
        tracer.start_span("child").end()
    data = reader.get_metrics_data()
    assert data is not None
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    started = next(metric for metric in metrics if metric.name == "otel.sdk.span.started").data.data_points
    assert {(p.attributes["otel.span.parent.origin"], p.attributes["otel.span.sampling_result"]) for p in started} == {
        ("none", told),
        ("local", told),
    }
