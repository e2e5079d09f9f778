"""Install the bridge into a process: runtime context, propagator, provider; and take it off again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from opentelemetry import propagate
from opentelemetry import trace as trace_api
from opentelemetry.context.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.propagators.composite import CompositePropagator

from bridge._otel import (
    SPAN_KEY,
    composed_propagators,
    context_variable,
    global_tracer_provider,
    runtime_context,
    set_resource,
    set_runtime_context,
    span_processors,
    take_off_span_processor,
)
from bridge.capture.processor import SentrySpanProcessor
from bridge.context.propagation_context import continue_for_process
from bridge.context.runtime import SentryRuntimeContext
from bridge.propagation.carrier import environment_carrier
from bridge.propagation.propagator import SentryPropagator
from bridge.tracing.provider import TracerProvider
from bridge.tracing.sampler import SentrySampler
from bridge.tracing.span import RemoteSpan

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.sdk.trace.sampling import Sampler

    from bridge.options import Options
    from bridge.tracing.segment import SegmentSink


def install_runtime_context() -> None:
    """Make `detach` tolerant; the context variable stays the one that OpenTelemetry has, so tokens stay valid."""
    current = runtime_context()
    if type(current) is ContextVarsRuntimeContext:
        set_runtime_context(SentryRuntimeContext(context_variable(current)))


def install_propagator() -> SentryPropagator:
    """Wrap the global propagator, once; one of ours that was composed with others is put around them."""
    current = propagate.get_global_textmap()
    if isinstance(current, SentryPropagator):
        return current
    ours = SentryPropagator(_without_ours(current))
    propagate.set_global_textmap(ours)
    return ours


def _without_ours(propagator: TextMapPropagator) -> TextMapPropagator:
    if isinstance(propagator, CompositePropagator):
        members = composed_propagators(propagator)
        if any(isinstance(member, SentryPropagator) for member in members):
            return CompositePropagator([m for m in members if not isinstance(m, SentryPropagator)])
    return propagator


def continue_environment(propagator: SentryPropagator) -> None:
    """Continue what a parent process left in the environment, in everything that is no request of its own."""
    carrier = environment_carrier(os.environ)
    found = propagator.extract(carrier, Context()).get(SPAN_KEY) if carrier else None
    continue_for_process(found if isinstance(found, RemoteSpan) else None)


def samplers_for(options: Options, lowering: Callable[[], float] | None) -> tuple[Sampler, SentrySampler | None]:
    """Return the sampler that decides, and the one that decides for Sentry beside it where there are two."""
    ours = SentrySampler(options.traces_sample_rate, options.traces_sampler, lowering=lowering)
    if options.sampler is None:
        return ours, None
    return options.sampler, ours if options.decides_twice else None


def install_provider(
    options: Options, sink: SegmentSink | None, lowering: Callable[[], float] | None = None
) -> trace_api.TracerProvider:
    """Make the bridge's provider global, or set up again the one that is; an existing one of others is adopted."""
    existing = options.tracer_provider or global_tracer_provider()
    if existing is None:
        existing = TracerProvider(resource=options.resource)
    if global_tracer_provider() is None:
        trace_api.set_tracer_provider(existing)
    if isinstance(existing, TracerProvider):
        if options.resource is not None:
            set_resource(existing, options.resource)
        sampler, beside = samplers_for(options, lowering)
        existing.configure(options, sampler, sink, beside)
    else:
        _add_processor(existing, SentrySpanProcessor(options, sink))
    for processor in options.span_processors:
        _add_processor(existing, processor)
    return existing


def _add_processor(provider: trace_api.TracerProvider, processor: object) -> None:
    add = getattr(provider, "add_span_processor", None)
    if add is None:
        raise ValueError(
            f"bridge.init: the tracer provider {type(provider).__name__} takes no span processors; it must be a "
            "provider of the OpenTelemetry SDK"
        )
    add(processor)


def uninstall_provider(provider: trace_api.TracerProvider, options: Options, timeout_s: float) -> None:
    """Flush the processors that `init` added and take them off; our provider makes only unrecorded spans then."""
    for processor in span_processors(provider):
        if isinstance(processor, SentrySpanProcessor):
            take_off_span_processor(provider, processor)
    for processor in options.span_processors:
        processor.force_flush(int(timeout_s * 1000))
        take_off_span_processor(provider, processor)
    if isinstance(provider, TracerProvider):
        provider.has_processors = bool(span_processors(provider))
        provider.configure(None, SentrySampler(), None)
