"""Sentry's rate beside an adopted provider: a share of what it records goes to Sentry, its exporters get all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import propagate
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    DEFAULT_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import SpanKind, TraceState

import bridge
from bridge._internal.otel_private import KNOWS_RANDOM_FLAG
from bridge._internal.sampling.foreign_sampler import decision_among_recorded
from bridge._internal.sampling.sampler import SpanStart
from bridge.otel import SentrySampler, SentrySpanProcessor
from bridge.testing import BridgeCapture, capture
from tests.propagation.test_matrix import parse_dsc

RANGE = 1 << 56
T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"


def even_ids(quantity: int) -> list[int]:
    """Trace ids whose 64 and whose 56 low bits are spread evenly."""
    return [int.from_bytes(hashlib.sha256(b"%d" % n).digest()[:16], "big") for n in range(quantity)]


class Ids(RandomIdGenerator):
    """Gives these trace ids, in order."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = list(ids)

    def generate_trace_id(self) -> int:
        return self.ids.pop(0)


class ByRule(Sampler):
    """A sampler of the user's, which tells no ratio."""

    def __init__(self, decide: Any) -> None:
        self._decide = decide

    def should_sample(self, parent_context: Any, trace_id: int, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(self._decide(trace_id))

    def get_description(self) -> str:
        return "ByRule"


class Consistent(Sampler):
    """OpenTelemetry's rule at a quarter, which it says in the trace state."""

    def should_sample(self, parent_context: Any, trace_id: int, *args: Any, **kwargs: Any) -> SamplingResult:
        if trace_id % RANGE < RANGE - RANGE // 4:
            return SamplingResult(Decision.DROP)
        return SamplingResult(Decision.RECORD_AND_SAMPLE, trace_state=TraceState([("ot", "th:c")]))

    def get_description(self) -> str:
        return "Consistent"


class Delegating(Sampler):
    """A wrapper of the user's around another sampler."""

    def __init__(self, inner: Sampler) -> None:
        self._inner = inner

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return self._inner.should_sample(*args, **kwargs)

    def get_description(self) -> str:
        return "Delegating"


def provider_of(sampler: Sampler | None, ids: Sequence[int] = ()) -> tuple[TracerProvider, InMemorySpanExporter]:
    generator = Ids(ids) if ids else None
    provider = TracerProvider(sampler=sampler, id_generator=generator, shutdown_on_exit=False)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def roots(sent: BridgeCapture, tracer: Any, quantity: int) -> list[tuple[bool, dict[str, str]]]:
    """Start roots with a child; returns Sentry's decision and the DSC of each that was recorded."""
    found = []
    for _ in range(quantity):
        with tracer.start_as_current_span("root") as root, bridge.start_span("child") as child:
            if root.is_recording():
                headers = bridge.trace_headers()
                assert headers["sentry-trace"].endswith("-1") is child.sampled
                # Sampled, and a random trace id where OpenTelemetry has a flag for that.
                assert headers["traceparent"].endswith("3" if KNOWS_RANDOM_FLAG else "1")
                found.append((bool(child.sampled), parse_dsc(headers["baggage"])))
    return found


@pytest.mark.parametrize("sampler", [None, ALWAYS_ON, DEFAULT_ON, ParentBased(TraceIdRatioBased(1.0))])
@pytest.mark.parametrize("rate", [0.0, 0.1, 1 / 3, 1.0])
def test_a_provider_that_records_everything(sampler: Sampler | None, rate: float) -> None:
    """What goes to Sentry is what our own provider would send at that rate, trace by trace; exporters get all."""
    ids = even_ids(200)
    provider, exporter = provider_of(sampler, ids)
    before_init = provider.get_tracer("before")
    with capture(tracer_provider=provider, traces_sample_rate=rate) as sent:
        found = roots(sent, before_init, len(ids))
        names = [transaction["transaction"] for transaction in sent.transactions]
        account = sent.client.accounting()
    wanted = [trace_id % RANGE >= RANGE - round(rate * RANGE) for trace_id in ids]
    assert [sampled for sampled, _ in found] == wanted
    assert len(names) == sum(sampled for sampled, _ in found)
    assert account.started == account.delivered == 2 * len(names)
    assert len(exporter.get_finished_spans()) == 2 * len(ids)
    for sampled, dsc in found:
        assert dsc["sample_rate"] == repr(rate)
        assert dsc["sampled"] == str(sampled).lower()
        assert (float(dsc["sample_rand"]) < rate) is sampled


@pytest.mark.parametrize(
    ("sampler", "ratio"),
    [
        (TraceIdRatioBased(0.5), 0.5),
        (ParentBased(TraceIdRatioBased(0.5)), 0.5),
        (ParentBased(ParentBased(TraceIdRatioBased(0.25))), 0.25),
        (Consistent(), 0.25),
        (ByRule(lambda trace_id: Decision(2 * (trace_id % RANGE < RANGE // 2))), None),
        (ByRule(lambda trace_id: Decision(2 * (trace_id % RANGE >= RANGE // 2))), None),
        (ByRule(lambda trace_id: Decision(2 * (trace_id % 2**64 < 2**62))), None),
        (Delegating(TraceIdRatioBased(0.25)), None),
    ],
    ids=["ratio", "parent", "nested", "consistent", "low", "high", "lowest", "wrapped"],
)
@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_the_share_of_what_a_sampler_records(sampler: Sampler, ratio: float | None, rate: float) -> None:
    """Whatever a sampler goes by, `rate` of what it records is Sentry's; the DSC has the share of all traces."""
    ids = even_ids(400)
    provider, exporter = provider_of(sampler, ids)
    with capture(tracer_provider=provider, traces_sample_rate=rate) as sent:
        found = roots(sent, provider.get_tracer("t"), len(ids))
        sent_roots = len(sent.transactions)
    assert len(exporter.get_finished_spans()) == 2 * len(found)
    assert sent_roots == sum(sampled for sampled, _ in found)
    assert sent_roots == pytest.approx(rate * len(found), abs=0.08 * len(found) if 0 < rate < 1 else 0)
    for sampled, dsc in found:
        share = float(dsc["sample_rate"])
        assert share == pytest.approx(rate * (1.0 if ratio is None else ratio))
        assert (float(dsc["sample_rand"]) < share) is sampled is (dsc["sampled"] == "true")


@given(
    trace_id=st.integers(1, 2**128 - 1), rate=st.floats(0, 1), ratio=st.sampled_from([None, 0.0, 1e-9, 0.1, 0.5, 1.0])
)
def test_numbers_that_agree(trace_id: int, rate: float, ratio: float | None) -> None:
    """`sample_rand < sample_rate <=> sampled` for any trace, rate and ratio; the same trace is decided the same."""
    sampler = ByRule(None) if ratio is None else TraceIdRatioBased(ratio)
    start = SpanStart("root", SpanKind.INTERNAL, trace_id=trace_id)
    first, again = (
        decision_among_recorded(SentrySampler(rate), start, sampler=sampler, flag=True, trace_state=TraceState())
        for _ in range(2)
    )
    assert first.sample_rate is not None
    assert (float(first.sample_rand) < first.sample_rate) is first.sampled is again.sampled
    assert first.flag
    assert first.record
    if rate == 0:
        assert first.sampled is False


@pytest.mark.parametrize(
    ("sentry", "otel", "to_sentry", "to_otel"),
    [("-1", "00", 0, 0), ("-0", "01", 0, 1), ("-1", "01", 1, 1), ("-1", None, 1, 1), (None, "01", 1, 1)],
)
def test_upstream_is_obeyed_on_each_side(sentry: str | None, otel: str | None, to_sentry: int, to_otel: int) -> None:
    """`sentry-trace` decides for Sentry among what `traceparent` lets the provider record; both are passed on."""
    provider, exporter = provider_of(None)
    incoming = {"sentry-trace": f"{T}-{S}{sentry}"} if sentry else {}
    incoming |= {"traceparent": f"00-{T}-{S}-{otel}"} if otel else {}
    with capture(tracer_provider=provider, traces_sample_rate=0.0) as sent:
        context = propagate.extract(incoming)
        with provider.get_tracer("t").start_as_current_span("root", context=context, kind=SpanKind.SERVER):
            out = sent.headers()
        assert (len(sent.transactions), len(exporter.get_finished_spans())) == (to_sentry, to_otel)
    if to_otel:
        assert out["sentry-trace"].endswith(sentry or "-1")
    assert int(out["traceparent"][-2:], 16) & 1 == to_otel


def test_traces_sampler_is_asked_once_for_each_root() -> None:
    """It sees name, kind, op and attributes of a native root, decides for Sentry alone, and not about children."""
    asked = []

    def traces_sampler(context: dict[str, Any]) -> float:
        asked.append((context["name"], context["kind"], context["op"], context["attributes"].get("a")))
        return 1.0 if context["name"] == "wanted" else 0.0

    provider, exporter = provider_of(None)
    tracer = provider.get_tracer("t")
    with capture(tracer_provider=provider, traces_sampler=traces_sampler) as sent:
        for name in ("wanted", "health"):
            attributes = {"sentry.op": "http.server", "a": 1}
            root = tracer.start_as_current_span(name, kind=SpanKind.SERVER, attributes=attributes)
            with root, bridge.start_span("child"), tracer.start_as_current_span("below"):
                pass
        assert sent.tree() == ["wanted", ["child", ["below"]]]
    assert asked == [(name, SpanKind.SERVER, "http.server", 1) for name in ("wanted", "health")]
    assert len(exporter.get_finished_spans()) == 6


@pytest.mark.parametrize(
    ("make", "share"),
    [
        (lambda: SentrySampler(0.5), 0.5),
        (lambda: ParentBased(SentrySampler(0.5)), 0.5),
        (lambda: Delegating(SentrySampler(0.5)), 0.5),
        (SentrySampler, 0.25),
        (lambda: ParentBased(SentrySampler()), 0.25),
    ],
    ids=["given", "parent", "wrapped", "following", "parent of a following"],
)
def test_a_sentry_sampler_on_the_provider_has_decided(make: Any, share: float) -> None:
    """It is not asked twice: all that it lets be recorded goes to Sentry; without a rate it follows the client's."""
    ids = even_ids(100)
    provider, exporter = provider_of(make(), ids)
    with capture(tracer_provider=provider, traces_sample_rate=0.25) as sent:
        found = roots(sent, provider.get_tracer("t"), len(ids))
        kept = len(sent.transactions)
    assert kept == len(found) == sum(trace_id % RANGE >= RANGE - round(share * RANGE) for trace_id in ids)
    assert {dsc["sample_rate"] for _, dsc in found} == {repr(share)}
    assert len(exporter.get_finished_spans()) == 2 * kept


def test_a_sentry_sampler_follows_traces_sampler_and_goes_with_the_client() -> None:
    """`SentrySampler()` asks the client's `traces_sampler`; without a client nothing is recorded."""
    provider, exporter = provider_of(SentrySampler())
    tracer = provider.get_tracer("t")
    with capture(tracer_provider=provider, traces_sampler=lambda context: context["name"] == "wanted") as sent:
        for name in ("wanted", "other"):
            with tracer.start_as_current_span(name):
                pass
        assert sent.tree() == ["wanted"]
    with tracer.start_as_current_span("wanted"):
        pass
    assert [span.name for span in exporter.get_finished_spans()] == ["wanted"]


def test_a_processor_wired_by_hand_goes_by_the_clients_rate() -> None:
    """`SentrySpanProcessor()` on a provider of the program's own: the active client's rate decides."""
    ids = even_ids(100)
    provider, _ = provider_of(None, ids)
    provider.add_span_processor(SentrySpanProcessor())
    with capture(traces_sample_rate=0.25) as sent:
        for _ in ids:
            with provider.get_tracer("t").start_as_current_span("root", context=propagate.extract({})):
                pass
        kept = len(sent.transactions)
    assert kept == sum(trace_id % RANGE >= RANGE - RANGE // 4 for trace_id in ids)


def test_recorded_but_not_sampled() -> None:
    """What a provider records without flagging it is Sentry's to choose from; no exporter gets it, as before."""
    provider, exporter = provider_of(ByRule(lambda trace_id: Decision.RECORD_ONLY))
    with capture(tracer_provider=provider, traces_sample_rate=1.0) as sent:
        with provider.get_tracer("t").start_as_current_span("root"):
            out = sent.headers()
        assert sent.tree() == ["root"]
    assert out["sentry-trace"].endswith("-1")
    assert out["traceparent"].endswith(("-00", "-02"))
    assert exporter.get_finished_spans() == ()
