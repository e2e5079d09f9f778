"""Install a client into the process, and remove it again.

`_install` and `_remove` give the order. Each step between them is a function below.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from opentelemetry import propagate
from opentelemetry import trace as trace_api
from opentelemetry.context.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider

from bridge._internal import active, sentry_sdk
from bridge._internal.client import Client
from bridge._internal.context.handoff import patch_threads, unpatch_threads
from bridge._internal.context.propagation_context import continue_for_process
from bridge._internal.context.runtime import SentryRuntimeContext
from bridge._internal.foreign.adopted_tracer import adopt_tracers, release_tracers
from bridge._internal.foreign.span_processor import (
    SentrySpanProcessor,
    remember_processor,
    remembered_processor,
    sentry_processors,
)
from bridge._internal.guard import guard
from bridge._internal.integrations.celery import support_celery
from bridge._internal.options import Options, resolve
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
from bridge._internal.process_exit import close_at_exit
from bridge._internal.propagation.propagator import SentryPropagator
from bridge._internal.sampling.foreign_sampler import is_sentrys
from bridge._internal.sampling.sampler import SentrySampler
from bridge._internal.sampling.upstream import RemoteSpan
from bridge._internal.sources import set_ids
from bridge._internal.tracing.provider import TracerProvider
from bridge._internal.wire.carrier import environment_carrier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.sdk.trace import SpanProcessor

    from bridge._internal.delivery.observer import DeliveryObserver
    from bridge._internal.tracing.segment import SegmentSink


_lock = threading.RLock()  # protects the exchange of the active client, and _is_installing
_is_installing = False  # whether the holder of the lock is installing a client


def init(arguments: Mapping[str, Any]) -> Client:
    """Make a client of the arguments of `init`, and install it in the place of the active one."""
    client = _client_for(resolve(active.amended(arguments)))
    with _lock:
        _install(client)
    return client


def init_once(options: Callable[[], Options]) -> None:
    """Install a client with what `options` gives, unless there is one, or this thread is about to install one."""
    with _lock:
        if active.client is None and not _is_installing:
            _install(_client_for(options()))


def close(timeout: float | None = None) -> None:
    """Send what there is, at most `timeout` seconds, and remove the active client."""
    with _lock:
        client = active.client
        if client is not None and timeout is not None:
            client.close(timeout)
        _remove(client)


def _install(client: Client) -> None:
    global _is_installing
    _is_installing = True
    options = client.options
    try:
        check_provider(options)
        _remove(active.client)
        install_runtime_context()
        client.propagator = install_propagator()
        sink = client.sink if client.sender.sends else None
        client.tracer_provider = install_provider(options, sink, client.sampler)
        client.decides_twice = decides_twice(options, client.tracer_provider)
        if options.patch_threads:
            patch_threads()
        client.instrumentors.start(client.tracer_provider)
        if options.debug:
            _log_to_stderr()
        active.activate(client)
        continue_environment(client.propagator)
        close_at_exit(close)
        support_celery(close, _capture_exception)
        sentry_sdk.join(client)
    finally:
        _is_installing = False


def _remove(client: Client | None) -> None:
    if client is None:
        return
    with guard("setup", "the client before could not be taken off"):
        client.instrumentors.stop()
        unpatch_threads()
        sentry_sdk.leave(client, client.options.shutdown_timeout)
        uninstall_provider(client.tracer_provider, client.options, client.options.shutdown_timeout)
        client.close()
    continue_for_process(None)
    active.activate(None)


def _client_for(options: Options) -> Client:
    return Client(options, _observer_for(options))


def _observer_for(options: Options) -> DeliveryObserver | None:
    """Return the console if it is wanted; what is below this module knows no console."""
    if not options.console:
        return None
    from bridge._internal.console.console import Console

    return Console()


def _capture_exception(error: BaseException) -> None:
    if active.client is not None:
        active.client.errors.capture_exception(error)


def _log_to_stderr() -> None:
    logger = logging.getLogger("bridge")
    logger.setLevel(logging.DEBUG)
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler())


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
    """Continue what a parent process left in the environment, in everything that is no request of its own.

    That is trusted, whatever is said of requests.
    """
    carrier = environment_carrier(os.environ)
    trusting = SentryPropagator(propagator.wrapped, options=replace(propagator.options, trust_upstream=True))
    found = trusting.extract(carrier, Context()).get(SPAN_KEY) if carrier else None
    continue_for_process(found if isinstance(found, RemoteSpan) else None)


def decides_twice(options: Options, provider: trace_api.TracerProvider) -> bool:
    """Whether Sentry's rate or sampler decides beside another sampler: one that was given, or the provider's own."""
    behind = sdk_provider(provider)
    is_foreign = isinstance(behind, SdkTracerProvider) and not isinstance(behind, TracerProvider)
    return options.decides_twice or (options.decides_for_sentry and is_foreign and not is_sentrys(behind.sampler))


def check_provider(options: Options) -> None:
    """Raise `ValueError` if the provider that would be used takes no span processors, before anything is changed."""
    provider = options.tracer_provider or global_tracer_provider()
    if provider is not None and not callable(getattr(sdk_provider(provider), "add_span_processor", None)):
        raise ValueError(
            f"bridge.init: the tracer provider {type(provider).__name__} takes no span processors; it must be a "
            "provider of the OpenTelemetry SDK"
        )


def install_provider(options: Options, sink: SegmentSink | None, ours: SentrySampler) -> trace_api.TracerProvider:
    """Make the bridge's provider global, or set up again the one that is; an existing one of others is adopted.

    A `SentrySpanProcessor` that was wired by hand, in a wrapper too, serves this client: none is added beside it.
    """
    existing: Any = options.tracer_provider or global_tracer_provider()
    if existing is None:
        existing = TracerProvider(resource=options.resource)
    if global_tracer_provider() is None:
        trace_api.set_tracer_provider(existing)
    provider = sdk_provider(existing)
    if isinstance(provider, TracerProvider):
        if options.resource is not None:
            set_resource(provider, options.resource)
        if options.sampler is None:
            provider.configure(options, ours, sink)
        else:
            provider.configure(options, options.sampler, sink, ours if options.decides_twice else None)
    elif remembered_processor(existing) or not sentry_processors(existing):
        _add_sentry_processor(existing, options, sink, ours)
    for adopting in sentry_processors(existing):
        adopt_tracers(existing, adopting)
    for processor in options.span_processors:
        _add_processor(existing, processor)
    set_ids(provider.id_generator if isinstance(provider, SdkTracerProvider) else None)
    return cast("trace_api.TracerProvider", existing)


def _add_processor(provider: Any, processor: SpanProcessor) -> None:
    """Add a processor and leave the others in place, where the provider's own method would not (Phoenix's)."""
    behind = sdk_provider(provider)
    if isinstance(behind, SdkTracerProvider) and not isinstance(behind, TracerProvider):
        SdkTracerProvider.add_span_processor(behind, processor)
    else:
        behind.add_span_processor(processor)


def _add_sentry_processor(provider: Any, options: Options, sink: SegmentSink | None, ours: SentrySampler) -> None:
    """Add ours to a provider of others; where it cannot be taken off again it is remembered, and used once more."""
    known = remembered_processor(provider)
    if known is not None:
        known.serve(options, sink, ours)
        return
    added = SentrySpanProcessor(options, sink, ours)
    _add_processor(provider, added)
    if added not in span_processors(provider):
        remember_processor(provider, added)


def uninstall_provider(provider: trace_api.TracerProvider, options: Options, timeout_s: float) -> None:
    """Flush the processors that `init` added and take them off; our provider makes only unrecorded spans then."""
    release_tracers(provider)
    for ours in sentry_processors(provider):
        if ours.serves_only(options):
            ours.turn_off()
            remove_span_processor(provider, ours)
    for processor in options.span_processors:
        processor.force_flush(int(timeout_s * 1000))
        remove_span_processor(provider, processor)
    set_ids(None)
    behind = sdk_provider(provider)
    if isinstance(behind, TracerProvider):
        behind.has_processors = bool(span_processors(behind))
        behind.configure(None, SentrySampler(follows_client=False), None)
