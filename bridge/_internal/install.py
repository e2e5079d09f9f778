"""Install the bridge into a process: runtime context, propagator, provider; and take it off again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from opentelemetry import propagate
from opentelemetry import trace as trace_api
from opentelemetry.context.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.propagators.composite import CompositePropagator

from bridge._internal.context.propagation_context import continue_for_process
from bridge._internal.context.runtime import SentryRuntimeContext
from bridge._internal.foreign.span_processor import SentrySpanProcessor
from bridge._internal.otel_private import (
    SPAN_KEY,
    composed_propagators,
    context_variable,
    global_tracer_provider,
    remove_span_processor,
    runtime_context,
    sdk_provider,
    set_resource,
    set_runtime_context,
    span_processors,
)
from bridge._internal.propagation.propagator import SentryPropagator
from bridge._internal.sampling.sampler import SentrySampler
from bridge._internal.sampling.upstream import RemoteSpan
from bridge._internal.sources import set_ids
from bridge._internal.tracing.provider import TracerProvider
from bridge._internal.wire.carrier import environment_carrier

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.sdk.trace.sampling import Sampler

    from bridge._internal.options import Options
    from bridge._internal.tracing.segment import SegmentSink


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


def check_provider(options: Options) -> None:
    """Raise `ValueError` if the provider that would be used takes no span processors, before anything is changed."""
    provider = options.tracer_provider or global_tracer_provider()
    if provider is not None and not callable(getattr(provider, "add_span_processor", None)):
        raise ValueError(
            f"bridge.init: the tracer provider {type(provider).__name__} takes no span processors; it must be a "
            "provider of the OpenTelemetry SDK"
        )


def install_provider(
    options: Options, sink: SegmentSink | None, lowering: Callable[[], float] | None = None
) -> trace_api.TracerProvider:
    """Make the bridge's provider global, or set up again the one that is; an existing one of others is adopted.

    A `SentrySpanProcessor` that somebody wired by hand serves this client: there is none added beside it.
    """
    existing: Any = options.tracer_provider or global_tracer_provider()
    if existing is None:
        existing = TracerProvider(resource=options.resource)
    if global_tracer_provider() is None:
        trace_api.set_tracer_provider(existing)
    if isinstance(existing, TracerProvider):
        if options.resource is not None:
            set_resource(existing, options.resource)
        sampler, beside = samplers_for(options, lowering)
        existing.configure(options, sampler, sink, beside)
    elif not any(isinstance(processor, SentrySpanProcessor) for processor in span_processors(existing)):
        existing.add_span_processor(SentrySpanProcessor(options, sink))
    for processor in options.span_processors:
        existing.add_span_processor(processor)
    set_ids(getattr(sdk_provider(existing), "id_generator", None))
    return cast("trace_api.TracerProvider", existing)


def uninstall_provider(provider: trace_api.TracerProvider, options: Options, timeout_s: float) -> None:
    """Flush the processors that `init` added and take them off; our provider makes only unrecorded spans then."""
    for processor in span_processors(provider):
        if isinstance(processor, SentrySpanProcessor) and processor.serves_only(options):
            remove_span_processor(provider, processor)
    for processor in options.span_processors:
        processor.force_flush(int(timeout_s * 1000))
        remove_span_processor(provider, processor)
    set_ids(None)
    if isinstance(provider, TracerProvider):
        provider.has_processors = bool(span_processors(provider))
        provider.configure(None, SentrySampler(), None)
