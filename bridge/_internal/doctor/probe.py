"""A test message and a test transaction, sent by hand so that the server's answers can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.context.context import Context

from bridge._internal.client import Client
from bridge._internal.delivery.connection import Answer, Connection, UnreachableError, UnsendableError
from bridge._internal.delivery.rate_limits import (
    LIMITS_HEADER,
    RETRY_AFTER_HEADER,
    TOO_MANY_REQUESTS,
    parse_rate_limits,
)
from bridge._internal.delivery.transport import request_headers
from bridge._internal.doctor.problem import ERROR, WARNING, Problem
from bridge._internal.guard import guard
from bridge._internal.local import in_untraced_context
from bridge._internal.options import resolve
from bridge._internal.sampling.sampler import SentrySampler
from bridge._internal.tracing.provider import TracerProvider

if TYPE_CHECKING:
    from bridge._internal.delivery.envelope import Envelope
    from bridge._internal.doctor.problem import Severity
    from bridge._internal.options import Options

MESSAGE = "A test message of `python -m bridge doctor --send`"
TRANSACTION = "python -m bridge doctor --send"
_ERROR_HEADER = "x-sentry-error"
_WAIT_S = 10.0
_MEANINGS = {
    400: "The server could not read the envelope.",
    401: "The server does not accept the key of this DSN.",
    403: "The server refuses: the key is disabled, or this client or address is filtered.",
    404: "There is no such project, or the URL is not a Sentry's.",
    413: "The envelope is too large for the server, or for a proxy before it.",
    TOO_MANY_REQUESTS: "The server limits this project or key at the moment.",
}
_FIXES = {
    401: "Copy the DSN again from the project's settings (Client Keys).",
    403: "Look at the project's settings: Client Keys, and Inbound Filters.",
    404: "Compare host and project number with the DSN in the project's settings.",
    TOO_MANY_REQUESTS: "Wait, or raise the quota or the rate limit of the key.",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """One test envelope, and what became of it. `status` is `None` where no answer came."""

    kind: str
    event_id: str
    trace_id: str
    status: int | None
    answer: str

    @property
    def taken(self) -> bool:
        """Whether the server took it."""
        return self.status is not None and 200 <= self.status < 300


def send_tests(options: Options | None) -> tuple[list[Sent], list[Problem]]:
    """Send both to the DSN that is in force, once each; returns the answers and what is wrong with them."""
    dsn = None if options is None else options.dsn
    if options is None or dsn is None:
        return [], [_problem(ERROR, "There is no DSN to send a test to.", "", "Set SENTRY_DSN, or init(dsn=...).")]
    connection = Connection(dsn.envelope_url, request_headers(dsn), options.http_client)
    sent: list[Sent] = []
    problems: list[Problem] = []
    post = in_untraced_context(_post)
    try:
        for kind, envelope in _test_envelopes(options):
            one, wrong = post(connection, kind, envelope)
            sent.append(one)
            problems += wrong
    finally:
        with guard("doctor", "the connection could not be closed"):
            connection.close()
    return sent, problems


def _test_envelopes(options: Options) -> list[tuple[str, Envelope]]:
    """Make a message and a transaction as a program with these options would, by a client that is not installed."""
    made: list[Envelope] = []
    named = ("environment", "release", "dist", "server_name")
    client = Client(
        resolve(
            {
                **{name: getattr(options, name) for name in named},
                "dsn": options.dsn,
                "traces_sample_rate": 1.0,
                "transport": made.append,
            },
            {},
        )
    )
    provider = TracerProvider(SentrySampler(1.0), options=client.options, sink=client.sink, shutdown_on_exit=False)
    span = provider.get_tracer("bridge.doctor").start_span(TRANSACTION, context=Context())
    span.end()
    client.errors.capture_message(MESSAGE, "info")
    client.flush(_WAIT_S)
    client.close()
    by_type = {item.type: envelope for envelope in made for item in envelope.items}
    return [(kind, by_type[type_]) for kind, type_ in (("message", "event"), ("transaction", "transaction"))]


def _post(connection: Connection, kind: str, envelope: Envelope) -> tuple[Sent, list[Problem]]:
    event_id = str(envelope.headers["event_id"])
    trace_id = str(envelope.items[0].content()["contexts"]["trace"]["trace_id"])
    try:
        answer = connection.post(envelope.serialize(), None, _WAIT_S)
    except (UnreachableError, UnsendableError) as error:
        said = f"no answer: {error}" if str(error) else "no answer"
        problem = _problem(
            ERROR,
            f"The test {kind} did not reach the server: {said}.",
            "Nothing that is recorded arrives either.",
            "Look at host and port of the DSN, DNS, firewalls and HTTPS_PROXY; with a private certificate, at "
            "SSL_CERT_FILE.",
        )
        return Sent(kind, event_id, trace_id, None, said), [problem]
    sent = Sent(kind, event_id, trace_id, answer.status, _in_words(answer))
    return sent, _problems(sent, answer)


def _in_words(answer: Answer) -> str:
    said = answer.headers.get(_ERROR_HEADER)
    if 200 <= answer.status < 300:
        words = "taken"
    elif answer.status >= 500:
        words = "The server, or a proxy before it, has a fault."
    else:
        words = _MEANINGS.get(answer.status, "The server refuses it.")
    limits = _limits(answer)
    return " ".join(part for part in (words, f"It says: {said}" if said else "", limits) if part)


def _limits(answer: Answer) -> str:
    limits = [
        f"{category or 'everything'} for {seconds:g} s"
        for seconds, category in parse_rate_limits(answer.headers.get(LIMITS_HEADER, ""))
    ]
    if not limits and answer.status == TOO_MANY_REQUESTS:
        limits = [f"everything for {answer.headers.get(RETRY_AFTER_HEADER, '60')} s"]
    return f"It limits {', '.join(limits)}." if limits else ""


def _problems(sent: Sent, answer: Answer) -> list[Problem]:
    if not sent.taken:
        why = "What the program sends is refused as well."
        fix = _FIXES.get(answer.status, "Look at the server's log, and at what stands before it.")
        return [_problem(ERROR, f"The test {sent.kind} got HTTP {answer.status}. {sent.answer}", why, fix)]
    if answer.headers.get(LIMITS_HEADER):
        why = "What is recorded of that is counted as lost until the limit is over."
        fix = _FIXES[TOO_MANY_REQUESTS]
        return [_problem(WARNING, f"The server took the test {sent.kind}, but: {_limits(answer)}", why, fix)]
    return []


def _problem(severity: Severity, what: str, why: str, fix: str) -> Problem:
    return Problem(severity, what, why, fix, "test-not-taken" if severity == ERROR else "test-limited")
