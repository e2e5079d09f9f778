"""Live: what is in force in this process. Everything is read, nothing is made."""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from opentelemetry import propagate
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider

from bridge._internal import active
from bridge._internal.foreign.span_processor import SentrySpanProcessor
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

_DEPTH = 8
"""How far propagators that hold propagators are followed."""


@dataclass(frozen=True, slots=True)
class Held:
    """A propagator, and those that it holds."""

    propagator: TextMapPropagator
    holds: tuple[Held, ...] = ()

    def all(self) -> Iterator[Held]:
        """Yield this one and everything below, outermost first."""
        yield self
        for one in self.holds:
            yield from one.all()


@dataclass(frozen=True)
class Live:
    """What this process has: the client, the global provider, the global propagator, the runtime context."""

    client: Client | None
    provider: trace_api.TracerProvider | None
    propagator: Held
    runtime: Any
    environ: Mapping[str, str]

    @property
    def options(self) -> Options | None:
        """What the client was told."""
        return None if self.client is None else self.client.options

    @property
    def own_provider(self) -> TracerProvider | None:
        """The client's provider, if it is one of ours."""
        provider = None if self.client is None else self.client.tracer_provider
        return provider if isinstance(provider, TracerProvider) else None

    @property
    def adopted_provider(self) -> trace_api.TracerProvider | None:
        """The client's provider, if it is somebody else's."""
        return None if self.client is None or self.own_provider is not None else self.client.tracer_provider

    @property
    def processors(self) -> tuple[Any, ...]:
        """The processors of the client's provider, or of the global one where there is no client."""
        return span_processors(self.provider if self.client is None else self.client.tracer_provider)

    @property
    def other_processors(self) -> list[Any]:
        """Those of them that are not ours."""
        return [one for one in self.processors if not isinstance(one, SentrySpanProcessor)]

    @property
    def our_propagators(self) -> list[Held]:
        """The propagators of ours in the global one."""
        return [one for one in self.propagator.all() if isinstance(one.propagator, SentryPropagator)]

    @cached_property
    def other_providers(self) -> list[SdkTracerProvider]:
        """Providers of the SDK that are live, but are neither global nor the client's.

        logfire's, of which a check of its own tells, is not among them. Found once: it takes a walk over all objects.
        """
        known = [self.provider, None if self.client is None else self.client.tracer_provider, logfire_provider()]
        known += [sdk_provider(one) for one in known]
        return [
            cast("SdkTracerProvider", found)
            for found in gc.get_objects()
            # Not isinstance: that asks an object for its `__class__`, which a lazy object answers by being made.
            if SdkTracerProvider in type(found).__mro__ and not any(found is one for one in known)
        ]


def gather(environ: Mapping[str, str] | None = None) -> Live:
    """Read what is in force now."""
    return Live(
        client=active.client,
        provider=global_tracer_provider(),
        propagator=held(propagate.get_global_textmap()),
        runtime=runtime_context(),
        environ=os.environ if environ is None else environ,
    )


def held(propagator: TextMapPropagator, depth: int = _DEPTH) -> Held:
    """Follow what a propagator holds: a composite its members, a wrapper what it wraps."""
    if depth == 0:
        return Held(propagator)
    inner = [*composed_propagators(propagator)]
    for value in getattr(propagator, "__dict__", {}).values():
        if isinstance(value, TextMapPropagator) and not any(value is one for one in inner):
            inner.append(value)
    return Held(propagator, tuple(held(one, depth - 1) for one in inner))


def logfire_provider() -> Any:
    """Return logfire's provider if it was configured. `_tracer_provider` of its config, seen in 5.2 to 5.4."""
    config = getattr(loaded("logfire._internal.config"), "GLOBAL_CONFIG", None)
    return getattr(config, "_tracer_provider", None) if getattr(config, "_initialized", False) else None


def loaded(module: str) -> Any:
    """Return a module of somebody else's if the program has imported it; nothing is imported here."""
    return sys.modules.get(module)
