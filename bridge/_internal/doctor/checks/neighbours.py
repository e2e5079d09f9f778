"""Conflicts with other libraries in the same process. None of them is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal import sentry_sdk
from bridge._internal.console.problem import ERROR, WARNING
from bridge._internal.doctor.checks.check import Symptom, check, full_name, installed_version
from bridge._internal.doctor.live import imported_module, logfire_provider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge._internal.doctor.live import LiveSetup

_OTEL_INTEGRATIONS = ("opentelemetry", "otlp")
_W3C_STYLES = ("tracecontext",)


def sentry_sdk_client() -> Any:
    """Return sentry-sdk's client if it was initialised and sends somewhere, else `None`.

    `sentry_sdk.scope._global_scope`, seen in 2.0 to 2.75: its own getters would make scopes.
    """
    scope = getattr(imported_module("sentry_sdk.scope"), "_global_scope", None)
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


def _their_processors(live: LiveSetup) -> list[str]:
    return [full_name(one) for one in live.processors if full_name(one).startswith("sentry_sdk.")]


@check(
    "sentry-sdk-too",
    ERROR,
    fix="Remove sentry_sdk.init(), or give it neither traces_sample_rate nor an OpenTelemetry integration.",
)
def sentry_sdk_too(live: LiveSetup) -> Iterator[Symptom]:
    """sentry-sdk creates transactions in the same process, its own or from OpenTelemetry's spans: all is sent twice."""
    client = sentry_sdk_client()
    if client is None or sentry_sdk.report().mode in ("world", "linked"):
        return
    version = installed_version("sentry-sdk")
    integrations, theirs = _otel_integrations(client), _their_processors(live)
    if integrations or theirs or client.options.get("instrumenter") == "otel":
        reason = ", ".join([*integrations, *theirs]) or 'instrumenter="otel"'
        yield Symptom(
            f"sentry-sdk {version} also sends OpenTelemetry's spans ({reason}).",
            "Each span is sent twice, and both libraries write sentry-trace.",
        )
    elif _sentry_sdk_traces(client):
        yield Symptom(
            f"sentry-sdk {version} is initialised with tracing on.",
            "Its integrations create transactions for the same requests, in other traces, and write their own headers.",
        )


@check(
    "sentry-sdk-propagator",
    ERROR,
    fix="Remove sentry-sdk's propagator: bridge writes and reads sentry-trace and baggage.",
)
def sentry_sdk_propagator(live: LiveSetup) -> Iterator[Symptom]:
    """The global propagator contains sentry-sdk's propagator besides `SentryPropagator`."""
    names = [full_name(one.propagator) for one in live.propagator]
    for name in names:
        if live.our_propagators and name.startswith("sentry_sdk."):
            yield Symptom(
                f"{name} is part of the global propagator.",
                "It treats every continued trace as sampled, and drops all baggage but Sentry's.",
            )


@check(
    "sentry-sdk-headers",
    WARNING,
    fix="Remove sentry_sdk.init() and send errors with bridge.capture_exception(), or give it "
    "trace_propagation_targets=[].",
)
def sentry_sdk_headers(live: LiveSetup) -> Iterator[Symptom]:
    """sentry-sdk is initialised for errors only, but writes its own `sentry-trace` into outgoing requests."""
    client = sentry_sdk_client()
    if client is None or _sentry_sdk_traces(client) or sentry_sdk.report().mode == "linked":
        return
    targets = client.options.get("trace_propagation_targets")
    if _otel_integrations(client) or _their_processors(live) or client.options.get("instrumenter") == "otel":
        return
    if targets is None or len(targets) > 0:
        yield Symptom(
            f"sentry-sdk {installed_version('sentry-sdk')} is initialised besides bridge.",
            "Its integrations write sentry-trace and baggage of another trace into outgoing requests, and its events "
            "do not belong to bridge's traces.",
        )


@check(
    "ddtrace-headers",
    WARNING,
    fix="Set DD_TRACE_PROPAGATION_STYLE=datadog, or DD_TRACE_ENABLED=false.",
)
def ddtrace_headers(live: LiveSetup) -> Iterator[Symptom]:
    """ddtrace patches libraries and writes its own `traceparent` into outgoing requests."""
    patched = getattr(imported_module("ddtrace._monkey"), "_PATCHED_MODULES", None)
    if not patched or not getattr(_dd("ddtrace.trace", "tracer"), "enabled", False):
        return
    styles = getattr(_dd("ddtrace", "config"), "_propagation_style_inject", ())
    clashing = [style for style in styles if style in _W3C_STYLES]
    if clashing:
        yield Symptom(
            f"ddtrace {installed_version('ddtrace')} patches {len(patched)} libraries and writes "
            f"{', '.join(clashing)}.",
            "Requests carry the traceparent of Datadog's trace and the sentry-trace of bridge's: a service that reads "
            "both continues only one.",
        )


def _dd(module: str, name: str) -> Any:
    return getattr(imported_module(module), name, None)


@check(
    "apm-headers",
    WARNING,
    fix="Turn off its distributed tracing or its instrumentation, or let it be the only one that traces.",
)
def apm_headers(live: LiveSetup) -> Iterator[Symptom]:
    """Elastic APM or New Relic is active, and writes its own `traceparent` into outgoing requests."""
    for name in (_elastic_apm(), _new_relic()):
        if name is not None:
            yield Symptom(
                f"{name} {installed_version(name)} traces in the same process.",
                "Requests carry the traceparent of its trace besides that of bridge's and a sentry-trace: a service "
                "that reads them continues only one.",
            )


def _elastic_apm() -> str | None:
    """Name elastic-apm if it writes headers. `base.CLIENT_SINGLETON`, `_instrumentation_singletons`, seen in 6.26."""
    client = getattr(imported_module("elasticapm.base"), "CLIENT_SINGLETON", None)
    packages = getattr(imported_module("elasticapm.instrumentation.register"), "_instrumentation_singletons", {})
    is_active = any(getattr(one, "instrumented", False) for one in packages.values())
    return "elastic-apm" if client is not None and is_active else None


def _new_relic() -> str | None:
    """Name newrelic if its agent is set up and traces. `core.config._settings`, seen in 14.1."""
    settings = getattr(imported_module("newrelic.core.config"), "_settings", None)
    traces = getattr(getattr(settings, "distributed_tracing", None), "enabled", False)
    is_set_up = getattr(settings, "monitor_mode", False) and getattr(settings, "license_key", None)
    return "newrelic" if traces and is_set_up else None


@check(
    "logfire-apart",
    WARNING,
    fix="Call logfire.configure() first and bridge.init() after it, which then adopts logfire's provider.",
)
def logfire_apart(live: LiveSetup) -> Iterator[Symptom]:
    """logfire was configured after `init`: its spans come from a separate provider and do not reach Sentry."""
    provider = logfire_provider()
    if provider is None or provider is live.client.tracer_provider:
        return
    yield Symptom(
        f"logfire {installed_version('logfire')} was configured after bridge.",
        "OpenTelemetry refused its provider, because bridge had set one: spans of logfire.span() do not reach Sentry, "
        "and logfire does not receive OpenTelemetry's.",
    )


@check(
    "monkey-patched-late",
    ERROR,
    fix="Call monkey.patch_all() at the very start of the program, before `import bridge` and bridge.init().",
)
def monkey_patched_late(live: LiveSetup) -> Iterator[Symptom]:
    """gevent or eventlet patched threads after `init`: the delivery worker's real locks block every greenlet."""
    for name in _patched_by() if live.client.sender.worker.waits_natively else ():
        yield Symptom(
            f"{name} patched the threading module after bridge.init().",
            "The delivery worker waits on real locks: it may block all greenlets of the process, or never run.",
        )


def _patched_by() -> list[str]:
    found = []
    gevent, eventlet = imported_module("gevent.monkey"), imported_module("eventlet.patcher")
    if gevent is not None and gevent.is_module_patched("threading"):
        found.append("gevent")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        found.append("eventlet")
    return found


@check("uwsgi-without-threads", ERROR, fix="Start uWSGI with --enable-threads (or --threads N).")
def uwsgi_without_threads(live: LiveSetup) -> Iterator[Symptom]:
    """uWSGI runs without threads: the delivery worker never runs."""
    uwsgi = imported_module("uwsgi")
    options = getattr(uwsgi, "opt", None)
    if options is None or not _decoded(getattr(uwsgi, "version", "")).startswith("2.0"):  # on by default since 2.1
        return
    if not (_uwsgi_option(options, "enable-threads") or _uwsgi_option(options, "threads")):
        yield Symptom(
            "uWSGI runs without --enable-threads.",
            "Threads that Python starts do not run, so nothing is ever sent.",
        )


def _uwsgi_option(options: Any, name: str) -> bool:
    value = options.get(name, options.get(name.encode()))
    return value is not None and _decoded(value).strip().lower() not in ("", "0", "false", "no", "off")


def _decoded(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
