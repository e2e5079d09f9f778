"""Set-up by environment alone: the entry points by which OpenTelemetry asks, and what `python -m bridge run` starts.

`OTEL_PYTHON_TRACER_PROVIDER=bridge` asks for the whole set-up; a process without it, that `python -m bridge run` did
not start either, is left as it is. Nothing that is wrong with a variable stops a program that was not written for the
bridge: it is logged and ignored.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

# First of all: with OTEL_PYTHON_CONTEXT=bridge this import loads our runtime context, which must not be half imported.
import opentelemetry.context  # noqa: F401
from opentelemetry import trace
from opentelemetry.environment_variables import OTEL_PYTHON_TRACER_PROVIDER

from bridge._internal.options import OTEL_TRACES_SAMPLER, OUR_NAME, Options, resolve, without_unusable
from bridge._internal.otel_private import global_tracer_provider, sampler_from_environment

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from bridge._internal.sampling.sampler import SentrySampler

# What sets up is imported where its failure can be caught: OpenTelemetry's own modules raise for a variable of theirs.
logger = logging.getLogger("bridge.setup")


def tracer_provider() -> TracerProvider:
    """Set the process up; returns the provider. OpenTelemetry calls it when the first tracer is asked for.

    Entry point `opentelemetry_tracer_provider`.
    """
    set_up()
    return global_tracer_provider() or _unconfigured_provider()


def _unconfigured_provider() -> TracerProvider:
    """Return a provider for an `init` that runs in this thread, and will configure it, or for a set-up that failed."""
    try:
        from bridge._internal.tracing.provider import TracerProvider as OurTracerProvider

        return OurTracerProvider()
    except Exception as error:  # in a program that did not call us
        logger.error("bridge cannot provide tracers; the program goes on without", exc_info=error)
        return trace.NoOpTracerProvider()


def traces_sampler(argument: str | None = None) -> SentrySampler:
    """Return the sampler that Sentry's variables describe, for a provider that OpenTelemetry's configurator makes.

    `OTEL_TRACES_SAMPLER_ARG` is the rate where `SENTRY_TRACES_SAMPLE_RATE` is not set. Entry point
    `opentelemetry_traces_sampler`.
    """
    from bridge._internal.sampling.sampler import SentrySampler

    return SentrySampler(_options().traces_sample_rate)


def pre_instrument() -> None:
    """Set the process up before `opentelemetry-instrument` activates instrumentations, if the environment asks.

    A provider that OpenTelemetry's configurator made by then is adopted. Entry point `opentelemetry_pre_instrument`.
    """
    if os.environ.get(OTEL_PYTHON_TRACER_PROVIDER) == OUR_NAME:
        set_up()


def set_up() -> None:
    """Call `init` with what the environment says, unless somebody did; nothing that goes wrong leaves."""
    try:
        from bridge._internal import install

        install.init_once(_options_for_process)
    except Exception as error:  # in a program that did not call us
        logger.error("bridge could not be set up by environment; the program goes on without", exc_info=error)


def _options_for_process() -> Options:
    """Return what the environment says, with the sampler that it asks for; a provider that is there gets Sentry's.

    With `opentelemetry-instrument` and a distro that provider is OpenTelemetry's. Where nobody chose its sampler, all
    would be sampled whatever `SENTRY_TRACES_SAMPLE_RATE` says.
    """
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
    from opentelemetry.sdk.trace.sampling import DEFAULT_ON

    options = _options()
    existing = global_tracer_provider()
    if os.environ.get(OTEL_TRACES_SAMPLER, "").strip() not in ("", OUR_NAME):
        if existing is None or not options.tracing_enabled:
            sources = {**options.sources, "sampler": OTEL_TRACES_SAMPLER}
            return replace(options, sampler=sampler_from_environment(), sources=sources)
    elif isinstance(existing, SdkTracerProvider) and existing.sampler is DEFAULT_ON and options.tracing_enabled:
        existing.sampler = traces_sampler()
    return options


def _options() -> Options:
    """Return what the environment says; a variable that cannot be used counts as unset."""
    environ, refused = without_unusable(os.environ)
    for error in refused:
        _report_once(str(error))
    return resolve({}, environ)


@cache
def _report_once(refusal: str) -> None:
    logger.error("a variable of the environment is ignored: %s", refusal)
