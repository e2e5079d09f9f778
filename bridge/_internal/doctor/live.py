"""Live: what is active in this process. Reading it creates and changes nothing."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opentelemetry import propagate
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider

from bridge._internal import active
from bridge._internal.foreign.span_processor import SentrySpanProcessor
from bridge._internal.instances import instances_of
from bridge._internal.otel_private import (
    composed_propagators,
    global_tracer_provider,
    runtime_context,
    sdk_provider,
    span_processors,
)
from bridge._internal.propagation.propagator import SentryPropagator
from bridge._internal.tracing.provider import TracerProvider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry import trace as trace_api

    from bridge._internal.client import Client
    from bridge._internal.options import Options

_MAX_DEPTH = 8
"""Of propagators inside propagators, which may form a circle."""


@dataclass(frozen=True, slots=True)
class PropagatorTree:
    """A propagator, and the propagators that it composes or wraps."""

    propagator: TextMapPropagator
    inner: tuple[PropagatorTree, ...] = ()

    def __iter__(self) -> Iterator[PropagatorTree]:
        """Iterate over this one and all below it, outermost first."""
        yield self
        for tree in self.inner:
            yield from tree


@dataclass(frozen=True)
class Process:
    """The global provider and propagator, the runtime context and the client of this process."""

    client: Client | None
    provider: trace_api.TracerProvider | None
    propagator: PropagatorTree
    runtime: Any
    environ: Mapping[str, str]

    @property
    def processors(self) -> tuple[Any, ...]:
        """The processors of the client's provider, or of the global one if there is no client."""
        return span_processors(self.provider if self.client is None else self.client.tracer_provider)

    @property
    def our_propagators(self) -> list[SentryPropagator]:
        """Each `SentryPropagator` in the global propagator."""
        return [one.propagator for one in self.propagator if isinstance(one.propagator, SentryPropagator)]


@dataclass(frozen=True)
class LiveSetup(Process):
    """A process in which `init` was called."""

    client: Client

    @property
    def options(self) -> Options:
        """The client's options."""
        return self.client.options

    @property
    def own_provider(self) -> TracerProvider | None:
        """The client's provider, if `init` made it."""
        provider = self.client.tracer_provider
        return provider if isinstance(provider, TracerProvider) else None

    @property
    def adopted_provider(self) -> trace_api.TracerProvider | None:
        """The client's provider, if `init` adopted it."""
        return None if self.own_provider is not None else self.client.tracer_provider

    @property
    def other_processors(self) -> list[Any]:
        """The processors that are not `SentrySpanProcessor`."""
        return [one for one in self.processors if not isinstance(one, SentrySpanProcessor)]

    @cached_property
    def unused_providers(self) -> list[SdkTracerProvider]:
        """SDK providers that are neither global nor the client's nor logfire's, which has a check of its own.

        Cached, because it walks over all objects.
        """
        known = [self.provider, self.client.tracer_provider, logfire_provider()]
        known += [sdk_provider(one) for one in known]
        return [found for found in instances_of(SdkTracerProvider) if not any(found is one for one in known)]


def read_process(environ: Mapping[str, str] | None = None) -> Process:
    """Read what is active now: a `LiveSetup` if there is a client."""
    client = active.client
    state = {
        "provider": global_tracer_provider(),
        "propagator": propagator_tree(propagate.get_global_textmap()),
        "runtime": runtime_context(),
        "environ": os.environ if environ is None else environ,
    }
    return Process(client=None, **state) if client is None else LiveSetup(client=client, **state)


def propagator_tree(propagator: TextMapPropagator, depth: int = _MAX_DEPTH) -> PropagatorTree:
    """Follow the members of a composite, and the propagators in a wrapper's attributes."""
    if depth == 0:
        return PropagatorTree(propagator)
    inner = [*composed_propagators(propagator)]
    for value in getattr(propagator, "__dict__", {}).values():
        if isinstance(value, TextMapPropagator) and not any(value is one for one in inner):
            inner.append(value)
    return PropagatorTree(propagator, tuple(propagator_tree(one, depth - 1) for one in inner))


def logfire_provider() -> Any:
    """Return logfire's provider if it was configured. `_tracer_provider` of its config, seen in 5.2 to 5.4."""
    config = getattr(imported_module("logfire._internal.config"), "GLOBAL_CONFIG", None)
    return getattr(config, "_tracer_provider", None) if getattr(config, "_initialized", False) else None


def imported_module(name: str) -> Any:
    """Return another library's module if the program has imported it."""
    return sys.modules.get(name)
