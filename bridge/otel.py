"""The OpenTelemetry pieces, for set-ups that are wired by hand."""

from __future__ import annotations

# First of all: with OTEL_PYTHON_CONTEXT=bridge this import loads our runtime context, which must not be half imported.
import opentelemetry.context  # noqa: F401

from bridge.capture.processor import SentrySpanProcessor
from bridge.context.runtime import SentryRuntimeContext
from bridge.propagation.propagator import SentryPropagator
from bridge.tracing.provider import TracerProvider
from bridge.tracing.sampler import SentrySampler

__all__ = ["SentryPropagator", "SentryRuntimeContext", "SentrySampler", "SentrySpanProcessor", "TracerProvider"]
