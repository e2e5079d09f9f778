"""What headers say, as the library's own codecs and OpenTelemetry's propagators read them."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import baggage as otel_baggage
from opentelemetry import trace as trace_api
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bridge._internal.wire.baggage import BAGGAGE, Dsc, split_baggage, split_reencoded
from bridge._internal.wire.carrier import TRACEPARENT
from bridge._internal.wire.sentry_trace import SENTRY_TRACE, parse_sentry_trace
from bridge._internal.wire.tracestate import (
    OTEL_MEMBER,
    SENTRY_MEMBER,
    TRACESTATE,
    parse_ot_member,
    parse_sentry_member,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.trace import SpanContext
    from opentelemetry.trace.span import TraceState

    from bridge._internal.wire.sentry_trace import SentryTrace
    from bridge._internal.wire.tracestate import OtState, SentryState

_SOME_TRACEPARENT = f"00-{1:032x}-{1:016x}-00"


@dataclass(frozen=True, slots=True)
class ParsedHeaders:
    """What could be read; `None` and empty where something is absent or malformed."""

    sentry_trace: SentryTrace | None
    traceparent: SpanContext | None
    dsc: Dsc
    sentry_member: SentryState | None
    ot_member: OtState | None


def parse_headers(headers: Mapping[str, str]) -> ParsedHeaders:
    """Read all four."""
    w3c = w3c_context(headers)
    members: Mapping[str, str] = {} if w3c is None else w3c.trace_state
    ours, ot = members.get(SENTRY_MEMBER), members.get(OTEL_MEMBER)
    return ParsedHeaders(
        parse_sentry_trace(headers.get(SENTRY_TRACE)),
        w3c,
        split_dsc(headers)[0],
        None if ours is None else parse_sentry_member(ours),
        None if ot is None else parse_ot_member(ot),
    )


def split_dsc(headers: Mapping[str, str]) -> tuple[Dsc, list[str]]:
    """Return Sentry's members, and those of others as they stand."""
    split = split_reencoded if parse_sentry_trace(headers.get(SENTRY_TRACE)) is None else split_baggage
    return split(headers.get(BAGGAGE, ""))


def w3c_context(headers: Mapping[str, str]) -> SpanContext | None:
    """Return what OpenTelemetry's propagator makes of `traceparent` and `tracestate`."""
    carrier = {name: headers[name] for name in (TRACEPARENT, TRACESTATE) if name in headers}
    context = TraceContextTextMapPropagator().extract(carrier, Context())
    found = trace_api.get_current_span(context).get_span_context()
    return found if found.is_valid else None


def trace_state_of(value: str) -> TraceState:
    """Return what OpenTelemetry keeps of a `tracestate`."""
    context = w3c_context({TRACEPARENT: _SOME_TRACEPARENT, TRACESTATE: value})
    assert context is not None
    return context.trace_state


def user_baggage_of(value: str) -> Mapping[str, str]:
    """Return what OpenTelemetry keeps of members of a `baggage`, decoded."""
    context = W3CBaggagePropagator().extract({BAGGAGE: value}, Context())
    return {name: str(text) for name, text in otel_baggage.get_all(context).items()}


@contextmanager
def muted_opentelemetry() -> Iterator[None]:
    """Keep OpenTelemetry from logging what is malformed: it is said in better words."""
    logger = logging.getLogger("opentelemetry")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
