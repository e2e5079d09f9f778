"""A client for a block, or a test, that keeps what it would have sent."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import Resource

from bridge._internal import active, api
from bridge._internal.console.tree import in_order, sent_span, with_events
from bridge._internal.context.propagation_context import continue_for_process
from bridge._internal.otel_private import (
    global_tracer_provider,
    set_resource,
    set_tracer_provider,
    tracer_provider_is_fixed,
)
from bridge._internal.tracing.provider import TracerProvider
from bridge.testing.clock import going_by
from bridge.testing.ids import IdSource
from bridge.testing.isolation import isolated
from bridge.testing.outline import FIELDS, names, outline
from bridge.testing.transport import CapturingTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from typing_extensions import Unpack

    from bridge._internal.client import Client
    from bridge._internal.console.tree import SentSpan
    from bridge._internal.delivery.envelope import Envelope
    from bridge._internal.init_options import InitOptions

NOWHERE = "http://public@127.0.0.1:9/1"
_DECIDING = ("traces_sample_rate", "traces_sampler", "sampler")


class BridgeCapture:
    """What the fixture `bridge_capture` and `capture()` give: a client of its own and all that it sends."""

    def __init__(self, transport: CapturingTransport, ids: IdSource) -> None:
        self.transport = transport
        self._ids = ids
        self._client = api.get_client()
        self._is_in_force = True

    @property
    def client(self) -> Client:
        """The client that sends here, or did so last: that of the last `init`."""
        if self._is_in_force and api.is_initialized():
            self._client = api.get_client()
        return self._client

    def _end(self) -> None:
        self._client = self.client
        self._is_in_force = False

    @property
    def envelopes(self) -> list[Envelope]:
        """What was sent, in order."""
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
        """Every span that was sent, the roots included, in order of start."""
        return [span.payload for span in self._spans()]

    def _spans(self) -> list[SentSpan]:
        return in_order(map(sent_span, self.transport.spans), self._ids.order_of)

    def tree(self) -> list[Any]:
        """Return the names of everything sent, each followed by the list of what is below it, if anything is.

        `["checkout", ["load cart", "pay", ["charge card"]]]` is a root with two children, the second with one.
        Siblings are in the order of their start.
        """
        return names(with_events(self._spans(), [])[0])

    def outline(self, *fields: str) -> str:
        """Return everything sent as indented lines: a span each, and beneath it the errors and messages of it.

        `fields` are shown beside the name where a span has them: `op`, `status` (unless it is `ok`), `tags`,
        `measurements`, `origin`, `duration`, or the name of an attribute; without any: op, status and tags.
        """
        return outline(*with_events(self._spans(), self.events), fields or FIELDS)

    def span(self, name: str) -> dict[str, Any]:
        """Return the one span of this name; an `AssertionError` that shows everything sent if there is not just one."""
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
        if not self._is_in_force or used in (global_tracer_provider(), chosen):
            return ""
        return "\n(another tracer provider was made global after this capture had begun: its spans are not sent here)"

    def headers(self) -> dict[str, str]:
        """Return what would be injected now."""
        return api.trace_headers()

    def clear(self) -> None:
        """Forget what was sent so far."""
        self.transport.clear()


class _Arguments:
    """What has the last word on the arguments of `init` while a capture is in force."""

    def __init__(self, told: Mapping[str, Any], transport: CapturingTransport, ids: IdSource) -> None:
        self._told = told
        self._transport = transport
        self._ids = ids

    def __call__(self, said: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the arguments to go by: what the capture was told, then what `init` was, then all is sampled."""
        given = {name: value for name, value in said.items() if value is not None}
        arguments: dict[str, Any] = {"dsn": NOWHERE, **given, "spotlight": False, **self._told}
        if "traces_sample_rate" not in self._told:
            deciding = [name for name in _DECIDING if arguments.get(name) is not None]
            if not deciding or "traces_sample_rate" in deciding:
                arguments["traces_sample_rate"] = 1.0
        arguments["transport"] = self._told.get("transport") or self._transport
        arguments.pop("http_client", None)
        self._ids.take(_provider_for(arguments.get("tracer_provider")))
        return arguments


def _provider_for(given: Any) -> Any:
    """Return the provider that `init` will use. Where nobody set one it is the same one in each capture.

    So a tracer that an application asked for in the first test still works in the next. OpenTelemetry takes a global
    provider that the application sets in its place, as it would without a capture.
    """
    if given is not None:
        if global_tracer_provider() is _Provider.kept and not tracer_provider_is_fixed():
            set_tracer_provider(None, fixed=False)
        return given
    if global_tracer_provider() is None:
        set_tracer_provider(_Provider.renewed(), fixed=False)
    return global_tracer_provider()


class _Provider:
    """The provider of captures."""

    kept: TracerProvider | None = None

    @classmethod
    def renewed(cls) -> TracerProvider:
        """Return it as good as new."""
        if cls.kept is None:
            cls.kept = TracerProvider(shutdown_on_exit=False)
        set_resource(cls.kept, Resource.create())
        return cls.kept


_open: list[object] = []  # the captures that are in force, the innermost last


@contextmanager
def _nesting() -> Iterator[None]:
    """Say so where captures overlap: what each found would be put back in the wrong order."""
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
    """Initialise a client that keeps what it sends, with every trace sampled unless told otherwise, for a block.

    `options` are those of `bridge.init`; a `transport` among them takes what is sent in place of what is given here.
    `ids` makes trace and span ids, in sequence by default; `clock` tells nanoseconds since the epoch. An `init` inside
    the block, of an application say, sends here too; what this was told wins over what that says. Afterwards the
    process is as it was before: client, tracer provider, propagator, Context, scopes, patches. Captures may be nested,
    but not overlap.
    """
    told: dict[str, Any] = dict(options) if dsn is None else {"dsn": dsn, **options}
    transport, source = CapturingTransport(), IdSource(ids)
    arguments = _Arguments(told, transport, source)
    with ExitStack() as stack:
        stack.enter_context(_nesting())
        stack.enter_context(isolated(active.client))
        stack.enter_context(source.in_force())
        stack.enter_context(going_by(clock))
        stack.callback(active.set_amend, active.set_amend(arguments))
        stack.callback(api.close)
        api.init()
        continue_for_process(None)  # a trace of the machine that runs the tests is none of theirs
        captured = BridgeCapture(transport, source)
        stack.callback(captured._end)
        yield captured
