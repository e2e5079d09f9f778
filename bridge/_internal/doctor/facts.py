"""Facts: what is live, as plain values that can be printed; keys and tokens are shortened or left out."""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import bridge
from bridge._internal.doctor.checks.check import full_name
from bridge._internal.doctor.checks.requirements import installed_version
from bridge._internal.dsn import Dsn
from bridge._internal.guard import guard
from bridge._internal.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge._internal.client import Client
    from bridge._internal.doctor.live import Held, Live

PACKAGES = (
    "sentry-otel-bridge",
    "opentelemetry-api",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation",
    "opentelemetry-exporter-otlp-proto-http",
    "httpx",
    "wrapt",
    "contextvars-extras",
    "orjson",
    "zstandard",
    "sentry-sdk",
    "ddtrace",
    "logfire",
)
# Variables whose values are no secrets. Others of these worlds are named without their value.
_SHOWN = frozenset(
    {
        "SENTRY_ENVIRONMENT",
        "SENTRY_RELEASE",
        "SENTRY_DEBUG",
        "SENTRY_TRACES_SAMPLE_RATE",
        "SENTRY_TRACE_LIFECYCLE",
        "SENTRY_USE_ENVIRONMENT",
        "OTEL_SDK_DISABLED",
        "OTEL_SERVICE_NAME",
        "OTEL_PROPAGATORS",
        "OTEL_PYTHON_CONTEXT",
        "OTEL_PYTHON_TRACER_PROVIDER",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
        "OTEL_TRACES_EXPORTER",
        "DD_TRACE_ENABLED",
        "DD_TRACE_OTEL_ENABLED",
        "DD_TRACE_PROPAGATION_STYLE",
    }
)
_WORLDS = ("SENTRY_", "OTEL_", "DD_", "BRIDGE_", "LOGFIRE_")
_HIDDEN = "(set)"
_KEY_SHOWN = 4


def facts(live: Live) -> dict[str, Any]:
    """Return what is live. A part that cannot be read is `None`."""
    parts: dict[str, Callable[[], Any]] = {
        "python": _python,
        "packages": lambda: {name: installed_version(name) for name in PACKAGES},
        "bridge": lambda: {"version": bridge.__version__, "file": bridge.__file__, "initialised": bool(live.client)},
        "context": lambda: full_name(live.runtime),
        "propagator": lambda: _propagator(live.propagator),
        "provider": lambda: _provider(live),
        "patches": _patches,
        "instrumentations": lambda: _instrumentations(live.client),
        "delivery": lambda: _delivery(live.client),
        "options": lambda: _options(live.options),
        "environment": lambda: environment(live.environ),
    }
    return {name: _guarded(name, part) for name, part in parts.items()}


def _guarded(name: str, part: Callable[[], Any]) -> Any:
    with guard("doctor", f"the part {name!r} of what is live could not be read"):
        return part()
    return None


def _python() -> dict[str, str]:
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "platform": platform.platform(),
    }


def _propagator(held: Held) -> dict[str, Any]:
    return {"type": full_name(held.propagator), "holds": [_propagator(one) for one in held.holds]}


def _provider(live: Live) -> dict[str, Any] | None:
    from bridge._internal.otel_private import sdk_provider

    provider = live.provider if live.client is None else live.client.tracer_provider
    if provider is None:
        return None
    whose = "bridge" if live.own_provider is not None else "adopted"
    sampler = getattr(sdk_provider(provider), "sampler", None)
    return {
        "type": full_name(provider),
        "whose": None if live.client is None else whose,
        "global": provider is live.provider,
        "sampler": None if sampler is None else sampler.get_description(),
        "processors": [_processor(one) for one in live.processors],
    }


def _processor(processor: Any) -> str:
    exporter = getattr(processor, "span_exporter", None)
    return full_name(processor) + ("" if exporter is None else f" -> {full_name(exporter)}")


def _patches() -> list[str]:
    from bridge._internal.context.handoff import active_patches

    return active_patches()


def _instrumentations(client: Client | None) -> dict[str, list[str]] | None:
    """Return names by what became of them; of those that are not active, with the reason."""
    if client is None:
        return None
    report = getattr(client, "instrumentations", None)
    if report is None:
        return {"active": [full_name(one) for one in client.options.instrumentations]}
    states: dict[str, list[str]] = {}
    for one in report():
        states.setdefault(one.state, []).append(one.name + (f": {one.reason}" if one.reason else ""))
    return states


def _delivery(client: Client | None) -> dict[str, Any] | None:
    if client is None:
        return None
    return {
        "dsn": dsn_facts(client.dsn),
        "transport": None if client.transport is None else full_name(client.transport),
        "spotlight": _without_userinfo(client.options.spotlight),
        "sends": client.sender.sends,
        "spans": asdict(client.sender.outcomes.accounting()),
    }


def dsn_facts(dsn: Dsn | None) -> dict[str, Any] | None:
    """Return host, project and the beginning of the public key; the secret key is never shown."""
    if dsn is None:
        return None
    return {"url": dsn.base_url, "project": dsn.project_id, "public_key": f"{dsn.public_key[:_KEY_SHOWN]}..."}


def _options(options: Options | None) -> dict[str, dict[str, Any]] | None:
    if options is None:
        return None
    return {
        field.name: {
            "value": _shown(getattr(options, field.name)),
            "source": options.sources.get(field.name, "default"),
        }
        for field in fields(Options)
        if field.name != "sources"
    }


def _shown(value: object) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _without_userinfo(value)
    if isinstance(value, Dsn):
        shown = dsn_facts(value) or {}
        return f"{value.scheme}://{shown['public_key']}@{value.base_url.partition('://')[2]}/{value.project_id}"
    if isinstance(value, tuple | list):
        return [_shown(one) for one in value]
    pattern = getattr(value, "pattern", None)
    if isinstance(pattern, str):
        return pattern
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{getattr(value, '__module__', '?')}.{value.__qualname__}"
    return f"a {full_name(value)}"


def _without_userinfo(text: str | None) -> str | None:
    if text is None or "@" not in text or "://" not in text:
        return text
    parts = urlsplit(text)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of these worlds; values that may be secrets are left out."""
    return {
        name: value if name in _SHOWN else _HIDDEN
        for name, value in sorted(environ.items())
        if name.startswith(_WORLDS)
    }
