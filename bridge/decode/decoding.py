"""From headers to a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.decode.agreement import disagreements
from bridge.decode.baggage import explain_baggage
from bridge.decode.parents import explain_sentry_trace, explain_traceparent
from bridge.decode.receiving import receive
from bridge.decode.report import Problem, Report
from bridge.decode.said import quiet_opentelemetry, read
from bridge.decode.tracestate import explain_tracestate
from bridge.options import Options
from bridge.propagation.baggage import BAGGAGE
from bridge.propagation.carrier import READ, TRACEPARENT
from bridge.propagation.sentry_trace import SENTRY_TRACE
from bridge.propagation.tracestate import TRACESTATE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.decode.report import Explained

_EXPLAIN: Mapping[str, Callable[[Mapping[str, str]], Explained]] = {
    SENTRY_TRACE: explain_sentry_trace,
    BAGGAGE: explain_baggage,
    TRACEPARENT: explain_traceparent,
    TRACESTATE: explain_tracestate,
}


def decode(headers: Mapping[str, str], options: Options | None = None, guesses: Sequence[str] = ()) -> Report:
    """Explain headers, by their lower-case names, as a receiver with these options would take them. Never raises."""
    headers = {name: value.encode("utf-8", "replace").decode() for name, value in headers.items()}
    with quiet_opentelemetry():
        said = read(headers)
        explained = [_EXPLAIN[name](headers) for name in READ if name in headers]
        problems = [problem for one in explained for problem in one.problems]
        problems += disagreements(headers, said)
        problems += [Problem("note", (), guess, "") for guess in guesses]
        return Report(explained, receive(headers, said, options or Options()), tuple(problems))
