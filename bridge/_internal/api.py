"""What a user calls. Nothing here holds state: it asks the active client, or does nothing where there is none."""

from __future__ import annotations

import html
import inspect
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar, overload

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.context.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind

from bridge._internal import active, install
from bridge._internal.client import Client
from bridge._internal.context.context_values import active_span, attached, with_span, without_span
from bridge._internal.context.scope import (
    Scope,
    ScopeData,
    base_scopes,
    current_isolation_scope,
    current_scope,
    current_scopes,
    find_scopes,
    global_scope,
    with_scopes,
)
from bridge._internal.dsn import Dsn
from bridge._internal.foreign.span_view import SpanView, span_view
from bridge._internal.guard import guard
from bridge._internal.options import Options
from bridge._internal.otel_private import kept_attributes
from bridge._internal.propagation.propagator import SentryPropagator
from bridge._internal.tracing.block_error import record_block_error, record_block_error_as_otel
from bridge._internal.tracing.decorator import decorate
from bridge._internal.tracing.light_spans import NO_OP
from bridge._internal.tracing.provider import Tracer, with_op_and_source
from bridge._internal.tracing.span import ORIGIN_MANUAL, Span
from bridge._internal.version import USER_AGENT
from bridge._internal.wire.baggage import BAGGAGE
from bridge._internal.wire.carrier import read_headers
from bridge._internal.wire.sentry_trace import SENTRY_TRACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from opentelemetry.trace import Link
    from opentelemetry.util import types
    from typing_extensions import Unpack

    from bridge._internal.init_options import InitOptions

F = TypeVar("F")
P = ParamSpec("P")
_NO_CLIENT = Client(Options())


class _Current:
    """The default of `parent=`: the active span."""

    def __repr__(self) -> str:
        return "<the active span>"


CURRENT = _Current()
Parent = Span | trace_api.Span | SpanContext | Context | None


def init(dsn: str | None = None, **options: Unpack[InitOptions]) -> Client:
    """Set the bridge up for this process and return its client.

    Every option is optional; argument > `SENTRY_*` variable > `OTEL_*` variable > default. Without a DSN everything
    is live but nothing is sent to Sentry. A second call replaces the first client. Raises `TypeError` for an option
    that does not exist and `ValueError` for a value that cannot be used, before anything is changed.
    """
    return install.init({"dsn": dsn, **options})


def get_client() -> Client:
    """Return the client that `init` made, or one that does nothing."""
    return active.client or _NO_CLIENT


def is_initialized() -> bool:
    """Whether `init` was called, and `close` was not since."""
    return active.client is not None


def flush(timeout: float | None = None) -> bool:
    """Wait until everything recorded so far was sent; `timeout` in seconds. `True` if it was."""
    return get_client().flush(timeout)


class OtlpEndpoint(NamedTuple):
    """Where Sentry takes OpenTelemetry's own protocol: the arguments of OpenTelemetry's `OTLPSpanExporter`."""

    endpoint: str
    headers: dict[str, str]


def otlp_endpoint(dsn: str | None = None) -> OtlpEndpoint:
    """Return URL and headers of Sentry's OTLP/HTTP traces endpoint: for the DSN, or for the active client's.

    For OpenTelemetry's own exporter, or for a Collector's `otlphttp` exporter (`traces_endpoint`). Raises `ValueError`
    for a DSN that cannot be used, or where there is none.
    """
    where = get_client().dsn if dsn is None else Dsn.parse(dsn)
    if where is None:
        raise ValueError("bridge.otlp_endpoint: no DSN was given, and the active client has none")
    return OtlpEndpoint(where.otlp_traces_url, {"X-Sentry-Auth": where.auth_header(USER_AGENT)})


def close(timeout: float | None = None) -> None:
    """Send what there is, at most `timeout` seconds, and take the bridge off; `init` may follow."""
    install.close(timeout)


# Spans.


def start_span(
    name: str,
    *,
    op: str | None = None,
    attributes: types.Attributes = None,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: Parent | _Current = CURRENT,
    links: Sequence[Link] | None = None,
    start_time: int | None = None,
    sampled: bool | None = None,
    origin: str = ORIGIN_MANUAL,
    source: str | None = None,
) -> Span:
    """Start a span now: active inside `with`, ended with the block; `.end()` alone is legal too.

    `parent=None` starts a new root; a `Span`, a `SpanContext` or a `Context` is a parent from elsewhere. `start_time`
    in nanoseconds since the epoch. `sampled` decides for a root. Always a span: one that does not record where the
    trace is not sampled, tracing is suppressed or `init` was not called.
    """
    client = active.client
    if client is None:
        return NO_OP
    tracer = client.tracer
    if type(tracer) is Tracer:
        context = None if parent is CURRENT else _context_for(parent)
        span = tracer.begin(name, context, kind, attributes, links, start_time, True, True, op, source, origin, sampled)
        if span is not NO_OP:  # which all share: it keeps no token
            span._activates = True
        return span
    with guard("tracing", "a span could not be started"):
        given = with_op_and_source(attributes, op, source)
        made = tracer.start_span(name, _context_for(parent), kind, given, links, start_time)
        if (kept := kept_attributes(made)) is not None:
            kept.begin_with(op, source)
        span_view = SpanView(made, activates=True)
        if attributes:
            span_view.note_user_attributes(attributes)
        return span_view
    return NO_OP


def _with_parameters_of(func: Callable[P, Span]) -> Callable[[Callable[..., Span]], Callable[P, Span]]:
    """Give a function the parameters of another one that it passes everything on to: for readers and type checkers."""

    def declare(forwarding: Callable[..., Span]) -> Callable[P, Span]:
        vars(forwarding)["__signature__"] = inspect.signature(func)
        return forwarding

    return declare


@_with_parameters_of(start_span)
def start_inactive_span(*args: Any, **kwargs: Any) -> Span:
    """Start a span as `start_span` does, with the same arguments, but never make it active; `with` only ends it."""
    span = start_span(*args, **kwargs)
    if span is not NO_OP:
        span._activates = False
    return span


def _context_for(parent: Parent | _Current) -> Context | None:
    return None if isinstance(parent, _Current) else _context_of(parent)


def _context_of(parent: Parent) -> Context:
    """Return the Context that a span with this parent starts under."""
    if isinstance(parent, Context):
        return parent
    current = context_api.get_current()
    if parent is None:
        scopes = current_scopes()
        own = scopes.under(None)
        return with_scopes(without_span(current), own)
    if isinstance(parent, SpanContext):
        return with_span(current, NonRecordingSpan(parent))
    return with_span(current, parent.viewed if isinstance(parent, Span) else parent)


class _TracedCall:
    """The span of one call of a function that is decorated with `@trace`."""

    __slots__ = ("_attributes", "_name", "_op")

    def __init__(self, name: str, op: str | None, attributes: types.Attributes) -> None:
        self._name = name
        self._op = op
        self._attributes = attributes

    def start(self) -> trace_api.Span:
        """Start the span."""
        return start_inactive_span(self._name, op=self._op, attributes=self._attributes).viewed

    def end(self, span: trace_api.Span, error: BaseException | None) -> None:
        """Record what left the function, if it is an error, and end the span."""
        if error is not None:
            record_block_error(span, error)
        span.end()


@overload
def trace(name: F, /) -> F: ...
@overload
def trace(
    name: str | None = None, *, op: str | None = None, attributes: types.Attributes = None
) -> Callable[[F], F]: ...
def trace(name: Any = None, *, op: str | None = None, attributes: types.Attributes = None) -> Any:
    """Decorate a function, of any kind, with a span around each call: `@trace` or `@trace("name", op="task")`.

    Sync, async, generators and async generators, over or under `classmethod` and `staticmethod`. The name is the
    qualified name of the function unless given. With no span active the call is a root. In generators the span is
    active in the body at every step, and never in the caller's code between steps. Raises `TypeError` for a class.
    """
    if name is not None and not isinstance(name, str):
        return _traced(name, None, op, attributes)
    return lambda func: _traced(func, name, op, attributes)


def _traced(func: F, name: str | None, op: str | None, attributes: types.Attributes) -> F:
    inner = func.__func__ if isinstance(func, classmethod | staticmethod) else func
    call = _TracedCall(name or str(getattr(inner, "__qualname__", "call")), op, attributes)
    return decorate(func, lambda: call)


@contextmanager
def use_span(span: trace_api.Span | None, end_on_exit: bool = False) -> Iterator[trace_api.Span | None]:
    """Make a span active for a block; `None` is no active span.

    An exception that leaves the block is recorded on the span: on a span of another provider as OpenTelemetry's own
    `use_span` does.
    """
    behind = span.viewed if isinstance(span, Span) else span
    context = _context_of(None) if behind is None else with_span(context_api.get_current(), behind)
    try:
        with attached(context):
            yield span
    except BaseException as error:
        if isinstance(span, Span):
            record_block_error(span.viewed, error)
        elif span is not None:
            record_block_error_as_otel(span, error)
        raise
    finally:
        if end_on_exit and span is not None:
            span.end()


@contextmanager
def continue_trace(headers: Mapping[Any, Any] | Sequence[tuple[Any, Any]]) -> Iterator[None]:
    """Continue the trace of an incoming request or job for a block, in an isolation scope of its own.

    `headers`: a mapping of `str`, `bytes` or lists, in any case, or pairs of them, as messages and ASGI have, or
    `os.environ`. Without usable headers the block gets a fresh trace. All is as before on exit.
    """
    carrier: dict[str, str] = {}
    with guard("propagation", "headers could not be read"):
        carrier = read_headers(headers)
    extracted = _propagator().extract(carrier, _context_of(None))
    with attached(extracted):
        yield


def _propagator() -> SentryPropagator:
    client = active.client
    return _DETACHED_PROPAGATOR if client is None else client.propagator


_DETACHED_PROPAGATOR = SentryPropagator()


def get_current_span() -> Span | None:
    """Return the active local span, of either API, ended or not; `None` if there is none, or a remote parent only."""
    span = active_span(context_api.get_current())
    return None if span is None else span_view(span)


def get_root_span(span: Span | None = None) -> Span | None:
    """Return the local root above a span, or above the active one."""
    found = get_current_span() if span is None else span
    return None if found is None else found.root_span


def trace_headers(span: trace_api.Span | None = None) -> dict[str, str]:
    """Return what would be injected now: `sentry-trace`, `baggage`, `traceparent`, `tracestate`.

    Put it on a message, into a job, or into the environment of a process. Empty where `init` was not called.
    """
    headers: dict[str, str] = {}
    if (client := active.client) is not None:
        client.propagator.inject(headers, None if span is None else _context_of(span))
    return headers


def get_traceparent() -> str | None:
    """Return the value of the `sentry-trace` header that would be injected now."""
    return trace_headers().get(SENTRY_TRACE)


def get_baggage() -> str | None:
    """Return the value of the `baggage` header that would be injected now."""
    return trace_headers().get(BAGGAGE)


def trace_meta_tags() -> str:
    """Return HTML `<meta>` tags that let a page continue this trace, escaped."""
    headers = trace_headers()
    return "".join(
        f'<meta name="{name}" content="{html.escape(headers[name])}">'
        for name in (SENTRY_TRACE, BAGGAGE)
        if name in headers
    )


# Scopes.


def get_global_scope() -> Scope:
    """Return the scope that is under everything this process sends."""
    return global_scope()


def get_isolation_scope() -> Scope:
    """Return the isolation scope, shared by everything that runs for the current request or job."""
    return current_isolation_scope()


def get_current_scope() -> Scope:
    """Return a live view of the current scope: it writes to what is current where it is used."""
    return current_scope()


def set_tag(key: str, value: Any) -> None:
    """Set a tag on the isolation scope."""
    current_isolation_scope().set_tag(key, value)


def set_tags(tags: Mapping[str, Any]) -> None:
    """Set tags on the isolation scope."""
    current_isolation_scope().set_tags(tags)


def set_user(user: Mapping[str, Any] | None) -> None:
    """Set the user on the isolation scope; `None` unsets."""
    current_isolation_scope().set_user(user)


def set_context(key: str, value: Mapping[str, Any]) -> None:
    """Set a named block of data on the isolation scope."""
    current_isolation_scope().set_context(key, value)


def set_extra(key: str, value: Any) -> None:
    """Set a value of the extra data on the isolation scope."""
    current_isolation_scope().set_extra(key, value)


def set_level(level: str | None) -> None:
    """Set the level on the isolation scope."""
    current_isolation_scope().set_level(level)


def set_attribute(key: str, value: Any) -> None:
    """Set an attribute on the isolation scope."""
    current_isolation_scope().set_attribute(key, value)


def set_attributes(attributes: Mapping[str, Any]) -> None:
    """Set attributes on the isolation scope."""
    current_isolation_scope().set_attributes(attributes)


def add_breadcrumb(
    crumb: Mapping[str, Any] | None = None,
    hint: Mapping[str, Any] | None = None,
    *,
    message: str | None = None,
    category: str | None = None,
    level: str | None = None,
    data: Mapping[str, Any] | None = None,
    type: str | None = None,  # noqa: A002 - Sentry's name
    timestamp: float | None = None,
) -> None:
    """Add a breadcrumb to the isolation scope; `timestamp` in seconds since the epoch, now by default."""
    fields = {
        "message": message,
        "category": category,
        "level": level,
        "data": data,
        "type": type,
        "timestamp": timestamp,
    }
    given = {key: value for key, value in fields.items() if value is not None}
    current_isolation_scope().add_breadcrumb(crumb, hint, **given)


# Capture.


def capture_exception(
    error: BaseException | None = None,
    *,
    hint: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    contexts: Mapping[str, Mapping[str, Any]] | None = None,
    extra: Mapping[str, Any] | None = None,
    user: Mapping[str, Any] | None = None,
    level: str | None = None,
    fingerprint: Sequence[str] | None = None,
) -> str | None:
    """Send an exception, the one being handled by default; returns the event's id, `None` if nothing was sent.

    It links to the innermost span that the exception came through, else to the active one. The same exception object
    is sent once for a trace. What is given here wins over the scopes.
    """
    handled = sys.exc_info()[1] if error is None else error
    if handled is None:
        return None
    call = _call_data(tags, contexts, extra, user, level, fingerprint)
    return get_client().errors.capture_exception(handled, hint, call)


def capture_message(
    message: str,
    level: str | None = None,
    *,
    hint: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    contexts: Mapping[str, Mapping[str, Any]] | None = None,
    extra: Mapping[str, Any] | None = None,
    user: Mapping[str, Any] | None = None,
    fingerprint: Sequence[str] | None = None,
) -> str | None:
    """Send a message; the level, when not given, is the scope's, else `info`. Returns the event's id, or `None`."""
    call = _call_data(tags, contexts, extra, user, level, fingerprint)
    return get_client().errors.capture_message(message, level, hint, call)


def capture_event(event: Mapping[str, Any], hint: Mapping[str, Any] | None = None) -> str | None:
    """Send an event of your own making; its values win over the scopes. Returns its id, or `None`."""
    return get_client().errors.capture_event(event, hint)


def _call_data(
    tags: Mapping[str, Any] | None,
    contexts: Mapping[str, Mapping[str, Any]] | None,
    extra: Mapping[str, Any] | None,
    user: Mapping[str, Any] | None,
    level: str | None,
    fingerprint: Sequence[str] | None,
) -> ScopeData:
    return ScopeData(
        tags=tags or {},
        contexts=contexts or {},
        extra=extra or {},
        user=user,
        level=level,
        fingerprint=fingerprint,
    )


def last_event_id() -> str | None:
    """Return the id of the last error or message sent from this isolation scope."""
    return (find_scopes(context_api.get_current()) or base_scopes()).isolation.last_event_id
