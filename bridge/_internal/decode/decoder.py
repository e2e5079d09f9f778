"""Headers to report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge._internal.decode.conflicts import find_conflicts
from bridge._internal.decode.headers import (
    explain_baggage,
    explain_sentry_trace,
    explain_traceparent,
    explain_tracestate,
)
from bridge._internal.decode.outcome import outcome_of
from bridge._internal.decode.parser import muted_opentelemetry, parse_headers
from bridge._internal.decode.report import Report
from bridge._internal.options import Options
from bridge._internal.wire.baggage import BAGGAGE
from bridge._internal.wire.carrier import READ, TRACEPARENT
from bridge._internal.wire.sentry_trace import SENTRY_TRACE
from bridge._internal.wire.tracestate import TRACESTATE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge._internal.decode.report import Explained

_EXPLAIN: Mapping[str, Callable[[Mapping[str, str]], Explained]] = {
    SENTRY_TRACE: explain_sentry_trace,
    BAGGAGE: explain_baggage,
    TRACEPARENT: explain_traceparent,
    TRACESTATE: explain_tracestate,
}


def decode(headers: Mapping[str, str], options: Options | None = None) -> Report:
    """Explain headers, given by lower-case name, as a receiver with these options reads them. Never raises."""
    headers = {name: value.encode("utf-8", "replace").decode() for name, value in headers.items()}
    with muted_opentelemetry():
        parsed = parse_headers(headers)
        explained = [_EXPLAIN[name](headers) for name in READ if name in headers]
        problems = [problem for one in explained for problem in one.problems]
        problems += find_conflicts(parsed)
        return Report(explained, problems, outcome_of(headers, parsed, options or Options()))
