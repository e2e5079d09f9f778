"""Whether what is recorded is sent, and only once."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge._internal.console.problem import ERROR, WARNING
from bridge._internal.delivery.envelope import ERROR_CATEGORY, SPAN_CATEGORY, TRANSACTION_CATEGORY
from bridge._internal.delivery.outcomes import NETWORK_ERROR, SEND_ERROR
from bridge._internal.doctor.checks.check import Symptom, check, full_name
from bridge._internal.guard import fault_counts
from bridge._internal.otel_private import exporter_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge._internal.doctor.live import LiveSetup
    from bridge._internal.dsn import Dsn

_OTLP_PATH = "/integration/otlp"
_CATEGORIES = (ERROR_CATEGORY, TRANSACTION_CATEGORY, SPAN_CATEGORY)


@check(
    "nothing-is-sent",
    WARNING,
    fix="Give init(dsn=...) or set SENTRY_DSN. To see envelopes without Sentry: transport=, spotlight= or console=.",
)
def nothing_is_sent(live: LiveSetup) -> Iterator[Symptom]:
    """There is no DSN, and no transport, Spotlight, console or other processor to receive what is recorded."""
    options = live.options
    if not (options.dsn or options.transport or options.spotlight or options.console or live.other_processors):
        yield Symptom("There is no DSN.", "What is recorded is discarded; only headers are written and read.")


@check(
    "spans-go-nowhere",
    WARNING,
    fix="Give init(span_processors=...) an OTLP exporter to bridge.otlp_endpoint(dsn), or do not set trace_lifecycle.",
)
def spans_go_nowhere(live: LiveSetup) -> Iterator[Symptom]:
    """`trace_lifecycle="none"` leaves spans to another exporter, and there is none."""
    if live.options.trace_lifecycle == "none" and not live.other_processors:
        yield Symptom(
            'trace_lifecycle is "none", and the provider has no other processor.',
            "bridge sends no spans then, and nothing else does.",
        )


@check(
    "spans-sent-twice",
    ERROR,
    fix='Give init(trace_lifecycle="none"), so that spans are sent by OTLP only, or remove the exporter.',
)
def spans_sent_twice(live: LiveSetup) -> Iterator[Symptom]:
    """An OTLP exporter sends spans to Sentry, and so does bridge: each span arrives twice."""
    for processor in live.processors if live.client.sink.collects_spans else ():
        url = exporter_url(processor)
        if url is not None and _is_sentry(url, live.options.dsn):
            yield Symptom(
                f"{full_name(processor)} exports to Sentry's OTLP endpoint ({urlsplit(url).hostname}).",
                "bridge sends the same spans as transactions.",
            )


def _is_sentry(url: str, dsn: Dsn | None) -> bool:
    if dsn is not None and url.rstrip("/") == dsn.otlp_traces_url.rstrip("/"):
        return True
    return _OTLP_PATH in url and f".{urlsplit(url).hostname}".endswith(".sentry.io")


@check(
    "exporter-not-read",
    WARNING,
    fix="Run under opentelemetry-instrument, or give init(span_processors=[...]). Unset it if you only need Sentry.",
)
def exporter_not_read(live: LiveSetup) -> Iterator[Symptom]:
    """`OTEL_TRACES_EXPORTER` names an exporter, but only `opentelemetry-instrument` reads that variable."""
    named = live.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if named.lower() not in ("", "none", "bridge") and live.own_provider is not None and not live.processors:
        yield Symptom(
            f"OTEL_TRACES_EXPORTER={named} is set but not used.",
            "The provider that init() created has no processor, so spans are sent to Sentry only.",
        )


@check(
    "nothing-arrives",
    WARNING,
    fix="Run `python -m bridge doctor --send` to see the server's answer; check the DSN, proxies and firewalls.",
)
def nothing_arrives(live: LiveSetup) -> Iterator[Symptom]:
    """Envelopes were lost or refused on their way, and none has arrived."""
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
        yield Symptom(f"Nothing has arrived. Lost: {', '.join(sorted(lost))}.", "The server was not reached.")


@check("faults", WARNING, fix="Read the log of `bridge`, which has the traceback of the first occurrence.")
def faults(live: LiveSetup) -> Iterator[Symptom]:
    """bridge caught an exception, of a hook of yours or of its own code, and data may be lost."""
    for cause, count in fault_counts().items():
        yield Symptom(f"{cause} ({count} times).", "The program continues, with less telemetry.")
