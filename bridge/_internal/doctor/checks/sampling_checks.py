"""Whether the sampling options are those that decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.sampling import ParentBased

from bridge._internal.console.problem import INFO, WARNING
from bridge._internal.doctor.checks.check import Symptom, check
from bridge._internal.otel_private import root_sampler, sdk_provider
from bridge._internal.sampling.foreign_sampler import is_sentrys, sampler_rate
from bridge._internal.sampling.sampler import SentrySampler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace.sampling import Sampler

    from bridge._internal.doctor.live import LiveSetup
    from bridge._internal.options import Options

_OPTIONS_FOR_SPANS = (
    "tracer_provider",
    "span_processors",
    "instrumentations",
    "before_send_transaction",
    "before_send_span",
    "ignore_spans",
    "capture_span_exceptions",
)
_SET_A_RATE = "Set traces_sample_rate (1.0 keeps every trace), or SENTRY_TRACES_SAMPLE_RATE."
_TRACING_IS_OFF = "Tracing is off: neither traces_sample_rate nor traces_sampler nor sampler is set."


@check("tracing-off", INFO, fix=_SET_A_RATE)
def tracing_off(live: LiveSetup) -> Iterator[Symptom]:
    """Neither rate nor sampler is set: errors are sent and headers are forwarded, but no spans are recorded."""
    if not live.options.tracing_enabled and not _needs_spans(live):
        yield Symptom(_TRACING_IS_OFF, "Errors are sent and headers are forwarded; no span is recorded.")


@check("tracing-off-but-wanted", WARNING, fix=_SET_A_RATE)
def tracing_off_but_wanted(live: LiveSetup) -> Iterator[Symptom]:
    """Neither rate nor sampler is set, but options or processors that need spans are."""
    needs_spans = "" if live.options.tracing_enabled else _needs_spans(live)
    if needs_spans:
        yield Symptom(_TRACING_IS_OFF, f"No span is sent to Sentry, but {needs_spans} would need spans.")


def _needs_spans(live: LiveSetup) -> str:
    given = [name for name in _OPTIONS_FOR_SPANS if name in live.options.sources]
    if live.adopted_provider is not None and "tracer_provider" not in given:
        given.append("an adopted tracer provider")
    elif live.other_processors and "span_processors" not in given:
        given.append("a span processor")
    return " and ".join(given)


@check("rate-zero", INFO, fix="Set a rate above 0, or no rate at all to turn tracing off.")
def rate_zero(live: LiveSetup) -> Iterator[Symptom]:
    """`traces_sample_rate` is 0: only traces that another service decided to keep are kept."""
    options = live.options
    if options.traces_sample_rate == 0 and options.traces_sampler is None:
        yield Symptom(
            f"traces_sample_rate is 0 ({options.sources.get('traces_sample_rate', 'default')}).",
            "No trace that starts here is kept; traces that are sampled upstream are.",
        )


@check("errors-off", INFO, fix="Leave sample_rate at 1.0: it applies to errors, traces_sample_rate to traces.")
def errors_off(live: LiveSetup) -> Iterator[Symptom]:
    """`sample_rate`, which is often mistaken for the rate of traces, is 0: no error is sent."""
    if live.options.sample_rate == 0:
        yield Symptom("sample_rate is 0.", "No error and no message is sent.")


@check(
    "rate-not-in-force",
    WARNING,
    fix="Have the provider record everything (TracerProvider(sampler=ALWAYS_ON)), or let init() create the provider.",
)
def rate_not_in_force(live: LiveSetup) -> Iterator[Symptom]:
    """The sampler of the adopted provider leaves Sentry's rate only a part of the traces to decide about, or none."""
    provider, options = sdk_provider(live.adopted_provider), live.options
    if provider is None or not options.tracing_enabled:
        return
    sampler = getattr(provider, "sampler", None)
    name = "an unknown sampler" if sampler is None else sampler.get_description()
    why = f"A provider that existed before init() records by its own sampler ({name})."
    if options.sampler is not None and options.sampler is not sampler:
        yield Symptom("sampler is never asked.", why)
    if not options.decides_for_sentry:
        return
    if is_sentrys(sampler):
        yield from _other_rate(sampler, options, why)
        return
    ratio = sampler_rate(sampler, at_head=True)
    if ratio is None:
        yield Symptom("Sentry gets no more than what another sampler records, regardless of its own rate.", why)
    elif ratio < 1.0:
        yield Symptom(f"Sentry's rate is a share of the {ratio * 100:g} % of the traces that are recorded.", why)


def _other_rate(sampler: Sampler | None, options: Options, why: str) -> Iterator[Symptom]:
    while isinstance(sampler, ParentBased):
        sampler = root_sampler(sampler)
    if not isinstance(sampler, SentrySampler) or not sampler.enabled:
        return
    for option in ("traces_sample_rate", "traces_sampler"):
        given = getattr(options, option)
        if given is not None and given != getattr(sampler, option):
            yield Symptom(f"{option}={given!r} is never asked.", why)


@check(
    "otel-sampler-ignored",
    WARNING,
    fix="Unset OTEL_TRACES_SAMPLER and set SENTRY_TRACES_SAMPLE_RATE, or give init(sampler=...).",
)
def otel_sampler_ignored(live: LiveSetup) -> Iterator[Symptom]:
    """`OTEL_TRACES_SAMPLER` is set, but the provider that `init` created does not use it."""
    named, sources = live.environ.get("OTEL_TRACES_SAMPLER", "").strip(), live.options.sources
    if not named or named.lower() == "bridge" or live.own_provider is None:
        return
    if sources.get("sampler") != "argument" and "OTEL_TRACES_SAMPLER" not in sources.values():
        yield Symptom(
            f"OTEL_TRACES_SAMPLER={named} is set but not used.",
            f"The provider that init() created decides by {live.own_provider.sampler.get_description()}.",
        )
