"""Options: one table of their types, defaults, checks and variables, and how it is read."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from bridge._internal.dsn import Dsn

if TYPE_CHECKING:
    import httpx
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import TracerProvider

    from bridge._internal.init_options import Hook, Instrumentor, Rule, TracesSampler
    from bridge._internal.payload import Data, Payload

OUR_NAME = "bridge"
"""What OpenTelemetry's variables call our entry points."""
INSTRUMENTATIONS_VARIABLE = "BRIDGE_INSTRUMENTATIONS"
OTEL_TRACES_SAMPLER = "OTEL_TRACES_SAMPLER"
_OTEL_TRACES_SAMPLER_ARG = "OTEL_TRACES_SAMPLER_ARG"
TraceLifecycle: TypeAlias = Literal["static", "stream", "none"]
TRACE_LIFECYCLES: tuple[TraceLifecycle, ...] = ("static", "stream", "none")
T = TypeVar("T")
_ROW = "row"  # the key of an option's row in the metadata of its field
DEFAULT_SPOTLIGHT_URL = "http://localhost:8969/stream"


def _wrong(option: str, value: object, takes: str) -> ValueError:
    return ValueError(f"bridge.init: option {option!r} got {value!r}; it takes {takes}")


def _text(option: str, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong(option, value, "a string")
    return value


def _dsn(option: str, value: object) -> Dsn:
    if isinstance(value, Dsn):
        return value
    try:
        return Dsn.parse(_text(option, value))
    except ValueError as error:
        raise ValueError(f"bridge.init: option {option!r}: {error}") from None


def _rate(option: str, value: object) -> float:
    takes = "a number from 0.0 to 1.0"
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise _wrong(option, value, takes) from None
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= 1:
        raise _wrong(option, value, takes)
    return float(value)


_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})
_FALSE = frozenset({"0", "false", "no", "off", "n", "f"})


def _flag(option: str, value: object) -> bool:
    if isinstance(value, str) and value.strip().lower() in _TRUE | _FALSE:
        return value.strip().lower() in _TRUE
    if not isinstance(value, bool):
        raise _wrong(option, value, "True or False")
    return value


def _only_false(option: str, value: object) -> Literal[False]:
    if value is not False:
        raise _wrong(option, value, "False")
    return False


def _count(option: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(option, value, "a whole number of 0 or more")
    return value


def _seconds(option: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0 <= value < math.inf):
        raise _wrong(option, value, "a number of seconds, 0 or more")
    return float(value)


def _callable(option: str, value: object) -> Any:
    if not callable(value):
        raise _wrong(option, value, "a callable")
    return value


def _sequence(option: str, value: object) -> tuple[Any, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise _wrong(option, value, "a list or a tuple")
    return tuple(value)


def _targets(option: str, value: object) -> Sequence[str | re.Pattern[str]]:
    for target in (targets := _sequence(option, value)):
        if not isinstance(target, str | re.Pattern):
            raise _wrong(option, target, "strings and compiled patterns")
    return targets


def _with_method(*methods: str) -> Callable[[str, object], Any]:
    def check(option: str, value: object) -> Any:
        if not all(callable(getattr(value, method, None)) for method in methods):
            raise _wrong(option, value, f"an object with {', '.join(f'{m}()' for m in methods)}")
        return value

    return check


def _transport(option: str, value: object) -> object:
    if callable(value):
        return value
    return _with_method("send", "flush", "close")(option, value)


def _processors(option: str, value: object) -> Sequence[SpanProcessor]:
    check = _with_method("on_start", "on_end", "shutdown", "force_flush")
    return tuple(check(option, processor) for processor in _sequence(option, value))


def _instrumentations(option: str, value: object) -> Sequence[Instrumentor | Literal["auto"]]:
    if value == "auto":
        return ("auto",)
    if isinstance(value, str):
        raise _wrong(option, value, "'auto', or a list of instrumentors")
    check = _with_method("instrument", "uninstrument")
    return tuple(each if each == "auto" else check(option, each) for each in _sequence(option, value))


def _anything(option: str, value: object) -> Any:
    return value


def _lifecycle(option: str, value: object) -> TraceLifecycle:
    for lifecycle in TRACE_LIFECYCLES:
        if value == lifecycle:
            return lifecycle
    raise _wrong(option, value, f"one of {', '.join(TRACE_LIFECYCLES)}")


def _rules(option: str, value: object) -> Sequence[Rule]:
    for rule in (rules := _sequence(option, value)):
        parts = rule.items() if isinstance(rule, Mapping) else [("name", rule)]
        if not all(key in ("name", "op") and isinstance(part, str | re.Pattern) for key, part in parts):
            raise _wrong(option, rule, "strings, compiled patterns and mappings of name and op to those")
    return rules


def _spotlight(option: str, value: object) -> str | None:
    """True is the sidecar's own address, a string another one."""
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        return value
    if not isinstance(value, bool) and not (isinstance(value, str) and value.strip().lower() in _TRUE | _FALSE):
        raise _wrong(option, value, "True, False or a URL")
    return DEFAULT_SPOTLIGHT_URL if _flag(option, value) else None


def _org_id(option: str, value: object) -> str:
    return _text(option, str(value) if isinstance(value, int) else value)


@dataclass(frozen=True, slots=True)
class OptionRow:
    """How one option is read: its check, and the variables that stand in for it, first one wins."""

    check: Callable[[str, object], object]
    environment: tuple[str, ...]


def _option(default: T, check: Callable[[str, object], T], *variables: str) -> T:
    """Make a row of the table `Options`; the type, the default and what the check returns agree."""
    return field(default=default, metadata={_ROW: OptionRow(check, variables)})


# ruff: noqa: RUF009 - `_option` makes a field, as `dataclasses.field` does
@dataclass(frozen=True, slots=True)
class Options:
    """The options in force, and the table of all there are: type, default, check and variables.

    `InitOptions` says what each one means.
    """

    dsn: Dsn | None = _option(None, _dsn, "SENTRY_DSN")
    traces_sample_rate: float | None = _option(None, _rate, "SENTRY_TRACES_SAMPLE_RATE")
    traces_sampler: TracesSampler | None = _option(None, _callable)
    sampler: Sampler | None = _option(None, _with_method("should_sample"))
    tracer_provider: TracerProvider | None = _option(None, _with_method("get_tracer"))
    span_processors: Sequence[SpanProcessor] = _option((), _processors)
    # Instrumentors, and "auto" for all that are installed.
    instrumentations: Sequence[Instrumentor | Literal["auto"]] = _option(
        (), _instrumentations, INSTRUMENTATIONS_VARIABLE
    )
    resource: Resource | None = _option(None, _anything)
    environment: str = _option("production", _text, "SENTRY_ENVIRONMENT")
    release: str | None = _option(None, _text, "SENTRY_RELEASE")
    dist: str | None = _option(None, _text)
    server_name: str | None = _option(None, _text)
    org_id: str | None = _option(None, _org_id)
    trace_propagation_targets: Sequence[str | re.Pattern[str]] | None = _option(None, _targets)
    strict_trace_continuation: bool = _option(False, _flag)
    trust_upstream: bool = _option(True, _flag)
    sample_rate: float = _option(1.0, _rate)
    before_send: Hook | None = _option(None, _callable)
    before_send_transaction: Hook | None = _option(None, _callable)
    before_send_span: Callable[[Payload], Payload] | None = _option(None, _callable)
    before_breadcrumb: Hook | None = _option(None, _callable)
    max_breadcrumbs: int = _option(100, _count)
    max_spans: int = _option(1000, _count)
    ignore_spans: Sequence[Rule] = _option((), _rules)
    trace_lifecycle: Literal["static", "stream", "none"] = _option("static", _lifecycle, "SENTRY_TRACE_LIFECYCLE")
    transport: object = _option(None, _transport)
    http_client: httpx.Client | None = _option(None, _with_method("send", "close"))
    send_client_reports: bool = _option(True, _flag)
    send_default_pii: bool = _option(False, _flag)
    shutdown_timeout: float = _option(2.0, _seconds)
    spotlight: str | None = _option(None, _spotlight, "SENTRY_SPOTLIGHT")
    console: bool = _option(False, _flag, "BRIDGE_CONSOLE")
    patch_threads: bool = _option(True, _flag)
    capture_span_exceptions: bool = _option(False, _flag, "BRIDGE_CAPTURE_SPAN_EXCEPTIONS")
    debug: bool = _option(False, _flag, "SENTRY_DEBUG")
    sentry_sdk: Literal[False] | None = _option(None, _only_false)
    fold: bool = _option(True, _flag)
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def tracing_enabled(self) -> bool:
        """Whether anything decides about spans; neither rate nor sampler set means tracing is off."""
        return self.traces_sample_rate is not None or self.traces_sampler is not None or self.sampler is not None

    @property
    def decides_for_sentry(self) -> bool:
        """Whether there is a Sentry rate or sampler."""
        return self.traces_sample_rate is not None or self.traces_sampler is not None

    @property
    def decides_twice(self) -> bool:
        """Whether Sentry's rate or sampler decides beside another sampler that was given."""
        return self.decides_for_sentry and self.sampler is not None

    @property
    def effective_org_id(self) -> str | None:
        """The organisation: option `org_id`, else what the DSN's host says."""
        return self.org_id or (self.dsn.org_id if self.dsn is not None else None)


ROWS: Mapping[str, OptionRow] = {
    option.name: option.metadata[_ROW] for option in fields(Options) if _ROW in option.metadata
}

# What OpenTelemetry's resource says where neither an argument nor a Sentry variable did.
RESOURCE_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "release": ("service.version",),
    "environment": ("deployment.environment.name", "deployment.environment"),
}


def resolve(arguments: Data, environ: Mapping[str, str] | None = None) -> Options:
    """Make `Options` of `init`'s arguments, then `SENTRY_*`, then `OTEL_*`, then defaults.

    An argument that is `None` and a variable that is empty count as unset. Raises `TypeError` for an option that
    does not exist, naming the nearest one, and `ValueError` for a value that cannot be used.
    """
    environ = os.environ if environ is None else environ
    values: Payload = {}
    sources: dict[str, str] = {}
    for name in arguments:
        if name not in ROWS:
            raise TypeError(f"bridge.init: there is no option {name!r}{_nearest(name)}")
    for name, row in ROWS.items():
        given = arguments.get(name)
        source = "argument"
        if given is None or (given == "" and isinstance(given, str)):
            source, given = _from_environment(name, environ)
        if given is not None:
            values[name] = row.check(name if source == "argument" else f"{name} ({source})", given)
            sources[name] = source
    return Options(**values, sources=sources)


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, ROWS, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(ROWS)}"


def without_unusable(environ: Mapping[str, str]) -> tuple[dict[str, str], list[ValueError]]:
    """Return the environment without the variables that `resolve` would refuse, and why it would."""
    usable, refused = dict(environ), []
    for name, row in ROWS.items():
        source, given = _from_environment(name, usable)
        while given is not None:
            try:
                row.check(f"{name} ({source})", given)
                break
            except ValueError as error:
                refused.append(error)
            del usable[source]
            source, given = _from_environment(name, usable)
    return usable, refused


def _from_environment(name: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    for variable in ROWS[name].environment:
        if environ.get(variable, "").strip():
            return variable, environ[variable].strip()
    rate = environ.get(_OTEL_TRACES_SAMPLER_ARG, "").strip()
    if name == "traces_sample_rate" and rate and environ.get(OTEL_TRACES_SAMPLER, "").strip() == OUR_NAME:
        return _OTEL_TRACES_SAMPLER_ARG, rate
    return _from_resource(name, environ)


def _from_resource(name: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    attributes = dict(
        pair.split("=", 1) for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",") if "=" in pair
    )
    for attribute in RESOURCE_ATTRIBUTES.get(name, ()):
        if attributes.get(attribute, "").strip():
            return "OTEL_RESOURCE_ATTRIBUTES", attributes[attribute].strip()
    return "default", None
