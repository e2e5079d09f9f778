"""Whether what was said about sampling is what decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge._internal.doctor.checks.check import Check, Finding, check, full_name
from bridge._internal.doctor.problem import INFO, WARNING
from bridge._internal.otel_private import sdk_provider, tracers
from bridge._internal.sampling.foreign_sampler import sampler_rate
from bridge._internal.sampling.sampler import SentrySampler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace.sampling import Sampler

    from bridge._internal.doctor.live import Live
    from bridge._internal.options import Options

_FOR_SPANS = (
    "tracer_provider",
    "span_processors",
    "instrumentations",
    "before_send_transaction",
    "before_send_span",
    "ignore_spans",
    "capture_span_exceptions",
)
"""Options that are of no use without spans."""
_SET_A_RATE = "Set traces_sample_rate (1.0 keeps every trace), or SENTRY_TRACES_SAMPLE_RATE."


@check("tracing-off", INFO, fix=_SET_A_RATE)
def tracing_off(live: Live) -> Iterator[Finding]:
    """Neither rate nor sampler is set: errors and headers only, no spans are recorded."""
    options = live.options
    if options is not None and not options.tracing_enabled and not _wants_spans(live, options):
        yield Finding(
            "Tracing is off: neither traces_sample_rate nor traces_sampler nor sampler is set.",
            "Errors are sent and headers are passed on; no span is recorded.",
        )


@check("tracing-off-but-wanted", WARNING, fix=_SET_A_RATE)
def tracing_off_but_wanted(live: Live) -> Iterator[Finding]:
    """Neither rate nor sampler is set, beside options or processors that are of no use without spans."""
    options = live.options
    if options is None or options.tracing_enabled:
        return
    wanted = _wants_spans(live, options)
    if wanted:
        yield Finding(
            "Tracing is off: neither traces_sample_rate nor traces_sampler nor sampler is set.",
            f"No span goes to Sentry, though {wanted} would be of no use without spans.",
        )


def _wants_spans(live: Live, options: Options) -> str:
    given = [name for name in _FOR_SPANS if name in options.sources]
    if live.adopted_provider is not None and "tracer_provider" not in given:
        given.append("an adopted tracer provider")
    elif live.other_processors and "span_processors" not in given:
        given.append("a span processor")
    return " and ".join(given)


@check("rate-zero", INFO, fix="Give a rate above 0, or none at all to switch tracing off.")
def rate_zero(live: Live) -> Iterator[Finding]:
    """`traces_sample_rate` is 0: only traces that another service has decided to keep are kept."""
    options = live.options
    if options is not None and options.traces_sample_rate == 0 and options.traces_sampler is None:
        yield Finding(
            f"traces_sample_rate is 0 ({options.sources.get('traces_sample_rate', 'default')}).",
            "No trace that begins here is kept; one that comes sampled from upstream is.",
        )


@check("errors-off", INFO, fix="Leave sample_rate at 1.0: it is of errors, traces_sample_rate of traces.")
def errors_off(live: Live) -> Iterator[Finding]:
    """`sample_rate` is 0: no error is sent. It is often taken for the rate of traces."""
    if live.options is not None and live.options.sample_rate == 0:
        yield Finding("sample_rate is 0.", "No error and no message is sent.")


@check(
    "rate-not-in-force",
    WARNING,
    fix="Give the provider that rate (TracerProvider(sampler=...)), or let init() make the provider.",
)
def rate_not_in_force(live: Live) -> Iterator[Finding]:
    """The adopted provider has its own sampler, which decides; another rate, or a sampler, was given to `init`."""
    provider, options = sdk_provider(live.adopted_provider), live.options
    if provider is None or options is None or not options.tracing_enabled:
        return
    sampler = getattr(provider, "sampler", None)
    name = "an unknown sampler" if sampler is None else sampler.get_description()
    why = f"A provider that was there before init() decides by its own sampler ({name})."
    for option in ("traces_sampler", "sampler"):
        given = getattr(options, option)
        if given is not None and given is not sampler and getattr(sampler, option, None) is not given:
            yield Finding(f"{option} is never asked.", why)
    rate, theirs = options.traces_sample_rate, _rate_of(sampler)
    # 1.0 says no more than that tracing is on; then the provider's sampler may choose, unless it keeps nothing at all.
    if rate is not None and rate != theirs and (rate != 1.0 or theirs == 0.0):
        keeps = "" if theirs is None else f" It keeps {theirs * 100:g} % of the traces."
        yield Finding(f"traces_sample_rate={rate:g} does not decide.", why + keeps)


def _rate_of(sampler: Sampler | None) -> float | None:
    if isinstance(sampler, SentrySampler):
        return None if sampler.traces_sampler is not None else sampler.traces_sample_rate or 0.0
    return sampler_rate(sampler, at_head=True)


@check(
    "tracers-older-than-sampler",
    WARNING,
    fix="Give the sampler when the provider is made: TracerProvider(sampler=...).",
)
def tracers_older_than_sampler(live: Live) -> Iterator[Finding]:
    """The sampler of an adopted provider was exchanged after tracers were made; each keeps the one it began with."""
    provider = sdk_provider(live.adopted_provider)
    if provider is None:
        return
    stale = [
        one for one in tracers(provider) or () if getattr(one, "sampler", provider.sampler) is not provider.sampler
    ]
    if stale:
        yield Finding(
            f"{len(stale)} of the tracers of {full_name(live.adopted_provider)} were made before its sampler.",
            "A tracer of the SDK keeps the sampler that the provider had when it was made, so these decide otherwise.",
        )


@check(
    "otel-sampler-ignored",
    WARNING,
    fix="Unset OTEL_TRACES_SAMPLER and set SENTRY_TRACES_SAMPLE_RATE, or give init(sampler=...).",
)
def otel_sampler_ignored(live: Live) -> Iterator[Finding]:
    """`OTEL_TRACES_SAMPLER` is set, and our provider, which was made by `init`, decides by something else."""
    named = live.environ.get("OTEL_TRACES_SAMPLER", "").strip()
    provider, options = live.own_provider, live.options
    if not named or named.lower() == "bridge" or provider is None or options is None:
        return
    if options.sources.get("sampler") == "argument" or "OTEL_TRACES_SAMPLER" in options.sources.values():
        return
    yield Finding(
        f"OTEL_TRACES_SAMPLER={named} is not used.",
        f"The bridge's provider decides by {provider.sampler.get_description()}.",
    )


CHECKS: tuple[Check[Live], ...] = (
    tracing_off,
    tracing_off_but_wanted,
    rate_zero,
    errors_off,
    rate_not_in_force,
    tracers_older_than_sampler,
    otel_sampler_ignored,
)
