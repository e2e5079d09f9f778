"""The values of an OpenTelemetry `Context`: derive a Context with another one, read the active span, attach it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.context.context import Context

from bridge._internal.context import runtime
from bridge._internal.otel_private import SPAN_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

runtime.span_key = SPAN_KEY
_SPAN_KEYS = frozenset({SPAN_KEY, runtime.SCOPED_SPAN_KEY})


class AnnotatedSpanContext(trace_api.SpanContext):
    """A `SpanContext` that refers to more of ours; where it is pickled or copied, it is one like any other."""

    def __reduce__(self) -> tuple[type[trace_api.SpanContext], tuple[object, ...]]:
        return trace_api.SpanContext, self.__getnewargs__()

    def __repr__(self) -> str:
        return repr(trace_api.SpanContext(*self.__getnewargs__()))


def with_value(context: Context, key: str, value: object) -> Context:
    """Return a copy of the Context with one value more; one copy of the dict where `set_value` makes two."""
    derived = Context(context)
    dict.__setitem__(derived, key, value)
    return derived


def with_span(context: Context, span: trace_api.Span) -> Context:
    """Return a copy of the Context with another span active."""
    derived = Context(context)
    dict.__setitem__(derived, SPAN_KEY, span)
    return derived


def without_span(context: Context) -> Context:
    """Return the Context with no span active."""
    return Context({key: value for key, value in context.items() if key not in _SPAN_KEYS})


def active_span(context: Context) -> trace_api.Span | None:
    """Return the span that is active in a Context, of any provider; `None` if there is none."""
    span = context.get(SPAN_KEY)
    return span if isinstance(span, trace_api.Span) else None


@contextmanager
def attached(context: Context) -> Iterator[None]:
    """Make a Context current for a block."""
    token = context_api.attach(context)
    try:
        yield
    finally:
        context_api.detach(token)
