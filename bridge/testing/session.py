"""A client for a block or a test that keeps what it would send."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import Resource

from bridge._internal import active, api
from bridge._internal.console.tree import build_trees, sorted_spans, span_from_payload
from bridge._internal.context.propagation_context import continue_for_process
from bridge._internal.otel_private import (
    global_tracer_provider,
    set_resource,
    set_tracer_provider,
    tracer_provider_is_fixed,
)
from bridge._internal.tracing.provider import TracerProvider
from bridge.testing.clock import use_clock
from bridge.testing.ids import IdSource
from bridge.testing.isolation import isolated
from bridge.testing.outline import FIELDS, name_tree, outline
from bridge.testing.transport import CapturingTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from typing_extensions import Unpack

    from bridge._internal.client import Client
    from bridge._internal.console.tree import SentSpan
    from bridge._internal.delivery.envelope import Envelope
    from bridge._internal.init_options import InitOptions

UNREACHABLE_DSN = "http://public@127.0.0.1:9/1"
_SAMPLING_OPTIONS = ("traces_sample_rate", "traces_sampler", "sampler")


class BridgeCapture:
    """The result of `capture()` and of the fixture `bridge_capture`: a client and everything it sends."""

    def __init__(self, transport: CapturingTransport, ids: IdSource) -> None:
        self.transport = transport
        self._ids = ids
        self._client = api.get_client()
        self._is_active = True

    @property
    def client(self) -> Client:
        """The client of the last `init()`, which sends here, or did until the capture ended."""
        if self._is_active and api.is_initialized():
            self._client = api.get_client()
        return self._client

    def _end(self) -> None:
        self._client = self.client
        self._is_active = False

    @property
    def envelopes(self) -> list[Envelope]:
        """The sent envelopes, in order."""
        return self.transport.envelopes

    @property
    def transactions(self) -> list[dict[str, Any]]:
        """The transactions' payloads."""
        return self.transport.transactions

    @property
    def events(self) -> list[dict[str, Any]]:
        """The errors' and messages' payloads."""
        return self.transport.events

    @property
    def client_reports(self) -> list[dict[str, Any]]:
        """The client reports' payloads."""
        return self.transport.client_reports

    @property
    def spans(self) -> list[dict[str, Any]]:
        """All sent spans, roots included, in order of start."""
        return [span.payload for span in self._spans()]

    def _spans(self) -> list[SentSpan]:
        return sorted_spans(map(span_from_payload, self.transport.spans), self._ids.start_index)

    def tree(self) -> list[Any]:
        """Return the names of all sent spans, each followed by the list of its children, if any.

        `["checkout", ["load cart", "pay", ["charge card"]]]` is a root with two children, the second with one.
        Siblings are in the order of their start.
        """
        return name_tree(build_trees(self._spans(), [])[0])

    def outline(self, *fields: str) -> str:
        """Return everything sent as indented lines: one per span, with its errors and messages beneath.

        `fields` are shown beside the name if the span has them: `op`, `status` (unless it is `ok`), `tags`,
        `measurements`, `origin`, `duration`, or the name of an attribute. The default is op, status and tags.
        """
        return outline(*build_trees(self._spans(), self.events), fields or FIELDS)

    def span(self, name: str) -> dict[str, Any]:
        """Return the only span of this name; otherwise raise an `AssertionError` that shows everything sent."""
        __tracebackhide__ = True  # pytest shows the test's own line
        found = [span.payload for span in self._spans() if span.name == name]
        if len(found) == 1:
            return found[0]
        quantity = "no span is" if not found else f"{len(found)} spans are"
        raise AssertionError(
            f"{quantity} named {name!r}; what was sent:\n{self.outline() or '(nothing)'}{self._hint()}"
        )

    def _hint(self) -> str:
        used, chosen = self.client.tracer_provider, self.client.options.tracer_provider
        if not self._is_active or used in (global_tracer_provider(), chosen):
            return ""
        return "\n(another tracer provider was made global after this capture had begun: its spans are not sent here)"

    def headers(self) -> dict[str, str]:
        """Return the headers that would be injected now."""
        return api.trace_headers()

    def clear(self) -> None:
        """Discard everything sent so far."""
        self.transport.clear()


class _Arguments:
    """Overrides the arguments of every `init()` while a capture is active."""

    def __init__(self, overrides: Mapping[str, Any], transport: CapturingTransport, ids: IdSource) -> None:
        self._overrides = overrides
        self._transport = transport
        self._ids = ids

    def __call__(self, arguments_of_init: Mapping[str, Any]) -> Mapping[str, Any]:
        """Merge arguments: those of the capture, then those of `init()`, then a default that samples everything."""
        given = {name: value for name, value in arguments_of_init.items() if value is not None}
        arguments: dict[str, Any] = {"dsn": UNREACHABLE_DSN, **given, "spotlight": False, **self._overrides}
        if "traces_sample_rate" not in self._overrides:
            deciding = [name for name in _SAMPLING_OPTIONS if arguments.get(name) is not None]
            if not deciding or "traces_sample_rate" in deciding:
                arguments["traces_sample_rate"] = 1.0
        arguments["transport"] = self._overrides.get("transport") or self._transport
        arguments.pop("http_client", None)
        self._ids.replace_generator(_provider_for(arguments.get("tracer_provider")))
        return arguments


def _provider_for(given: Any) -> Any:
    """Return the provider that `init()` will use; without a global provider, one that all captures share.

    A tracer that an application obtained in one test therefore works in the next. The application may still set a
    global provider of its own, as it could without a capture.
    """
    if given is not None:
        if global_tracer_provider() is _Provider.shared and not tracer_provider_is_fixed():
            set_tracer_provider(None, fixed=False)
        return given
    if global_tracer_provider() is None:
        set_tracer_provider(_Provider.reset(), fixed=False)
    return global_tracer_provider()


class _Provider:
    """The provider that captures share."""

    shared: TracerProvider | None = None

    @classmethod
    def reset(cls) -> TracerProvider:
        """Return the shared provider in its initial state."""
        if cls.shared is None:
            cls.shared = TracerProvider(shutdown_on_exit=False)
        set_resource(cls.shared, Resource.create())
        return cls.shared


_open: list[object] = []  # active captures, innermost last


@contextmanager
def _refuse_overlap() -> Iterator[None]:
    """Raise `RuntimeError` if captures overlap, because their state would be restored in the wrong order."""
    own = object()
    _open.append(own)
    try:
        yield
    finally:
        innermost = _open[-1] is own
        _open.remove(own)
        if not innermost:
            raise RuntimeError("bridge.testing.capture: captures overlap, of two threads or tasks; a process has one")


@contextmanager
def capture(
    dsn: str | None = None,
    *,
    ids: IdGenerator | None = None,
    clock: Callable[[], int] | None = None,
    **options: Unpack[InitOptions],
) -> Iterator[BridgeCapture]:
    """Initialise a client that keeps what it sends for the block; by default every trace is sampled.

    An `init()` inside the block, e.g. the application's own, sends here too; options given here override its options.
    On exit the previous client, tracer provider, propagator, Context, scopes and patches are restored. Captures may
    be nested, but must not overlap.

    Args:
        dsn: The client's DSN; nothing is sent to it.
        ids: Generates trace and span ids; sequential by default.
        clock: Returns the time in nanoseconds since the epoch; the real time by default.
        options: Options of `bridge.init`; a `transport` among them receives the envelopes instead.
    """
    overrides: dict[str, Any] = dict(options) if dsn is None else {"dsn": dsn, **options}
    transport, source = CapturingTransport(), IdSource(ids)
    arguments = _Arguments(overrides, transport, source)
    with ExitStack() as stack:
        stack.enter_context(_refuse_overlap())
        stack.enter_context(isolated(active.client))
        stack.enter_context(source.installed())
        stack.enter_context(use_clock(clock))
        stack.callback(active.set_amend, active.set_amend(arguments))
        stack.callback(api.close)
        api.init()
        continue_for_process(None)  # a trace of the machine that runs the tests is none of theirs
        captured = BridgeCapture(transport, source)
        stack.callback(captured._end)
        yield captured
