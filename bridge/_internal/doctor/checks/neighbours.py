"""What other libraries of the same process do that goes against the bridge. None of them is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal.doctor.checks.check import Check, Finding, check, full_name
from bridge._internal.doctor.checks.requirements import installed_version
from bridge._internal.doctor.live import loaded, logfire_provider
from bridge._internal.doctor.problem import ERROR, INFO, WARNING
from bridge._internal.otel_private import is_shut_down_at_exit, span_processors, tracers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge._internal.doctor.live import Live

_OTEL_INTEGRATIONS = ("opentelemetry", "otlp")
_W3C_STYLES = ("tracecontext",)


def sentry_sdk_client() -> Any:
    """Return sentry-sdk's client if it was initialised and sends somewhere, else `None`.

    `sentry_sdk.scope._global_scope`, seen in 2.0 to 2.75: its own getters would make scopes.
    """
    scope = getattr(loaded("sentry_sdk.scope"), "_global_scope", None)
    client = getattr(scope, "client", None)
    return client if getattr(client, "transport", None) is not None else None


def _sentry_sdk_traces(client: Any) -> bool:
    options = client.options
    return options.get("enable_tracing") is not False and (
        options.get("traces_sample_rate") is not None
        or options.get("traces_sampler") is not None
        or bool(options.get("enable_tracing"))
    )


def _otel_integrations(client: Any) -> list[str]:
    return [name for name in _OTEL_INTEGRATIONS if name in getattr(client, "integrations", {})]


def _their_processors(live: Live) -> list[str]:
    return [full_name(one) for one in live.processors if full_name(one).startswith("sentry_sdk.")]


@check(
    "sentry-sdk-too",
    ERROR,
    fix="Take sentry_sdk.init() out, or give it neither traces_sample_rate nor an integration of OpenTelemetry's.",
)
def sentry_sdk_too(live: Live) -> Iterator[Finding]:
    """sentry-sdk makes transactions in the same process, by itself or of OpenTelemetry's spans: all is sent twice."""
    client = sentry_sdk_client()
    if live.client is None or client is None:
        return
    version = installed_version("sentry-sdk") or "of an unknown version"
    integrations, theirs = _otel_integrations(client), _their_processors(live)
    if integrations or theirs or client.options.get("instrumenter") == "otel":
        means = ", ".join([*integrations, *theirs]) or 'instrumenter="otel"'
        yield Finding(
            f"sentry-sdk {version} takes OpenTelemetry's spans as well ({means}).",
            "Each span is sent by both, and both write sentry-trace.",
        )
    elif _sentry_sdk_traces(client):
        yield Finding(
            f"sentry-sdk {version} is initialised with tracing on.",
            "Its integrations make transactions of the same requests, in other traces, and write headers of their own.",
        )


@check(
    "sentry-sdk-propagator",
    ERROR,
    fix="Take sentry-sdk's propagator off: the bridge writes and reads sentry-trace and baggage.",
)
def sentry_sdk_propagator(live: Live) -> Iterator[Finding]:
    """A propagator of sentry-sdk's is part of the global one, beside ours."""
    names = [full_name(one.propagator) for one in live.propagator.all()]
    for name in names:
        if live.client is not None and live.our_propagators and name.startswith("sentry_sdk."):
            yield Finding(
                f"{name} is part of the global propagator.",
                "It takes every continued trace as sampled and drops the baggage that is not Sentry's.",
            )


@check(
    "sentry-sdk-headers",
    WARNING,
    fix="Take sentry_sdk.init() out and send errors by bridge.capture_exception(), or give it "
    "trace_propagation_targets=[].",
)
def sentry_sdk_headers(live: Live) -> Iterator[Finding]:
    """sentry-sdk is initialised for errors only; it writes `sentry-trace` of its own into outgoing requests."""
    client = sentry_sdk_client()
    if live.client is None or client is None or _sentry_sdk_traces(client):
        return
    targets = client.options.get("trace_propagation_targets")
    if _otel_integrations(client) or _their_processors(live) or client.options.get("instrumenter") == "otel":
        return
    if targets is None or len(targets) > 0:
        yield Finding(
            f"sentry-sdk {installed_version('sentry-sdk') or ''} is initialised beside the bridge.",
            "Its integrations write sentry-trace and baggage of another trace into outgoing requests, and its events "
            "do not belong to the bridge's traces.",
        )


@check(
    "ddtrace-headers",
    WARNING,
    fix="Set DD_TRACE_PROPAGATION_STYLE=datadog, or DD_TRACE_ENABLED=false.",
)
def ddtrace_headers(live: Live) -> Iterator[Finding]:
    """ddtrace patches libraries and writes a `traceparent` of its own into outgoing requests."""
    patched = getattr(loaded("ddtrace._monkey"), "_PATCHED_MODULES", None)
    if live.client is None or not patched or not getattr(_dd("ddtrace.trace", "tracer"), "enabled", False):
        return
    styles = getattr(_dd("ddtrace", "config"), "_propagation_style_inject", ())
    clashing = [style for style in styles if style in _W3C_STYLES]
    if clashing:
        yield Finding(
            f"ddtrace {installed_version('ddtrace') or ''} patches {len(patched)} libraries and writes "
            f"{', '.join(clashing)}.",
            "Requests carry a traceparent of Datadog's trace beside a sentry-trace of ours: whoever reads both must "
            "choose.",
        )


def _dd(module: str, name: str) -> Any:
    return getattr(loaded(module), name, None)


@check(
    "apm-headers",
    WARNING,
    fix="Switch its distributed tracing, or its instrumentation, off; or let it be the only one that traces.",
)
def apm_headers(live: Live) -> Iterator[Finding]:
    """Elastic APM or New Relic is active: it writes a `traceparent` of its own into outgoing requests."""
    for name in (_elastic_apm(), _new_relic()) if live.client is not None else ():
        if name is not None:
            yield Finding(
                f"{name} {installed_version(name) or ''} traces in the same process.",
                "Requests carry a traceparent of its trace beside ours and a sentry-trace: the services that read them "
                "must choose.",
            )


def _elastic_apm() -> str | None:
    """Name elastic-apm if it writes headers. `base.CLIENT_SINGLETON`, `_instrumentation_singletons`, seen in 6.26."""
    client = getattr(loaded("elasticapm.base"), "CLIENT_SINGLETON", None)
    packages = getattr(loaded("elasticapm.instrumentation.register"), "_instrumentation_singletons", {})
    is_active = any(getattr(one, "instrumented", False) for one in packages.values())
    return "elastic-apm" if client is not None and is_active else None


def _new_relic() -> str | None:
    """Name newrelic if its agent monitors with distributed tracing. `core.config._settings`, seen in 14.1."""
    settings = getattr(loaded("newrelic.core.config"), "_settings", None)
    agent = getattr(getattr(loaded("newrelic.core.agent"), "Agent", None), "_instance", None)
    traces = getattr(getattr(settings, "distributed_tracing", None), "enabled", False)
    return "newrelic" if agent is not None and traces and getattr(settings, "monitor_mode", False) else None


@check(
    "logfire-apart",
    WARNING,
    fix="Call logfire.configure() first and bridge.init() after it: its provider is adopted then.",
)
def logfire_apart(live: Live) -> Iterator[Finding]:
    """logfire was configured after `init`: its spans are made by a provider of its own and are not in Sentry."""
    if live.client is None:
        return
    provider = logfire_provider()
    if provider is None or provider is live.client.tracer_provider:
        return
    yield Finding(
        f"logfire {installed_version('logfire') or ''} was configured after the bridge.",
        "OpenTelemetry refused its provider as the bridge's was there: spans of logfire.span() do not reach Sentry, "
        "and logfire does not see OpenTelemetry's.",
    )


@check(
    "other-provider",
    INFO,
    fix="If they should be in Sentry's traces, give that provider to init(tracer_provider=...), or make one of both.",
)
def other_provider(live: Live) -> Iterator[Finding]:
    """Another provider of the SDK makes spans in this process; they are not in Sentry's transactions."""
    if live.client is None:
        return
    for provider in live.other_providers:
        made = tracers(provider)
        if span_processors(provider) and is_shut_down_at_exit(provider) and made:
            yield Finding(
                f"There is another {full_name(provider)} with {len(made)} tracers and processors of its own.",
                "Spans of those tracers are not in Sentry's transactions.",
            )


@check(
    "monkey-patched-late",
    ERROR,
    fix="Call monkey.patch_all() first thing in the program, before `import bridge` and bridge.init().",
)
def monkey_patched_late(live: Live) -> Iterator[Finding]:
    """gevent or eventlet patched threads after `init`: the worker's locks are real ones, which stop every greenlet."""
    if live.client is None:
        return
    for name in _patched_by():
        if live.client.sender.worker.waits_natively:
            yield Finding(
                f"{name} patched the threading module after bridge.init().",
                "The delivery worker waits on real locks: it may stop all greenlets of the process, or never run.",
            )


def _patched_by() -> list[str]:
    found = []
    gevent, eventlet = loaded("gevent.monkey"), loaded("eventlet.patcher")
    if gevent is not None and gevent.is_module_patched("threading"):
        found.append("gevent")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        found.append("eventlet")
    return found


@check("uwsgi-without-threads", ERROR, fix="Start uWSGI with --enable-threads (or --threads N).")
def uwsgi_without_threads(live: Live) -> Iterator[Finding]:
    """uWSGI runs without threads: the delivery worker never gets to run."""
    uwsgi = loaded("uwsgi")
    options = getattr(uwsgi, "opt", None)
    if live.client is None or options is None:
        return
    if _major_minor(getattr(uwsgi, "version", "")) >= (2, 1):  # threads are on by default
        return
    if not (_uwsgi_option(options, "enable-threads") or _uwsgi_option(options, "threads")):
        yield Finding(
            "uWSGI runs without --enable-threads.",
            "Threads that Python starts do not run there, so nothing is ever sent.",
        )


def _uwsgi_option(options: Any, name: str) -> bool:
    value = options.get(name, options.get(name.encode()))
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    return value is not None and text.strip().lower() not in ("", "0", "false", "no", "off")


def _major_minor(version: Any) -> tuple[int, ...]:
    text = version.decode("ascii", "replace") if isinstance(version, bytes) else str(version)
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


CHECKS: tuple[Check[Live], ...] = (
    sentry_sdk_too,
    sentry_sdk_propagator,
    sentry_sdk_headers,
    ddtrace_headers,
    apm_headers,
    logfire_apart,
    other_provider,
    monkey_patched_late,
    uwsgi_without_threads,
)
