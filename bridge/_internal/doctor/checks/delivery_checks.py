"""Whether what is recorded goes anywhere, and only once."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge._internal.delivery.envelope import ERROR_CATEGORY, SPAN_CATEGORY, TRANSACTION_CATEGORY
from bridge._internal.delivery.outcomes import NETWORK_ERROR, SEND_ERROR
from bridge._internal.doctor.checks.check import Check, Finding, check, full_name
from bridge._internal.doctor.problem import ERROR, INFO, WARNING
from bridge._internal.guard import fault_counts
from bridge._internal.otel_private import exporter_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge._internal.doctor.live import Live

_REACHED_WITHIN_S = 0.5
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OTLP_PATH = "/integration/otlp"
_SET_A_DSN = "Give init(dsn=...) or set SENTRY_DSN; transport= or spotlight= to see envelopes without Sentry."
_CATEGORIES = (ERROR_CATEGORY, TRANSACTION_CATEGORY, SPAN_CATEGORY)


@check("nothing-is-sent", WARNING, fix=_SET_A_DSN)
def nothing_is_sent(live: Live) -> Iterator[Finding]:
    """There is no DSN and nothing else that takes what is recorded: no transport, Spotlight, console or processor."""
    if _has_no_target(live) and not live.other_processors:
        yield Finding("There is no DSN.", "What is recorded goes nowhere; headers are written and read.")


@check("no-dsn", INFO, fix=_SET_A_DSN)
def no_dsn(live: Live) -> Iterator[Finding]:
    """There is no DSN; other processors get the spans, but errors go nowhere."""
    if _has_no_target(live) and live.other_processors:
        yield Finding("There is no DSN.", "Spans go to other processors only; errors and messages go nowhere.")


def _has_no_target(live: Live) -> bool:
    options = live.options
    if options is None:
        return False
    return not (options.dsn or options.transport or options.spotlight or options.console)


@check(
    "spans-go-nowhere",
    WARNING,
    fix="Give init(span_processors=...) an OTLP exporter to bridge.otlp_endpoint(dsn), or leave trace_lifecycle alone.",
)
def spans_go_nowhere(live: Live) -> Iterator[Finding]:
    """`trace_lifecycle="none"` leaves spans to another exporter, and there is none."""
    options = live.options
    if options is not None and options.trace_lifecycle == "none" and not live.other_processors:
        yield Finding(
            'trace_lifecycle is "none", and the provider has no processor.',
            "The bridge sends no spans then, and nobody else does.",
        )


@check(
    "spans-sent-twice",
    ERROR,
    fix='Give init(trace_lifecycle="none"), so that spans go by OTLP alone, or take the exporter off.',
)
def spans_sent_twice(live: Live) -> Iterator[Finding]:
    """An OTLP exporter sends to Sentry, and so does the bridge: each span arrives twice."""
    client = live.client
    if client is None or not client.sink.collects_spans:
        return
    for processor in live.processors:
        url = exporter_url(processor)
        if url is not None and _is_sentrys(url, live):
            yield Finding(
                f"{full_name(processor)} exports to Sentry's OTLP endpoint ({urlsplit(url).hostname}).",
                "The bridge sends the same spans as transactions.",
            )


def _is_sentrys(url: str, live: Live) -> bool:
    options = live.options
    dsn = None if options is None else options.dsn
    if dsn is not None and url.rstrip("/") == dsn.otlp_traces_url.rstrip("/"):
        return True
    host = urlsplit(url).hostname or ""
    return _OTLP_PATH in url and (host == "sentry.io" or host.endswith(".sentry.io"))


@check(
    "exporter-not-read",
    WARNING,
    fix="Run under opentelemetry-instrument, or give init(span_processors=[...]); unset it if Sentry is all you want.",
)
def exporter_not_read(live: Live) -> Iterator[Finding]:
    """`OTEL_TRACES_EXPORTER` names an exporter, but only a launcher reads it, and none made this provider."""
    named = live.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if not named or named.lower() in ("none", "bridge") or live.own_provider is None or live.processors:
        return
    yield Finding(
        f"OTEL_TRACES_EXPORTER={named} is not used.",
        "It is read by opentelemetry-instrument alone; the bridge's provider has no processor, so nothing is exported "
        "but to Sentry.",
    )


@check("spotlight-unreachable", WARNING, fix="Start Spotlight (`npx @spotlightjs/spotlight`), or leave the option out.")
def spotlight_unreachable(live: Live) -> Iterator[Finding]:
    """Spotlight is on, and nobody listens there."""
    url = None if live.options is None else live.options.spotlight
    if url is None:
        return
    parts = urlsplit(url)
    try:
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 80)
        socket.create_connection((parts.hostname or "", port), _REACHED_WITHIN_S).close()
    except (OSError, ValueError) as error:
        yield Finding(
            f"Nobody answers at {parts.scheme}://{parts.hostname}:{parts.port or ''} (option spotlight): {error}.",
            "The copies that it should get are dropped. What goes to Sentry does not suffer.",
        )


@check("http-client-closed", ERROR, fix="Give init() a client that stays open as long as the program runs.")
def http_client_closed(live: Live) -> Iterator[Finding]:
    """The httpx client that was given to `init` was closed by its owner: nothing can be sent."""
    options = live.options
    if options is not None and options.dsn is not None and getattr(options.http_client, "is_closed", False):
        yield Finding("The http_client that was given to init() is closed.", "Every envelope is lost (send_error).")


@check(
    "nothing-arrives",
    WARNING,
    fix="`python -m bridge doctor --send` says what the server answers; look at the DSN, proxies and firewalls.",
)
def nothing_arrives(live: Live) -> Iterator[Finding]:
    """Envelopes were lost on their way, or were refused, and none has arrived."""
    if live.client is None:
        return
    outcomes = live.client.sender.outcomes
    if any(outcomes.delivered_of(category) for category in _CATEGORIES):
        return
    lost = {
        f"{quantity} {category}s ({reason})"
        for category in _CATEGORIES
        for reason, quantity in outcomes.lost_of(category).items()
        if reason in (NETWORK_ERROR, SEND_ERROR)
    }
    if lost:
        yield Finding(f"Nothing has arrived, and lost are: {', '.join(sorted(lost))}.", "The server was not reached.")


@check("rate-limited", WARNING, fix="Send less (traces_sample_rate, before_send) or raise the project's quota.")
def rate_limited(live: Live) -> Iterator[Finding]:
    """The server has told us to send nothing of some kind for a while."""
    transport = None if live.client is None else live.client.transport
    limits = getattr(getattr(transport, "behind", transport), "rate_limits", None)
    limited = [] if limits is None else [category for category in _CATEGORIES if limits.is_limited(category)]
    if limited:
        yield Finding(
            f"The server limits {', '.join(limited)} at the moment.",
            "What is recorded of them is counted as lost (ratelimit_backoff) until the limit is over.",
        )


@check("faults", WARNING, fix="Read the log of `bridge`: the first of each kind is there, with its traceback.")
def faults(live: Live) -> Iterator[Finding]:
    """A fault was stopped from reaching the program: a hook that raised, or a mistake of ours."""
    for cause, count in fault_counts().items():
        yield Finding(f"{cause} ({count} times).", "The program goes on, with less telemetry.")


CHECKS: tuple[Check[Live], ...] = (
    nothing_is_sent,
    no_dsn,
    spans_go_nowhere,
    spans_sent_twice,
    exporter_not_read,
    spotlight_unreachable,
    http_client_closed,
    nothing_arrives,
    rate_limited,
    faults,
)
