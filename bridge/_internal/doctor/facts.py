"""What a bug report needs: versions and what is active, as plain values. Keys and tokens are shortened or left out."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from bridge._internal.context.handoff import active_patches
from bridge._internal.doctor.checks.check import PACKAGE, full_name, installed_version
from bridge._internal.dsn import Dsn
from bridge._internal.guard import guard
from bridge._internal.otel_private import sdk_provider
from bridge._internal.tracing.provider import TracerProvider
from bridge._internal.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bridge._internal.client import Client
    from bridge._internal.doctor.live import Process, PropagatorTree
    from bridge._internal.options import Options

_PACKAGES = (
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
_PREFIXES = ("SENTRY_", "OTEL_", "DD_", "BRIDGE_", "LOGFIRE_")
_HARMLESS = (
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
)
"""Variables whose values cannot be secrets. Of all others only the names are reported."""
_HIDDEN = "(set)"
_KEY_SHOWN = 4


def collect_facts(process: Process) -> dict[str, Any]:
    """Return the facts by section. A section that cannot be read is `None`."""
    sections: dict[str, Callable[[], Any]] = {
        "python": _python,
        "packages": lambda: dict(_packages()),
        "bridge": lambda: {
            "version": __version__,
            "file": str(PACKAGE / "__init__.py"),
            "initialised": bool(process.client),
        },
        "context": lambda: full_name(process.runtime),
        "propagator": lambda: _propagator(process.propagator),
        "provider": lambda: _provider(process),
        "patches": active_patches,
        "instrumentations": lambda: _instrumentations(process.client),
        "delivery": lambda: _delivery(process.client),
        "options": lambda: _options(None if process.client is None else process.client.options),
        "environment": lambda: _environment(process.environ),
    }
    return {name: _read(name, section) for name, section in sections.items()}


def _read(name: str, section: Callable[[], Any]) -> Any:
    with guard("doctor", f"the facts about {name!r} could not be read"):
        return section()
    return None


def _python() -> dict[str, str]:
    return {"version": platform.python_version(), "executable": sys.executable, "platform": platform.platform()}


def _packages() -> Iterator[tuple[str, str]]:
    for name in _PACKAGES:
        version = installed_version(name)
        if version is not None:
            yield name, version


def _propagator(tree: PropagatorTree) -> dict[str, Any]:
    return {"type": full_name(tree.propagator), "holds": [_propagator(inner) for inner in tree.inner]}


def _provider(process: Process) -> dict[str, Any] | None:
    provider = process.provider if process.client is None else process.client.tracer_provider
    if provider is None:
        return None
    owner = "bridge" if isinstance(provider, TracerProvider) else "adopted"
    sampler = getattr(sdk_provider(provider), "sampler", None)
    return {
        "type": full_name(provider),
        "whose": None if process.client is None else owner,
        "global": provider is process.provider,
        "sampler": None if sampler is None else sampler.get_description(),
        "processors": [_processor(processor) for processor in process.processors],
    }


def _processor(processor: Any) -> str:
    exporter = getattr(processor, "span_exporter", None)
    return full_name(processor) + ("" if exporter is None else f" -> {full_name(exporter)}")


def _instrumentations(client: Client | None) -> dict[str, list[str]] | None:
    """Return names by state, those that are not active with the reason."""
    if client is None:
        return None
    states: dict[str, list[str]] = {}
    for one in client.instrumentations():
        states.setdefault(one.state, []).append(one.name + (f": {one.reason}" if one.reason else ""))
    return states


def _delivery(client: Client | None) -> dict[str, Any] | None:
    if client is None:
        return None
    return {
        "dsn": None if client.dsn is None else _dsn(client.dsn),
        "transport": None if client.transport is None else full_name(client.transport),
        "spotlight": _option_value(client.options.spotlight),
        "sends": client.sender.sends,
        "spans": asdict(client.accounting()),
    }


def _dsn(dsn: Dsn) -> dict[str, str]:
    return {"url": dsn.base_url, "project": dsn.project_id, "public_key": f"{dsn.public_key[:_KEY_SHOWN]}..."}


def _options(options: Options | None) -> dict[str, dict[str, Any]] | None:
    """Return the options that were set, each with its source."""
    if options is None:
        return None
    return {
        name: {"value": _option_value(getattr(options, name)), "source": source}
        for name, source in options.sources.items()
    }


def _option_value(value: object) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _without_userinfo(value)
    if isinstance(value, tuple | list):
        return [_option_value(member) for member in value]
    if isinstance(value, Dsn):
        return _dsn(value)
    if isinstance(value, re.Pattern):
        return value.pattern
    return getattr(value, "__qualname__", None) or full_name(value)


def _without_userinfo(text: str) -> str:
    if "@" not in text or "://" not in text:
        return text
    parts = urlsplit(text)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    names = sorted(name for name in environ if name.startswith(_PREFIXES))
    return {name: environ[name] if name in _HARMLESS else _HIDDEN for name in names}
