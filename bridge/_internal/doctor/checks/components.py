"""Whether what `init` installed is there, once, and still active."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bridge._internal.console.problem import ERROR, WARNING
from bridge._internal.doctor.checks.check import Symptom, check, full_name
from bridge._internal.foreign.span_processor import sentry_processors
from bridge._internal.otel_private import is_shut_down_at_exit, span_processors, tracers
from bridge._internal.propagation.propagator import SentryPropagator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge._internal.doctor.live import LiveSetup

_WRAPPED = (TraceContextTextMapPropagator, W3CBaggagePropagator, SentryPropagator)


@check("client-closed", ERROR, fix="Call bridge.init() again, and bridge.close() only when the program ends.")
def client_closed(live: LiveSetup) -> Iterator[Symptom]:
    """`Client.close()` was called on the active client: it sends nothing any more."""
    if live.client.sender.is_closed:
        yield Symptom("The active client is closed.", "Spans are still created, but nothing is sent.")


@check(
    "provider-not-global",
    ERROR,
    fix="Set your provider before init(), or give init() the global one. OpenTelemetry lets it be set only once.",
)
def provider_not_global(live: LiveSetup) -> Iterator[Symptom]:
    """`init` uses one provider and another one is global: spans of `get_tracer()` do not reach Sentry."""
    if live.provider is not live.client.tracer_provider:
        other = "none is" if live.provider is None else f"{full_name(live.provider)} is"
        yield Symptom(
            f"bridge uses a {full_name(live.client.tracer_provider)} that is not global; {other}.",
            "opentelemetry.trace.get_tracer(), and so every instrumentation, uses the global provider: those spans are "
            "in no transaction, and belong to other traces.",
        )


@check(
    "provider-idle",
    WARNING,
    fix="Set it before bridge.init(), which adopts it, or give its processors to init(span_processors=[...]).",
)
def provider_idle(live: LiveSetup) -> Iterator[Symptom]:
    """`set_tracer_provider` was called too late and refused: a provider has processors but has created no tracer."""
    if live.provider is not live.client.tracer_provider:
        return
    for provider in live.unused_providers:
        processors = span_processors(provider)
        if processors and is_shut_down_at_exit(provider) and tracers(provider) == ():
            yield Symptom(
                f"A {full_name(provider)} with processors ({_names(processors)}) is not used.",
                "OpenTelemetry lets the global provider be set only once, and bridge had set it: these processors "
                "never receive a span.",
            )


@check("processor-missing", ERROR, fix="Call bridge.init() again, after all other code that sets OpenTelemetry up.")
def processor_missing(live: LiveSetup) -> Iterator[Symptom]:
    """`SentrySpanProcessor` is no longer on the adopted provider, whose spans do not reach Sentry."""
    provider = live.adopted_provider
    if provider is None or sentry_processors(provider):
        return
    yield Symptom(
        f"SentrySpanProcessor is not on {full_name(provider)}.",
        "Other code removed it after init(), or replaced all processors: no span reaches Sentry.",
        "Call bridge.init() after logfire.configure(), which replaces all processors."
        if full_name(provider).startswith("logfire.")
        else None,
    )


@check("processor-twice", WARNING, fix="Do not add SentrySpanProcessor yourself: init() adds it if it is missing.")
def processor_twice(live: LiveSetup) -> Iterator[Symptom]:
    """An adopted provider has more than one `SentrySpanProcessor`."""
    count = len(sentry_processors(live.adopted_provider))
    if count > 1:
        yield Symptom(
            f"There are {count} SentrySpanProcessors on {full_name(live.adopted_provider)}.",
            "Each span is sent once, by the first that is told of it: a filter around another one has no effect.",
        )


@check(
    "propagator-replaced",
    ERROR,
    fix="Set propagators before bridge.init(), which wraps them, or call it again afterwards.",
)
def propagator_replaced(live: LiveSetup) -> Iterator[Symptom]:
    """Another global propagator was set after `init`: `sentry-trace` and `baggage` are neither written nor read."""
    if not live.our_propagators:
        yield Symptom(
            f"The global propagator is {full_name(live.propagator.propagator)}, without SentryPropagator.",
            "Instrumentations neither send Sentry's headers nor continue incoming ones: traces break at this process.",
        )


@check(
    "propagator-doubled",
    WARNING,
    fix="Set propagators before bridge.init(), which wraps them, or call it again: it then wraps the composite.",
)
def propagator_doubled(live: LiveSetup) -> Iterator[Symptom]:
    """After `init`, `SentryPropagator` was composed with propagators that it wraps: headers are doubled or lost."""
    for tree in live.propagator:
        members = [one.propagator for one in tree.inner]
        ours = next((n for n, one in enumerate(members) if isinstance(one, SentryPropagator)), None)
        if ours is None or not isinstance(tree.propagator, CompositePropagator):
            continue
        wrapped = [one for n, one in enumerate(members) if isinstance(one, _WRAPPED) and n != ours]
        why = "Headers are written twice into carriers that append, such as those of Kafka and gRPC."
        if any(isinstance(one, TraceContextTextMapPropagator) for one in members[ours:]):
            why = "TraceContextTextMapPropagator comes last and overwrites what was read of sentry-trace and baggage."
        if wrapped:
            yield Symptom(f"SentryPropagator is composed with {_names(wrapped)}, which it wraps already.", why)


def _names(values: Sequence[object]) -> str:
    return ", ".join(type(value).__name__ for value in values)


@check(
    "context-replaced",
    ERROR,
    fix="Unset OTEL_PYTHON_CONTEXT or set it to bridge, and assign no runtime context after init().",
)
def context_replaced(live: LiveSetup) -> Iterator[Symptom]:
    """OpenTelemetry's runtime context is another library's, which may lose scopes, as ddtrace's does."""
    if not isinstance(live.runtime, ContextVarsRuntimeContext):
        yield Symptom(
            f"OpenTelemetry's runtime context is {full_name(live.runtime)}.",
            "Scopes, suppression and the current trace are values of OpenTelemetry's context. A runtime context that "
            "does not keep every value loses them.",
        )
