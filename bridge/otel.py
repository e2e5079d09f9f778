"""The OpenTelemetry pieces, for set-ups that are wired by hand."""

from __future__ import annotations

# First of all: with OTEL_PYTHON_CONTEXT=bridge this import loads our runtime context, which must not be half imported.
import opentelemetry.context  # noqa: F401

from bridge._internal.context.runtime import SentryRuntimeContext
from bridge._internal.foreign.span_processor import SentrySpanProcessor
from bridge._internal.propagation.propagator import SentryPropagator
from bridge._internal.sampling.sampler import SentrySampler
from bridge._internal.tracing.provider import TracerProvider

__all__ = ["SentryPropagator", "SentryRuntimeContext", "SentrySampler", "SentrySpanProcessor", "TracerProvider"]
