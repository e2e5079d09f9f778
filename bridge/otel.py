"""The OpenTelemetry pieces, for set-ups that are wired by hand."""

from __future__ import annotations

from bridge.context.runtime import SentryRuntimeContext
from bridge.propagation.propagator import SentryPropagator
from bridge.tracing.provider import TracerProvider
from bridge.tracing.sampler import SentrySampler

__all__ = ["SentryPropagator", "SentryRuntimeContext", "SentrySampler", "TracerProvider"]
