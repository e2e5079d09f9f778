"""Isolation of a capture: save and restore the process-wide state of bridge and OpenTelemetry."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import propagate
from opentelemetry.context.context import Context

from bridge._internal import active
from bridge._internal.context.handoff import active_patches, patch_threads, unpatch_threads
from bridge._internal.context.propagation_context import PropagationContext, continue_for_process
from bridge._internal.context.runtime import SentryRuntimeContext
from bridge._internal.context.scope import global_scope
from bridge._internal.foreign.span_processor import SentrySpanProcessor
from bridge._internal.guard import counting_afresh
from bridge._internal.otel_private import (
    global_tracer_provider,
    runtime_context,
    set_resource,
    set_runtime_context,
    set_span_processors,
    set_tracer_provider,
    span_processors,
    tracer_provider_is_fixed,
    unbinding_proxies,
)
from bridge._internal.tracing.provider import TracerProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge._internal.client import Client

_CONFIGURATION = ("options", "sampler", "beside", "sink", "has_processors")


@contextmanager
def isolated(client: Client | None) -> Iterator[None]:
    """Run a block with fresh process-wide state and restore the previous state; the block closes what it set up.

    The active `client` is suspended, not closed, and resumed afterwards.
    """
    with ExitStack() as stack:
        for part in (_logging, _threads, _runtime_context, _propagator, _tracer_provider, _global_scope):
            stack.enter_context(part())
        stack.enter_context(counting_afresh())
        stack.enter_context(_suspended(client))
        yield


@contextmanager
def _logging() -> Iterator[None]:
    logger = logging.getLogger("bridge")
    level, handlers, propagates, disabled = logger.level, logger.handlers[:], logger.propagate, logger.disabled
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.handlers[:], logger.propagate, logger.disabled = handlers, propagates, disabled


@contextmanager
def _threads() -> Iterator[None]:
    was_patched = bool(active_patches())
    unpatch_threads()
    try:
        yield
    finally:
        unpatch_threads()
        if was_patched:
            patch_threads()


@contextmanager
def _runtime_context() -> Iterator[None]:
    # A context variable of its own, not only a Context: an event loop may have copied, or may keep for the next test,
    # the values that the other variable has. This one has no values yet, and is not read afterwards.
    before = runtime_context()
    set_runtime_context(SentryRuntimeContext())
    token = context_api.attach(Context())
    try:
        yield
    finally:
        context_api.detach(token)
        set_runtime_context(before)


@contextmanager
def _propagator() -> Iterator[None]:
    before = propagate.get_global_textmap()
    parent_of_process = PropagationContext(of_process=True).parent_of_process
    continue_for_process(None)
    try:
        yield
    finally:
        continue_for_process(parent_of_process)
        propagate.set_global_textmap(before)


@contextmanager
def _tracer_provider() -> Iterator[None]:
    before, fixed = global_tracer_provider(), tracer_provider_is_fixed()
    with _restored(before), unbinding_proxies():
        try:
            yield
        finally:
            set_tracer_provider(before, fixed=fixed)


@contextmanager
def _restored(provider: Any) -> Iterator[None]:
    """Restore a provider's processors, and the configuration of a bridge provider."""
    processors = span_processors(provider)
    ours = provider if isinstance(provider, TracerProvider) else None
    known = {name: getattr(ours, name) for name in _CONFIGURATION} if ours is not None else {}
    resource = None if ours is None else ours.resource
    try:
        yield
    finally:
        set_span_processors(provider, processors)
        if ours is not None:
            vars(ours).update(known)
            set_resource(ours, resource)


@contextmanager
def _global_scope() -> Iterator[None]:
    scope = global_scope()
    before = scope._read()
    try:
        yield
    finally:
        scope._write(lambda _: before)


@contextmanager
def _suspended(client: Client | None) -> Iterator[None]:
    if client is None:
        yield
        return
    provider = client.tracer_provider
    with _restored(provider):
        own = {id(processor) for processor in client.options.span_processors}
        others = [p for p in span_processors(provider) if not (isinstance(p, SentrySpanProcessor) or id(p) in own)]
        set_span_processors(provider, tuple(others))
        if isinstance(provider, TracerProvider):
            provider.has_processors = bool(others)
        active.activate(None)
        try:
            yield
        finally:
            client.instrumentors.resume()
            active.activate(client)
