"""Suppression: a block in which nothing is traced."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import context as context_api
from opentelemetry.trace import SpanKind

from bridge._internal.context.context_values import attached
from bridge._internal.otel_private import SUPPRESS_HTTP_INSTRUMENTATION_KEY, SUPPRESS_INSTRUMENTATION_KEY
from bridge._internal.semantics.urls import outgoing_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.context import Context
    from opentelemetry.util import types

    from bridge._internal.dsn import Dsn

SUPPRESS_TRACING_KEY = context_api.create_key("bridge-suppress-tracing")
# Contrib's older instrumentations test this plain name as well.
_LEGACY_SUPPRESS_KEY = "suppress_instrumentation"


def is_suppressed(context: Context) -> bool:
    """Whether the bridge's own suppression is on; OpenTelemetry's key alone silences instrumentations only."""
    return SUPPRESS_TRACING_KEY in context


def is_own_request(kind: SpanKind, attributes: types.Attributes, dsn: Dsn | None) -> bool:
    """Whether a span is of a request to our own DSN, by any client: those are never traced."""
    if dsn is None or kind is not SpanKind.CLIENT or not attributes:
        return False
    url = outgoing_url(attributes)
    return url is not None and dsn.is_own_request(url)


def suppressed(context: Context) -> Context:
    """Return the Context with all tracing off."""
    for key in (
        SUPPRESS_TRACING_KEY,
        SUPPRESS_INSTRUMENTATION_KEY,
        SUPPRESS_HTTP_INSTRUMENTATION_KEY,
        _LEGACY_SUPPRESS_KEY,
    ):
        context = context_api.set_value(key, True, context)
    return context


@contextmanager
def suppress_tracing() -> Iterator[None]:
    """Trace nothing in this block: no spans of either API, no headers of Sentry's; instrumentations are silent."""
    with attached(suppressed(context_api.get_current())):
        yield
