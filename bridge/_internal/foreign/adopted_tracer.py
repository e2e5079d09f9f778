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
    from collections.abc import Sequence

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
    get_tracer = maker.get_tracer

    def get_adopted_tracer(*args: Any, **kwargs: Any) -> trace_api.Tracer:
        tracer: trace_api.Tracer = get_tracer(*args, **kwargs)
        _adopt(tracer, processor)
        return tracer

    maker.get_tracer = get_adopted_tracer


def release_tracers(provider: object) -> None:
    """Make the tracers of a provider its own again."""
    maker: Any = sdk_provider(provider)
    vars(maker).pop("get_tracer", None)
    for tracer in tracers(maker) or ():
        if type(tracer) is AdoptedTracer:
            cast("Any", tracer).__class__ = SdkTracer


def _adopt(tracer: object, processor: SentrySpanProcessor) -> None:
    """Turn a tracer of exactly the SDK's class into ours, in place, or give ours its present processor."""
    if type(tracer) is SdkTracer:
        tracer.__class__ = AdoptedTracer
    if type(tracer) is AdoptedTracer:
        tracer._bridge_processor = processor
