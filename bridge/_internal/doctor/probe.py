"""Probe: a test message and a test transaction, posted once each so that the server's answers can be reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.context.context import Context

from bridge._internal.client import Client
from bridge._internal.console.problem import ERROR, WARNING, Problem
from bridge._internal.delivery.connection import Answer, Connection, UnreachableError, UnsendableError
from bridge._internal.delivery.rate_limits import (
    LIMITS_HEADER,
    RETRY_AFTER_HEADER,
    TOO_MANY_REQUESTS,
    parse_rate_limits,
)
from bridge._internal.delivery.transport import request_headers
from bridge._internal.guard import guard
from bridge._internal.local import in_untraced_context
from bridge._internal.options import resolve
from bridge._internal.sampling.sampler import SentrySampler
from bridge._internal.tracing.provider import TracerProvider

if TYPE_CHECKING:
    from bridge._internal.delivery.envelope import Envelope
    from bridge._internal.options import Options

_MESSAGE = "A test message of `python -m bridge doctor --send`"
_TRANSACTION = "python -m bridge doctor --send"
_ERROR_HEADER = "x-sentry-error"
_TIMEOUT_S = 10.0
_CHECK_LOG = "Check the log of the server, and of any proxy in front of it."
_WAIT = "Wait, or raise the quota or the rate limit of the key."
_STATUSES = {
    400: ("The server could not read the envelope.", _CHECK_LOG),
    401: (
        "The server does not accept the key of this DSN.",
        "Copy the DSN again from the project's settings (Client Keys).",
    ),
    403: (
        "The server refuses: the key is disabled, or this client or address is filtered.",
        "Check Client Keys and Inbound Filters in the project's settings.",
    ),
    404: (
        "There is no such project, or the URL does not belong to Sentry.",
        "Compare host and project number with the DSN in the project's settings.",
    ),
    413: ("The envelope is too large for the server, or for a proxy in front of it.", _CHECK_LOG),
    TOO_MANY_REQUESTS: ("The server limits this project or key at the moment.", _WAIT),
}
"""What the status means, and how to fix it."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The answer to one test envelope. `status` is `None` if there was no answer."""

    kind: str
    event_id: str
    trace_id: str
    status: int | None
    answer: str


def send_probes(options: Options | None) -> tuple[list[ProbeResult], list[Problem]]:
    """Post both test envelopes to the DSN in use; return the answers, and what is wrong with them."""
    dsn = None if options is None else options.dsn
    if options is None or dsn is None:
        return [], [_refusal("There is no DSN to send a test to.", "", "Set SENTRY_DSN, or give init(dsn=...).")]
    connection = Connection(dsn.envelope_url, request_headers(dsn), options.http_client)
    post = in_untraced_context(_post)
    try:
        posted = [post(connection, kind, envelope) for kind, envelope in _test_envelopes(options)]
    finally:
        with guard("doctor", "the connection could not be closed"):
            connection.close()
    return [result for result, _ in posted], [problem for _, problem in posted if problem is not None]


def _test_envelopes(options: Options) -> list[tuple[str, Envelope]]:
    """Build a message and a transaction as a program with these options would, with a client that is not installed."""
    made: list[Envelope] = []
    program = {name: getattr(options, name) for name in ("dsn", "environment", "release", "dist", "server_name")}
    client = Client(resolve({**program, "traces_sample_rate": 1.0, "transport": made.append}, {}))
    provider = TracerProvider(SentrySampler(1.0), options=client.options, sink=client.sink, shutdown_on_exit=False)
    provider.get_tracer("bridge.doctor").start_span(_TRANSACTION, context=Context()).end()
    client.errors.capture_message(_MESSAGE, "info")
    client.flush(_TIMEOUT_S)
    client.close()
    by_type = {item.type: envelope for envelope in made for item in envelope.items}
    return [("message", by_type["event"]), ("transaction", by_type["transaction"])]


def _post(connection: Connection, kind: str, envelope: Envelope) -> tuple[ProbeResult, Problem | None]:
    event_id = str(envelope.headers["event_id"])
    trace_id = str(envelope.items[0].content()["contexts"]["trace"]["trace_id"])
    try:
        answer = connection.post(envelope.serialize(), None, _TIMEOUT_S)
    except (UnreachableError, UnsendableError) as error:
        said = f"no answer: {error}" if str(error) else "no answer"
        problem = _refusal(
            f"The test {kind} did not reach the server: {said}.",
            "Nothing that the program records arrives either.",
            "Check host and port of the DSN, DNS, firewalls and HTTPS_PROXY; for a private certificate, SSL_CERT_FILE.",
        )
        return ProbeResult(kind, event_id, trace_id, None, said), problem
    meaning, fix = _explain(answer.status)
    limits = _limits(answer)
    reason = answer.headers.get(_ERROR_HEADER)
    text = " ".join(part for part in (meaning, f"It says: {reason}" if reason else "", limits) if part)
    result = ProbeResult(kind, event_id, trace_id, answer.status, text)
    if not _is_success(answer.status):
        what = f"The test {kind} got HTTP {answer.status}. {text}"
        return result, _refusal(what, "The server refuses what the program sends as well.", fix)
    if answer.headers.get(LIMITS_HEADER):
        what = f"The server took the test {kind}, but: {limits}"
        why = "Until the limit is over, such data is counted as lost."
        return result, Problem(WARNING, what, why, _WAIT, "test-limited")
    return result, None


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _explain(status: int) -> tuple[str, str]:
    """Return what a status means, and how to fix it."""
    if _is_success(status):
        return "taken", ""
    if status >= 500:
        return "The server, or a proxy in front of it, has a fault.", _CHECK_LOG
    return _STATUSES.get(status, ("The server refuses it.", _CHECK_LOG))


def _limits(answer: Answer) -> str:
    limits = [
        f"{category or 'everything'} for {seconds:g} s"
        for seconds, category in parse_rate_limits(answer.headers.get(LIMITS_HEADER, ""))
    ]
    if not limits and answer.status == TOO_MANY_REQUESTS:
        limits = [f"everything for {answer.headers.get(RETRY_AFTER_HEADER, '60')} s"]
    return f"It limits {', '.join(limits)}." if limits else ""


def _refusal(what: str, why: str, fix: str) -> Problem:
    return Problem(ERROR, what, why, fix, "test-not-taken")
