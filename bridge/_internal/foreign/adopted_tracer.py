"""AdoptedTracer: a tracer of an adopted provider, which knows the spans that the provider's sampler drops.

A span processor never hears of those. Yet a request whose root is dropped has scopes of its own, and a span that is
recorded below a dropped one belongs to the same segment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from opentelemetry import context as context_api
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.trace import NonRecordingSpan, SpanKind

from bridge._internal.guard import guard
from bridge._internal.otel_private import sdk_provider, tracers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry import trace as trace_api
    from opentelemetry.context import Context
    from opentelemetry.trace import Link
    from opentelemetry.util import types

    from bridge._internal.foreign.span_processor import SentrySpanProcessor


class AdoptedTracer(SdkTracer):
    """The SDK's tracer, whose dropped spans are adopted as the processor adopts the others."""

    _bridge_processor: SentrySpanProcessor

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: types.Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace_api.Span:
        """Start a span as the SDK does."""
        span = super().start_span(
            name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
        )
        if type(span) is NonRecordingSpan:
            with guard("tracing", "a dropped span of another provider could not be noted"):
                parent_context = context_api.get_current() if context is None else context
                self._bridge_processor.adopt_dropped(span, kind, parent_context, is_current=context is None)
        return span


def adopt_tracers(provider: object, processor: SentrySpanProcessor) -> None:
    """Make the tracers of an SDK provider ours, those that it has and those that it makes from now on.

    The SDK keeps the tracers that it made from version 1.42 on; of an older one those made before are left as they are.
    """
    maker: Any = sdk_provider(provider)
    for tracer in tracers(maker) or ():
        _adopt(tracer, processor)
    if not hasattr(maker, "__dict__"):
        return  # what has slots alone keeps its method, and so tells nothing of dropped spans
    _release_method(maker)
    own = vars(maker).get("get_tracer")
    vars(maker)["get_tracer"] = _AdoptingMethod(maker.get_tracer, own, processor)


def release_tracers(provider: object) -> None:
    """Make the tracers of a provider its own again."""
    maker: Any = sdk_provider(provider)
    if hasattr(maker, "__dict__"):
        _release_method(maker)
    for tracer in tracers(maker) or ():
        if type(tracer) is AdoptedTracer:
            cast("Any", tracer).__class__ = SdkTracer


class _AdoptingMethod:
    """Stands for `get_tracer` on a provider, and adopts the tracers that it makes."""

    def __init__(
        self, get_tracer: Callable[..., trace_api.Tracer], own: object, processor: SentrySpanProcessor
    ) -> None:
        self._get_tracer = get_tracer
        self.own = own  # what the provider object itself had there, if it had anything
        self._processor = processor

    def __call__(self, *args: Any, **kwargs: Any) -> trace_api.Tracer:
        tracer = self._get_tracer(*args, **kwargs)
        _adopt(tracer, self._processor)
        return tracer


def _release_method(maker: object) -> None:
    """Give a provider the `get_tracer` back that it had, unless other code has replaced ours since."""
    present = vars(maker).get("get_tracer")
    if not isinstance(present, _AdoptingMethod):
        return
    if present.own is None:
        del vars(maker)["get_tracer"]
    else:
        vars(maker)["get_tracer"] = present.own


def _adopt(tracer: object, processor: SentrySpanProcessor) -> None:
    """Turn a tracer of exactly the SDK's class into ours, in place, or give ours its present processor."""
    if type(tracer) is SdkTracer:
        tracer.__class__ = AdoptedTracer
    if type(tracer) is AdoptedTracer:
        tracer._bridge_processor = processor
