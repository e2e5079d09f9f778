"""Whether what `init` puts in place is there, once, and still in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bridge._internal.context.handoff import lost_patches, threads_are_carried
from bridge._internal.context.runtime import SentryRuntimeContext
from bridge._internal.doctor.checks.check import Check, Finding, check, full_name
from bridge._internal.doctor.problem import ERROR, INFO, WARNING
from bridge._internal.foreign.span_processor import SentrySpanProcessor
from bridge._internal.otel_private import is_disabled, is_shut_down_at_exit, span_processors, tracers
from bridge._internal.propagation.propagator import SentryPropagator
from bridge._internal.tracing.provider import TracerProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge._internal.doctor.live import Live

_W3C = (TraceContextTextMapPropagator, W3CBaggagePropagator, SentryPropagator)
_CALL_INIT = "Call bridge.init() when the program starts, once in each process, before work is done."


@check("not-initialised", ERROR, fix=_CALL_INIT)
def not_initialised(live: Live) -> Iterator[Finding]:
    """`init` was not called, or `close` was since: nothing is recorded and nothing is sent."""
    if live.client is not None or takes_no_processors(live):
        return
    pieces = _pieces(live)
    why = "Spans of bridge.start_span() are not recorded, and nothing is sent."
    if pieces:
        why = f"There are pieces of the bridge ({', '.join(pieces)}), but only init() makes the client that sends."
    yield Finding("bridge is not initialised.", why)


def _pieces(live: Live) -> list[str]:
    found = [type(one).__name__ for one in live.processors if isinstance(one, SentrySpanProcessor)]
    found += ["TracerProvider"] if isinstance(live.provider, TracerProvider) else []
    found += [type(one.propagator).__name__ for one in live.our_propagators]
    return found + (["SentryRuntimeContext"] if isinstance(live.runtime, SentryRuntimeContext) else [])


@check("client-closed", ERROR, fix="Call bridge.init() again; bridge.close() at the end of the program only.")
def client_closed(live: Live) -> Iterator[Finding]:
    """The client was closed by itself (`Client.close()`) and is still the one in force: it sends nothing any more."""
    if live.client is not None and live.client.sender.is_closed:
        yield Finding(
            "The active client is closed.", "Spans are still made, but nothing of what is recorded is sent any more."
        )


@check(
    "provider-takes-no-processors",
    ERROR,
    fix="Let an SDK provider be global, or none before init(), or give one to it: init(tracer_provider=...).",
)
def provider_takes_no_processors(live: Live) -> Iterator[Finding]:
    """The global provider is not one of the OpenTelemetry SDK's (ddtrace's, say): `init` never hears of its spans."""
    if live.client is None and takes_no_processors(live):
        is_ddtrace = full_name(live.provider).startswith("ddtrace.")
        yield Finding(
            f"The global tracer provider is {full_name(live.provider)}, which takes no span processors.",
            "bridge.init() refuses it with a ValueError, as it would never hear of a span.",
            "Unset DD_TRACE_OTEL_ENABLED, so that ddtrace leaves OpenTelemetry's provider alone."
            if is_ddtrace
            else None,
        )


def takes_no_processors(live: Live) -> bool:
    """Tell whether `init` must refuse the global provider."""
    return live.provider is not None and not hasattr(live.provider, "add_span_processor")


@check(
    "provider-not-global",
    ERROR,
    fix="Set your provider before init(), or give init() the one that is global; a provider can be set only once.",
)
def provider_not_global(live: Live) -> Iterator[Finding]:
    """The bridge is on one provider and another one is global: spans of `get_tracer()` are not Sentry's."""
    if live.client is None or live.provider is live.client.tracer_provider:
        return
    theirs = "none is" if live.provider is None else f"{full_name(live.provider)} is"
    yield Finding(
        f"The bridge is set up on a {full_name(live.client.tracer_provider)} that is not global; {theirs}.",
        "Tracers of opentelemetry.trace.get_tracer(), and so all instrumentations, use the global one: their spans "
        "are in no transaction and keep other traces.",
    )


@check(
    "provider-idle",
    WARNING,
    fix="Set it before bridge.init(), which adopts it, or give its processors to init(span_processors=[...]).",
)
def provider_idle(live: Live) -> Iterator[Finding]:
    """A second provider has processors and gave out no tracer: `set_tracer_provider` came too late and was refused."""
    if live.client is None or live.provider is not live.client.tracer_provider:
        return
    for provider in live.other_providers:
        if span_processors(provider) and is_shut_down_at_exit(provider) and tracers(provider) == ():
            names = ", ".join(type(one).__name__ for one in span_processors(provider))
            yield Finding(
                f"A {full_name(provider)} with processors ({names}) is used by nobody.",
                "OpenTelemetry lets the global provider be set only once, and the bridge's is: the processors of this "
                "one never see a span.",
            )


@check(
    "provider-lost",
    WARNING,
    fix="Take tracers from opentelemetry.trace.get_tracer(), or set that provider before bridge.init().",
)
def provider_lost(live: Live) -> Iterator[Finding]:
    """A second provider gave out tracers and has no processors: what they make goes nowhere."""
    if live.client is None or live.provider is not live.client.tracer_provider:
        return
    for provider in live.other_providers:
        is_ours = isinstance(provider, TracerProvider)  # of bridge.testing, between two captures
        if not is_ours and not span_processors(provider) and tracers(provider):
            yield Finding(
                f"A {full_name(provider)} without processors gave out tracers.",
                "It is not the global one, which OpenTelemetry lets be set only once: spans of those tracers are lost.",
            )


@check(
    "provider-disabled",
    ERROR,
    fix="Unset OTEL_SDK_DISABLED before the provider is made.",
)
def provider_disabled(live: Live) -> Iterator[Finding]:
    """The provider was made while `OTEL_SDK_DISABLED` was true; it gives tracers that do nothing."""
    disabled = live.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"  # told of already
    if live.client is not None and not disabled and is_disabled(live.client.tracer_provider):
        yield Finding("The tracer provider is disabled.", "No span of either API is recorded.")


@check(
    "processor-missing",
    ERROR,
    fix="Call bridge.init() after whatever else sets OpenTelemetry up; a second call mends it.",
)
def processor_missing(live: Live) -> Iterator[Finding]:
    """Our processor is no longer on the provider that was adopted: its spans do not reach Sentry."""
    provider = live.adopted_provider
    if provider is None or any(isinstance(one, SentrySpanProcessor) for one in live.processors):
        return
    why = "Somebody took it off, or exchanged what is behind the provider, since init(): no span reaches Sentry."
    fix = None
    if full_name(provider).startswith("logfire."):
        fix = "Call bridge.init() after logfire.configure(), which makes all processors anew."
    yield Finding(f"SentrySpanProcessor is not on {full_name(provider)}.", why, fix)


@check(
    "processor-twice",
    ERROR,
    fix="Keep one; init() adds it where it is needed and there is none.",
)
def processor_twice(live: Live) -> Iterator[Finding]:
    """There is more than one SentrySpanProcessor on a provider that is not ours."""
    ours = sum(isinstance(one, SentrySpanProcessor) for one in live.processors)
    if live.client is not None and live.own_provider is None and ours > 1:
        yield Finding(
            f"There are {ours} SentrySpanProcessors on {full_name(live.adopted_provider)}.",
            f"Each span is sent {ours} times.",
        )


@check(
    "propagator-replaced",
    ERROR,
    fix="Set propagators before bridge.init(), which wraps them, or call it again afterwards.",
)
def propagator_replaced(live: Live) -> Iterator[Finding]:
    """Somebody set another global propagator after `init`: `sentry-trace` and its baggage are not written or read."""
    if live.client is not None and not live.our_propagators:
        yield Finding(
            f"The global propagator is {full_name(live.propagator.propagator)}, without the bridge's.",
            "Outgoing requests of instrumentations carry no sentry-trace and no DSC, and incoming ones are not "
            "continued: traces break at this process.",
        )


@check(
    "propagator-doubled",
    WARNING,
    fix="Set propagators before bridge.init(), which wraps them, or call it again: what is composed is put inside.",
)
def propagator_doubled(live: Live) -> Iterator[Finding]:
    """Ours was composed, after `init`, with propagators that it wraps already: headers twice, or the DSC lost."""
    if live.client is None:
        return
    for composite in live.propagator.all():
        if not isinstance(composite.propagator, CompositePropagator):
            continue
        members = [one.propagator for one in composite.holds]
        ours = [n for n, one in enumerate(members) if isinstance(one, SentryPropagator)]
        others = [n for n, one in enumerate(members) if isinstance(one, _W3C) and n not in ours[:1]]
        if not ours or not others:
            continue
        names = ", ".join(type(members[n]).__name__ for n in others)
        after = [n for n in others if n > ours[0] and isinstance(members[n], TraceContextTextMapPropagator)]
        why = "Headers are written twice into carriers that append (Kafka's, gRPC's)."
        if after:
            why = "TraceContextTextMapPropagator comes last and overwrites what was read of sentry-trace and the DSC."
        yield Finding(f"SentryPropagator is composed with {names}, which it wraps already.", why)


@check(
    "propagator-without-w3c",
    INFO,
    fix="Unset OTEL_PROPAGATORS, or name tracecontext and baggage beside bridge.",
)
def propagator_without_w3c(live: Live) -> Iterator[Finding]:
    """`traceparent` is neither written nor read, as the propagators that were chosen do not."""
    if live.client is None or not live.our_propagators:
        return
    if "traceparent" not in live.propagator.propagator.fields:
        yield Finding(
            "Nothing writes or reads traceparent.",
            "Services that know OpenTelemetry alone do not continue the trace of this one.",
        )


@check(
    "context-replaced",
    ERROR,
    fix="Unset OTEL_PYTHON_CONTEXT or set it to bridge, and assign no runtime context after init().",
)
def context_replaced(live: Live) -> Iterator[Finding]:
    """The runtime context is somebody else's, which may lose scopes (ddtrace's keeps spans and baggage only)."""
    if live.client is not None and not isinstance(live.runtime, ContextVarsRuntimeContext):
        yield Finding(
            f"OpenTelemetry's runtime context is {full_name(live.runtime)}.",
            "Scopes, suppression and the trace of the moment live in OpenTelemetry's context; one that does not keep "
            "every key loses them.",
        )


@check(
    "context-not-ours",
    WARNING,
    fix="Call bridge.init() last, and assign no runtime context after it.",
)
def context_not_ours(live: Live) -> Iterator[Finding]:
    """A runtime context of OpenTelemetry's own kind was put in place of ours after `init`."""
    if live.client is None or isinstance(live.runtime, SentryRuntimeContext):
        return
    if isinstance(live.runtime, ContextVarsRuntimeContext):
        yield Finding(
            f"OpenTelemetry's runtime context is {full_name(live.runtime)}, not the bridge's.",
            "A token that is detached in another task logs an error with a traceback, as of async generators.",
        )


@check("threads-off", INFO, fix="Leave patch_threads at its default, or hand functions over with bridge.bind().")
def threads_off(live: Live) -> Iterator[Finding]:
    """`patch_threads=False`: what runs in threads and executors has no parent span and no scope of its caller."""
    if live.options is not None and not live.options.patch_threads and not threads_are_carried():
        yield Finding(
            "patch_threads is off.",
            "Threads and executors begin without the context of their caller: their spans are roots of other traces.",
        )


@check("thread-patch-lost", WARNING, fix="Call bridge.init() after whatever assigns to it.")
def thread_patch_lost(live: Live) -> Iterator[Finding]:
    """Somebody assigned to `Thread.start` or `ThreadPoolExecutor.submit` after `init`."""
    for name in lost_patches() if live.client is not None else ():
        yield Finding(
            f"{name} no longer is what bridge.init() put there.",
            "What it starts has no parent span and no scope of its caller.",
        )


CHECKS: tuple[Check[Live], ...] = (
    not_initialised,
    client_closed,
    provider_takes_no_processors,
    provider_not_global,
    provider_idle,
    provider_lost,
    provider_disabled,
    processor_missing,
    processor_twice,
    propagator_replaced,
    propagator_doubled,
    propagator_without_w3c,
    context_replaced,
    context_not_ours,
    threads_off,
    thread_patch_lost,
)
