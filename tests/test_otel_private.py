"""OpenTelemetry's private names that `otel_private.py` stands for are there, and are what we take them for."""

from __future__ import annotations

import pytest
from opentelemetry import context as context_api
from opentelemetry import propagate, trace
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, ParentBased

import bridge
from bridge._internal import otel_private


def test_the_active_span_is_where_we_look() -> None:
    """`SPAN_KEY` is the key under which OpenTelemetry keeps the active span."""
    span = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
    assert trace.set_span_in_context(span)[otel_private.SPAN_KEY] is span


def test_the_runtime_context_can_be_exchanged() -> None:
    """The runtime context and its variable can be read and put back."""
    runtime = otel_private.runtime_context()
    variable = otel_private.context_variable(ContextVarsRuntimeContext())
    assert variable is not None
    assert variable.name == "current_context"
    otel_private.set_runtime_context(runtime)
    assert otel_private.runtime_context() is runtime
    assert context_api.get_value(otel_private.SUPPRESS_INSTRUMENTATION_KEY) is None
    assert context_api.get_value(otel_private.SUPPRESS_HTTP_INSTRUMENTATION_KEY) is None


def test_providers_and_tracers_have_what_we_read() -> None:
    """Processors, tracers, limits, scope, metrics and resource of an SDK provider."""
    provider = TracerProvider(shutdown_on_exit=False)
    processor = SpanProcessor()
    provider.add_span_processor(processor)
    assert otel_private.span_processors(provider) == (processor,)
    otel_private.remove_span_processor(provider, processor)
    assert otel_private.span_processors(provider) == ()
    otel_private.set_span_processors(provider, (processor, processor))
    assert otel_private.span_processors(provider) == (processor, processor)
    otel_private.set_span_processors(provider, ())
    otel_private.set_span_processors(object(), (processor,))  # of others, which have none
    tracer = provider.get_tracer("t", "1")
    assert otel_private.enabled_check(tracer)()
    assert otel_private.scope_of_tracer(tracer).name == "t"
    assert otel_private.span_limits(tracer).max_span_attributes == 128
    if hasattr(tracer, "_tracer_metrics"):
        assert callable(otel_private.record_end_metrics(tracer, None, Decision.DROP))
    assert otel_private.counts_spans(tracer) in (True, False)
    attributes = otel_private.shared_attributes(otel_private.span_limits(tracer), shared := {"a": 1}, frozen=False)
    otel_private.set_items(attributes, {"b": 2})
    assert attributes == shared == {"a": 1, "b": 2}
    otel_private.freeze(attributes)
    with pytest.raises(TypeError):
        attributes["c"] = 3
    assert otel_private.trace_id_is_random(provider.id_generator) in (True, False)
    assert otel_private.sampler_of_span(tracer.start_span("s")) is provider.sampler
    assert otel_private.root_sampler(ParentBased(ALWAYS_OFF)) is ALWAYS_OFF
    otel_private.set_resource(provider, Resource({"a": "b"}))
    assert provider.resource.attributes["a"] == "b"


def test_the_environment_names_a_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK makes the sampler that the environment names."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    assert otel_private.sampler_from_environment() is ALWAYS_OFF


def test_the_global_provider_is_where_we_look() -> None:
    """The provider that init made global is found without making one."""
    client = bridge.init()
    assert otel_private.global_tracer_provider() is client.tracer_provider is trace.get_tracer_provider()


def test_the_global_provider_can_be_exchanged() -> None:
    """Another provider can be put in place, and OpenTelemetry told whether to take the next one."""
    before, fixed = otel_private.global_tracer_provider(), otel_private.tracer_provider_is_fixed()
    first, second, third = (TracerProvider(shutdown_on_exit=False) for _ in range(3))
    try:
        otel_private.set_tracer_provider(first, fixed=False)
        assert trace.get_tracer_provider() is first
        trace.set_tracer_provider(second)
        assert trace.get_tracer_provider() is second
        assert otel_private.tracer_provider_is_fixed()
        trace.set_tracer_provider(third)
        assert trace.get_tracer_provider() is second
    finally:
        otel_private.set_tracer_provider(before, fixed=fixed)


def test_proxies_let_go_of_what_they_found() -> None:
    """A tracer that found a provider within the block has found none after it, and the same one all the time within."""
    before, fixed = otel_private.global_tracer_provider(), otel_private.tracer_provider_is_fixed()
    bound, unbound = trace.ProxyTracer("bound"), trace.ProxyTracer("unbound")
    try:
        otel_private.set_tracer_provider(first := TracerProvider(shutdown_on_exit=False), fixed=False)
        assert bound.start_span("a").is_recording()
        with otel_private.unbinding_proxies():
            assert unbound.start_span("a").resource is first.resource  # type: ignore[attr-defined]  # an SDK span
            otel_private.set_tracer_provider(None, fixed=False)
            assert unbound.start_span("a").is_recording()
        assert bound.start_span("a").is_recording()
        assert not unbound.start_span("a").is_recording()
    finally:
        otel_private.set_tracer_provider(before, fixed=fixed)


def test_the_sdk_goes_by_another_clock() -> None:
    """Spans and events of the SDK are dated by the clock that was put in place."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    before = otel_private.set_sdk_clock(lambda: 42)
    try:
        span = tracer.start_span("s")
        span.add_event("e")
        span.end()
    finally:
        assert otel_private.set_sdk_clock(before)() == 42
    assert (span.start_time, span.events[0].timestamp, span.end_time) == (42, 42, 42)  # type: ignore[attr-defined]


def test_the_members_of_a_composite_are_found() -> None:
    """A composed propagator tells its members."""
    assert isinstance(propagate.get_global_textmap(), object)
    inner = CompositePropagator([])
    assert otel_private.composed_propagators(CompositePropagator([inner])) == (inner,)


def test_what_the_doctor_reads_of_providers() -> None:
    """Tracers that were given out, whether a provider waits for the exit, and where it exports to."""
    provider = TracerProvider()
    assert otel_private.is_shut_down_at_exit(provider)
    provider.shutdown()
    assert not otel_private.is_shut_down_at_exit(provider)
    tracer = provider.get_tracer("t")
    assert otel_private.tracers(provider) in ((tracer,), None)  # None before 1.42
    assert otel_private.exporter_url(SpanProcessor()) is None


def test_a_provider_behind_another_is_found() -> None:
    """Processors of a provider that passes everything on to one of the SDK are read and taken off there."""

    class Proxy:
        provider = TracerProvider(shutdown_on_exit=False)

    processor = SpanProcessor()
    Proxy.provider.add_span_processor(processor)
    assert otel_private.sdk_provider(Proxy()) is Proxy.provider
    assert otel_private.span_processors(Proxy()) == (processor,)
    otel_private.remove_span_processor(Proxy(), processor)
    assert otel_private.span_processors(Proxy()) == ()
