"""Whether what is recorded goes anywhere, and only once."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge._internal.delivery.envelope import ERROR_CATEGORY, SPAN_CATEGORY, TRANSACTION_CATEGORY
from bridge._internal.delivery.outcomes import NETWORK_ERROR, SEND_ERROR
from bridge._internal.doctor.checks.check import Check, Finding, check, full_name
from bridge._internal.guard import fault_counts
from bridge._internal.otel_private import exporter_url
from bridge._internal.problem import ERROR, WARNING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge._internal.doctor.live import Live

_OTLP_PATH = "/integration/otlp"
_SET_A_DSN = "Give init(dsn=...) or set SENTRY_DSN; transport= or spotlight= to see envelopes without Sentry."
_CATEGORIES = (ERROR_CATEGORY, TRANSACTION_CATEGORY, SPAN_CATEGORY)


@check("nothing-is-sent", WARNING, fix=_SET_A_DSN)
def nothing_is_sent(live: Live) -> Iterator[Finding]:
    """There is no DSN and nothing else that takes what is recorded: no transport, Spotlight, console or processor."""
    if _has_no_target(live) and not live.other_processors:
        yield Finding("There is no DSN.", "What is recorded goes nowhere; headers are written and read.")


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
    if client is None or not client.collects_spans:
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


@check(
    "nothing-arrives",
    WARNING,
    fix="`python -m bridge doctor --send` says what the server answers; look at the DSN, proxies and firewalls.",
)
def nothing_arrives(live: Live) -> Iterator[Finding]:
    """Envelopes were lost on their way, or were refused, and none has arrived."""
    if live.client is None:
        return
    outcomes = live.client.outcomes
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


@check("faults", WARNING, fix="Read the log of `bridge`: the first of each kind is there, with its traceback.")
def faults(live: Live) -> Iterator[Finding]:
    """A fault was stopped from reaching the program: a hook that raised, or a mistake of ours."""
    for cause, count in fault_counts().items():
        yield Finding(f"{cause} ({count} times).", "The program goes on, with less telemetry.")


CHECKS: tuple[Check[Live], ...] = (
    nothing_is_sent,
    spans_go_nowhere,
    spans_sent_twice,
    exporter_not_read,
    nothing_arrives,
    faults,
)
