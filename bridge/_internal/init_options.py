"""What `init` takes, typed and explained: for type checkers, for editors and for docs/configuration.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict

if TYPE_CHECKING:
    import re

    import httpx
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import TracerProvider

Hook = Callable[[dict[str, Any], dict[str, Any]], "dict[str, Any] | None"]
Rule: TypeAlias = "str | re.Pattern[str] | Mapping[str, str | re.Pattern[str]]"
TracesSampler = Callable[[dict[str, Any]], "float | bool | None"]


class Instrumentor(Protocol):
    """What OpenTelemetry's instrumentors have in common."""

    def instrument(self, *, tracer_provider: TracerProvider | None = None, **options: Any) -> None:
        """Instrument a library."""

    def uninstrument(self) -> None:
        """Leave the library as it was."""


class InitOptions(TypedDict, total=False):
    """What `init` takes beside the DSN; `None` is unset.

    Below each option: what it takes, in one sentence, then what it does.
    """

    traces_sample_rate: float | None
    """A number from 0.0 to 1.0. The share of traces that are recorded, where the service is the first of the trace or
    its upstream left the decision open. Not set, with neither of the samplers: tracing is off; traces are still
    continued and passed on. With a provider that is not the bridge's own, the provider's sampler decides, and this only
    turns tracing on; see limits.md."""

    traces_sampler: TracesSampler | None
    """A callable. Given what is known of a root span, it returns `True`, `False`, a rate, or `None` to leave the
    decision to the next rule; see "Who decides" in propagation.md."""

    sampler: Sampler | None
    """An object with should_sample(): an OpenTelemetry sampler. It decides for both sides; with a rate or sampler of
    Sentry's beside it, for OpenTelemetry's side only."""

    tracer_provider: TracerProvider | None
    """An object with get_tracer(): a provider of the OpenTelemetry SDK. It is adopted, with its
    sampler, its processors and the tracers that it made, and becomes the global one where there is none. Default: the
    global provider if there is one, else the bridge's own."""

    span_processors: Sequence[SpanProcessor]
    """A list or a tuple of OpenTelemetry span processors, each an object with on_start(), on_end(), shutdown(),
    force_flush(). They are added to the provider, and taken off when the client is closed."""

    instrumentations: Literal["auto"] | Sequence[Any]
    """A list or a tuple of OpenTelemetry instrumentors, each an object with instrument(), uninstrument(); or 'auto',
    which the list may hold as well. They are put in force, and taken off when the client is closed. With `"auto"` all
    that are installed are, each when the library that it is for is imported; see zero-code.md."""

    resource: Resource | None
    """An OpenTelemetry resource. What the process is; sent with each span. Default: OpenTelemetry's, which reads
    `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`."""

    environment: str | None
    """A string. Where the program runs: `production`, `staging`."""

    release: str | None
    """A string. Which version of the program runs."""

    dist: str | None
    """A string. Which build of the release."""

    server_name: str | None
    """A string. Which machine. Default: the host's name."""

    org_id: str | int | None
    """A string, or a whole number. The organisation whose traces are continued. Default: what the DSN's host says
    (`o123.`)."""

    trace_propagation_targets: Sequence[str | re.Pattern[str]] | None
    """A list or a tuple of strings and compiled patterns. Only requests whose URL holds one of the strings, or in whose
    URL one of the patterns is found, get Sentry's headers. Not set: all requests; `[]`: none."""

    strict_trace_continuation: bool
    """True or False. Also refuse to continue a trace if only one side says its organisation."""

    trust_upstream: bool
    """True or False. False is for a service that the public reaches: incoming headers decide nothing, each request is a
    new trace, and its root is linked to the sender's span."""

    sample_rate: float
    """A number from 0.0 to 1.0. The share of errors and messages that are sent."""

    before_send: Hook | None
    """A callable. Given each error and message as `(event, hint)`, on the thread that captures it; returns what to
    send, `None` to drop it."""

    before_send_transaction: Hook | None
    """A callable. Given each transaction as `(event, hint)`, on the worker's thread; returns what to send, `None` to
    drop it. Not asked where spans are streamed."""

    before_send_span: Callable[[dict[str, Any]], dict[str, Any]] | None
    """A callable. Given each span below a root, on the worker's thread, and the root too where spans are streamed;
    returns what to send. It cannot drop a span: `ignore_spans` does."""

    before_breadcrumb: Hook | None
    """A callable. Given each breadcrumb as `(crumb, hint)`; returns what to keep, `None` to drop it."""

    max_breadcrumbs: int
    """A whole number of 0 or more. How many breadcrumbs a scope keeps; the oldest go first."""

    max_spans: int
    """A whole number of 0 or more. How many finished children a root keeps for its transaction; what is over is
    counted as `buffer_overflow`. No limit where spans are streamed."""

    ignore_spans: Sequence[Rule]
    """A list or a tuple of strings, compiled patterns and mappings of name and op to those. Spans that one of the rules
    meets are not sent: a string is part of the name, a pattern is found in it, a mapping wants all that it names.
    Children of an ignored span become its parent's; an ignored root of a transaction takes all of it along."""

    trace_lifecycle: Literal["static", "stream", "none"]
    """One of static, stream, none. How spans are sent: as transactions when their root ends, by themselves as they
    end, or not by the bridge; see delivery.md."""

    transport: Any
    """An object with send(), flush(), close(), or a callable. It is given each `Envelope` instead of the HTTP
    transport, on the worker's thread, and needs no DSN."""

    http_client: httpx.Client | None
    """An object with send(), close(): an `httpx.Client`. It carries the envelopes, with its proxies and
    certificates."""

    send_client_reports: bool
    """True or False. Tell the server what was not sent, and why."""

    send_default_pii: bool
    """True or False. Send what may tell about persons or hold secrets: the local variables of stack frames, and
    attributes whose names sound like secrets."""

    shutdown_timeout: float
    """A number of seconds, 0 or more. How long `flush()`, `close()` and the end of the process wait for the rest to be
    sent."""

    spotlight: bool | str | None
    """True, False or a URL. Send a copy of each envelope to a local Spotlight; `True` is
    `http://localhost:8969/stream`."""

    console: bool
    """True or False. Print each finished trace as a tree to standard error, with its errors, as hooks left it; what
    they dropped is a line. Needs no DSN."""

    patch_threads: bool
    """True or False. Let `threading.Thread` and `ThreadPoolExecutor` carry the context."""

    capture_span_exceptions: bool
    """True or False. Send each exception that is recorded on a span (`record_exception`, or one that leaves a span's
    block) as an error, once."""

    debug: bool
    """True or False. Log what the bridge does to stderr, by the logger `bridge`."""
