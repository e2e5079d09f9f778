"""How the two SDKs live together: one world, linked only, or apart; chosen again whenever sentry-sdk gets a client."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import wrapt
from opentelemetry import context as context_api

from bridge._internal import active
from bridge._internal.context import scope as scopes_of
from bridge._internal.dsn import Dsn
from bridge._internal.foreign.span_processor import sentry_processors
from bridge._internal.guard import guard
from bridge._internal.sentry_sdk import active_span, capture, folding, private, setup, tracing, variables, wire
from bridge._internal.sentry_sdk.decision import sampler_by_sentry_sdk
from bridge._internal.sentry_sdk.delivery import SentrySdkSink
from bridge._internal.sentry_sdk.linked import Links
from bridge._internal.sentry_sdk.scopes import SharedKeeper, take_data
from bridge._internal.sentry_sdk.seams import Seam, Seams
from bridge._internal.sentry_sdk.setup import Setup
from bridge._internal.tracing.provider import TracerProvider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.context.context import Context
    from opentelemetry.trace import Span, SpanKind
    from opentelemetry.util import types

    from bridge._internal.client import Client
    from bridge._internal.context.scope import ScopeData
    from bridge._internal.foreign.span_processor import SentrySpanProcessor
    from bridge._internal.options import Options
    from bridge._internal.sampling.sampler import SentrySampler
    from bridge._internal.tracing.segment import SegmentSink

logger = logging.getLogger("bridge.sentry_sdk")

WORLD = "world"
LINKED = "linked"
APART = "apart"
ALONE = "alone"
"""sentry-sdk has no client: there is nothing to share."""
_OTEL_INTEGRATIONS = ("otlp", "opentelemetry")

SPAN_SEAMS = (
    Seam(private.Span, "finish", tracing.finish_span),
    Seam(private.Transaction, "finish", tracing.finish_transaction),
    Seam(private.Scope, "start_transaction", tracing.start_transaction),
    Seam(private.Scope, "start_span", tracing.start_span),
    Seam(private.Scope, "start_streamed_span", tracing.start_streamed_span),
    Seam(private.StreamedSpan, "_end", tracing.end_streamed_span),
    Seam(private.NoOpStreamedSpan, "_end", tracing.end_streamed_span),
    Seam(private.Scope, "iter_trace_propagation_headers", wire.iter_headers),
    Seam(private.Scope, "trace_propagation_meta", wire.write_page),
    Seam(private.PropagationContext, "from_incoming_data", wire.read_headers),
)
"""What is wrapped in a world only."""


@dataclass(frozen=True, slots=True)
class Mode:
    """How the two SDKs live together, and why not more closely."""

    name: str
    reasons: tuple[str, ...] = ()


def mode_of(client: Client, sdk: Any) -> Mode:
    """Return how a client of the bridge and one of sentry-sdk can live together."""
    if not sdk.is_active():
        return Mode(ALONE)
    reasons = (*private.misfits(), *_conflicts(client.options, sdk))
    if reasons:
        return Mode(APART, reasons)
    if private.has_tracing_enabled(sdk.options):
        return Mode(WORLD)
    return Mode(LINKED, ("sentry-sdk has neither traces_sample_rate nor traces_sampler",))


def _conflicts(options: Options, sdk: Any) -> Iterator[str]:
    if sdk.options.get("instrumenter") != "sentry":
        yield f"sentry-sdk has instrumenter={sdk.options.get('instrumenter')!r}"
    for name in _OTEL_INTEGRATIONS:
        if name in sdk.integrations:
            yield f"sentry-sdk's integration {name!r} takes OpenTelemetry's spans"
    if options.sources.get("transport") == "argument":
        yield "bridge.init was given a transport of its own"
    if options.dsn is not None and options.sources.get("dsn") == "argument":
        theirs = Dsn.parse(str(sdk.dsn)) if sdk.dsn else None
        if theirs != options.dsn:
            yield "bridge.init was given another DSN"


class Together:
    """The two SDKs while they share a world, or are linked: what the core asks of its guest (`active.Guest`)."""

    def __init__(self, client: Client, mode: Mode) -> None:
        self.client = client
        self.mode = mode
        self.sink = SentrySdkSink(client)
        self.setup = Setup(client, self.sink, decides=mode.name == WORLD)
        self.seams = Seams()
        self._links = Links(self.setup.options) if mode.name == LINKED else None

    @property
    def is_refused(self) -> bool:
        """Whether errors are not linked, as other code tells sentry-sdk of the trace."""
        return self._links is not None and self._links.is_refused

    def begin(self) -> None:
        """Take the seams."""
        own = scopes_of.find_scopes(context_api.get_current())
        setup.put_in_force(self.setup)
        variables.take()
        if self.mode.name == WORLD:
            active_span.take()
            self.seams.take(SPAN_SEAMS)
        clients = private.client_class()
        self.seams.take(Seam(clients, name, _flush_first) for name in ("flush", "close", "flush_async", "close_async"))
        keeper = SharedKeeper()
        own_global = scopes_of.global_scope()._read()
        scopes_of.keep_scopes_by(keeper)
        take_data(
            own_global, None if own is None else own.isolation._read(), None if own is None else own.read_current()
        )
        if self._links is not None:
            self._links.begin()
        self.refresh()
        active.share_with(self)

    def refresh(self) -> None:
        """Go by the options of the sentry-sdk client that there is now."""
        self.setup.forget()
        options = self.client.options = self.setup.options_of(private.main_client())
        if self.setup.decides:
            self._configure_provider(options, sampler_by_sentry_sdk(), self.sink, decides_beside=True)
        else:
            beside = self.setup.own.decides_twice
            self._configure_provider(options, self.client.sampler, self.sink, decides_beside=beside)

    def _configure_provider(
        self, options: Options, ours: SentrySampler, sink: SegmentSink | None, *, decides_beside: bool
    ) -> None:
        provider, given = self.client.tracer_provider, self.setup.own.sampler
        if not isinstance(provider, TracerProvider):
            for processor in _own_processors(provider):
                processor.serve(options, sink, ours)
        elif given is None:
            provider.configure(options, ours, sink)
        else:
            provider.configure(options, given, sink, ours if decides_beside else None)

    def end(self, timeout: float) -> None:
        """Give the seams back, and what is recorded to sentry-sdk."""
        self.client.sink.send_waiting()
        self.sink.worker.close(timeout)  # before the variables: sentry-sdk keeps a block open in each thread
        active.share_with(None)
        self.seams.give_back()
        if self._links is not None:
            self._links.end()
        scopes_of.keep_scopes_by(None)
        active_span.give_back()
        variables.give_back()
        setup.put_in_force(None)
        self.client.options = self.setup.own
        self._give_provider_back()

    def _give_provider_back(self) -> None:
        own, sink = self.setup.own, self.client.sink if self.client.sender.sends else None
        self._configure_provider(own, self.client.sampler, sink, decides_beside=own.decides_twice)

    # What the core asks.

    def options(self) -> Options:
        """Return what is in force for a root that starts here."""
        return self.setup.options()

    def fold(self, kind: SpanKind, attributes: types.Attributes, context: Context, *, is_current: bool) -> Span | None:
        """Return what stands for a span that sentry-sdk has started already, right above."""
        if not self.setup.folds:
            return None
        with guard("sentry_sdk", "a span could not be folded"):
            return folding.folded_into_theirs(kind, attributes, context, is_current=is_current)
        return None

    def has_begun(self, context: Context) -> bool:
        """Whether sentry-sdk has begun the request that headers are extracted of."""
        return self.setup.folds and folding.has_begun(context)

    def headers_written(self, span: Span) -> None:
        """Note that the headers of an outgoing request were written."""
        wire.note_headers(span)

    def carries_into_threads(self) -> bool:
        """Whether threads get the Context of their starter, which sentry-sdk's ThreadingIntegration may refuse."""
        return private.carries_into_threads()

    def capture_exception(self, error: BaseException, hint: Mapping[str, Any] | None, call: ScopeData) -> str | None:
        """Send an exception."""
        with guard("sentry_sdk", "an exception could not be captured"):
            return capture.capture_exception(error, hint, call)
        return None

    def capture_message(
        self, message: str, level: str | None, hint: Mapping[str, Any] | None, call: ScopeData
    ) -> str | None:
        """Send a message."""
        with guard("sentry_sdk", "a message could not be captured"):
            return capture.capture_message(message, level, hint, call)
        return None

    def capture_event(self, event: Mapping[str, Any], hint: Mapping[str, Any] | None, call: ScopeData) -> str | None:
        """Send an event."""
        with guard("sentry_sdk", "an event could not be captured"):
            return capture.capture_event(event, hint, call)
        return None

    def flush(self, timeout: float) -> bool:
        """Wait until everything recorded so far was handed to sentry-sdk, and that has sent it."""
        return self.sink.flush(timeout)


def _own_processors(provider: Any) -> list[SentrySpanProcessor]:
    return [found for found in sentry_processors(provider) if not found.serves_active]


def _flush_first(wrapped: Any, sdk: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Hand over what the bridge has recorded before sentry-sdk sends the rest, or stops."""
    with guard("sentry_sdk", "what was recorded could not be handed over in time"):
        timeout = args[0] if args else kwargs.get("timeout")
        together = _process.together
        if together is not None:
            together.client.sink.send_waiting()
            together.sink.worker.flush(sdk.options["shutdown_timeout"] if timeout is None else timeout)
    return wrapped(*args, **kwargs)


class _Process:
    """What there is of this in the process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # protects what follows
        self.client: Client | None = None
        self.mode = Mode(ALONE)
        self.together: Together | None = None
        self.watch: Any = None


_process = _Process()


def join(client: Client) -> None:
    """Share the world with sentry-sdk from now on, as closely as its clients allow."""
    with _process.lock:
        _process.client = client
        if _process.watch is None:
            _process.watch = wrapt.wrap_function_wrapper(private.Scope, "set_client", _set_client)
        _choose()


def leave(timeout: float) -> None:
    """Take everything off sentry-sdk that the bridge put there."""
    with _process.lock:
        _end(timeout)
        _process.client = None
        _process.mode = Mode(ALONE)
        if _process.watch is not None:
            try:
                wrapt.unwrap_object(private.Scope, "set_client", _process.watch, missing_ok=True)
            except wrapt.WrapperNotOutermostError:
                logger.debug("Scope.set_client is wrapped by somebody else; what is beneath passes calls on")
            _process.watch = None


def mode() -> Mode:
    """Return how the two SDKs live together now."""
    return _process.mode


def lost_seams() -> list[str]:
    """Return what was taken of sentry-sdk and has been put back, or around, by other code since."""
    together = _process.together
    if together is None:
        return []
    lost = together.seams.lost()
    if active_span.is_lost():
        lost.append("sentry_sdk.scope.Scope._span")
    return lost + variables.lost()


def is_refused_links() -> bool:
    """Whether other code tells sentry-sdk of the trace: in its place nothing can be registered."""
    together = _process.together
    return together is not None and together.is_refused


def together() -> Together | None:
    """Return what is in force, if the two are not apart."""
    return _process.together


def _set_client(wrapped: Any, scope: Any, args: Any, kwargs: Any) -> Any:
    answer = wrapped(*args, **kwargs)
    with guard("sentry_sdk", "how to live with sentry-sdk could not be chosen"), _process.lock:
        if _process.client is not None:
            _choose()
    return answer


def _choose() -> None:
    client, together = _process.client, _process.together
    assert client is not None
    sdk = private.main_client()
    if together is not None:
        client.options, client_options = together.setup.own, client.options
        chosen = mode_of(client, sdk)
        client.options = client_options
    else:
        chosen = mode_of(client, sdk)
    _process.mode = chosen
    if together is not None:
        if together.mode.name == chosen.name:
            together.refresh()
            return
        _end(client.options.shutdown_timeout)
    if chosen.name == APART:
        level = logging.WARNING if any(private.misfits()) else logging.INFO  # the others are choices
        logger.log(level, "the bridge and sentry-sdk stay apart: %s", "; ".join(chosen.reasons))
    elif chosen.name != ALONE:
        _process.together = Together(client, chosen)
        _process.together.begin()


def _end(timeout: float) -> None:
    together, _process.together = _process.together, None
    if together is not None:
        together.end(timeout)
