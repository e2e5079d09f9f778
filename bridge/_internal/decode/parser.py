"""Headers parsed by the library's own codecs and OpenTelemetry's propagators."""

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
from bridge._internal.wire.sample_rand import parse_sample_rand, parse_sample_rate
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
_DSC_SAMPLED = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class ParsedHeaders:
    """The parsed headers; `None` or empty if absent or malformed."""

    sentry_trace: SentryTrace | None
    traceparent: SpanContext | None
    dsc: Dsc
    sentry_member: SentryState | None
    ot_member: OtState | None

    @property
    def continued(self) -> tuple[str, int] | None:
        """The header whose trace is continued, and its trace id."""
        if self.sentry_trace is not None:
            return SENTRY_TRACE, self.sentry_trace.trace_id
        return None if self.traceparent is None else (TRACEPARENT, self.traceparent.trace_id)

    @property
    def same_traceparent(self) -> SpanContext | None:
        """The `traceparent`, if it names the continued trace."""
        w3c, continued = self.traceparent, self.continued
        if w3c is None or continued is None or w3c.trace_id != continued[1]:
            return None
        return w3c

    @property
    def is_stale(self) -> bool:
        """Whether the Sentry members of `baggage` describe a trace other than the continued one."""
        if self.continued is None or "trace_id" not in self.dsc:
            return False
        return self.dsc["trace_id"] != f"{self.continued[1]:032x}"

    @property
    def dsc_sampled(self) -> bool | None:
        """The decision in `baggage`."""
        return _DSC_SAMPLED.get(self.dsc.get("sampled", ""))

    @property
    def dsc_rate(self) -> float | None:
        """The sample rate in `baggage`."""
        return parse_sample_rate(self.dsc.get("sample_rate"))

    @property
    def dsc_rand(self) -> str | None:
        """The random number in `baggage`."""
        return parse_sample_rand(self.dsc.get("sample_rand"))


def parse_headers(headers: Mapping[str, str]) -> ParsedHeaders:
    """Parse all four headers."""
    traceparent = parse_w3c(headers)
    members: Mapping[str, str] = {} if traceparent is None else traceparent.trace_state
    ours, ot = members.get(SENTRY_MEMBER), members.get(OTEL_MEMBER)
    return ParsedHeaders(
        parse_sentry_trace(headers.get(SENTRY_TRACE)),
        traceparent,
        split_dsc(headers)[0],
        None if ours is None else parse_sentry_member(ours),
        None if ot is None else parse_ot_member(ot),
    )


def split_dsc(headers: Mapping[str, str]) -> tuple[Dsc, list[str]]:
    """Split `baggage` into the decoded Sentry members and the raw user members."""
    split = split_reencoded if parse_sentry_trace(headers.get(SENTRY_TRACE)) is None else split_baggage
    return split(headers.get(BAGGAGE, ""))


def parse_w3c(headers: Mapping[str, str]) -> SpanContext | None:
    """Parse `traceparent` and `tracestate` with OpenTelemetry's propagator."""
    carrier = {name: headers[name] for name in (TRACEPARENT, TRACESTATE) if name in headers}
    context = TraceContextTextMapPropagator().extract(carrier, Context())
    found = trace_api.get_current_span(context).get_span_context()
    return found if found.is_valid else None


def trace_state_of(value: str) -> TraceState:
    """Return the members of a `tracestate` that OpenTelemetry keeps."""
    context = parse_w3c({TRACEPARENT: _SOME_TRACEPARENT, TRACESTATE: value})
    assert context is not None
    return context.trace_state


def user_baggage_of(value: str) -> Mapping[str, str]:
    """Return the `baggage` members that OpenTelemetry keeps, decoded."""
    context = W3CBaggagePropagator().extract({BAGGAGE: value}, Context())
    return {name: str(text) for name, text in otel_baggage.get_all(context).items()}


@contextmanager
def muted_opentelemetry() -> Iterator[None]:
    """Silence OpenTelemetry's warnings about malformed headers, which the report repeats."""
    logger = logging.getLogger("opentelemetry")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
