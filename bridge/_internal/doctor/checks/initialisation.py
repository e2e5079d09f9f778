"""Why there is no client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge._internal.console.problem import ERROR
from bridge._internal.context.runtime import SentryRuntimeContext
from bridge._internal.doctor.checks.check import Symptom, check, full_name
from bridge._internal.foreign.span_processor import SentrySpanProcessor
from bridge._internal.propagation.propagator import SentryPropagator
from bridge._internal.tracing.provider import TracerProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge._internal.doctor.live import Process

_PARTS = (SentrySpanProcessor, TracerProvider, SentryPropagator, SentryRuntimeContext)


@check(
    "not-initialised",
    ERROR,
    fix="Call bridge.init() once in each process, as early as possible.",
)
def not_initialised(process: Process) -> Iterator[Symptom]:
    """`init` was not called, or `close` was called since: nothing is recorded or sent."""
    if _takes_no_processors(process):
        return
    parts = _parts(process)
    why = "Spans of bridge.start_span() are not recorded, and nothing is sent."
    if parts:
        why = f"There are pieces of the bridge ({', '.join(parts)}), but only init() creates the client that sends."
    yield Symptom("bridge is not initialised.", why)


def _parts(process: Process) -> list[str]:
    candidates = [*process.processors, process.provider, *process.our_propagators, process.runtime]
    return [type(one).__name__ for one in candidates if isinstance(one, _PARTS)]


@check(
    "provider-takes-no-processors",
    ERROR,
    fix="Set a provider of the OpenTelemetry SDK, or none, before init(); or give one to init(tracer_provider=...).",
)
def provider_takes_no_processors(process: Process) -> Iterator[Symptom]:
    """The global provider is not the OpenTelemetry SDK's but, for example, ddtrace's: `init` cannot see its spans."""
    if not _takes_no_processors(process):
        return
    name = full_name(process.provider)
    yield Symptom(
        f"The global tracer provider is {name}, which takes no span processors.",
        "bridge.init() raises ValueError for it, because it could not see any span.",
        "Unset DD_TRACE_OTEL_ENABLED, so that ddtrace does not replace OpenTelemetry's provider."
        if name.startswith("ddtrace.")
        else None,
    )


def _takes_no_processors(process: Process) -> bool:
    return process.provider is not None and not hasattr(process.provider, "add_span_processor")
