"""The trace of "now" where no span is active: sentry-sdk's propagation context, read and written by both SDKs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanContext, TraceFlags

from bridge._internal.context.propagation_context import PropagationContext
from bridge._internal.sampling.upstream import RemoteSpan, Upstream
from bridge._internal.sentry_sdk import private
from bridge._internal.wire.baggage import Dsc
from bridge._internal.wire.sample_rand import parse_sample_rand, parse_sample_rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge._internal.sentry_sdk.private import PropagationContext as SentrySdkPropagation
    from bridge._internal.sentry_sdk.private import Scope
    from bridge._internal.sentry_sdk.scopes import SharedIsolation


class UsedTraceId(str):
    """The id of a trace that a root has started: the next root starts another, wherever the context went meanwhile."""

    __slots__ = ()


class RemoteId(str):
    """The upstream's span id that knows all that headers told, of which sentry-sdk keeps a part."""

    __slots__ = ("remote",)

    remote: RemoteSpan

    @classmethod
    def of(cls, remote: RemoteSpan) -> RemoteId:
        """Return the id of an upstream's span."""
        made = cls(f"{remote.get_span_context().span_id:016x}")
        made.remote = remote
        return made

    def __reduce_ex__(self, protocol: Any) -> tuple[type[str], tuple[str]]:
        """Be plain text where something that holds it is copied or pickled."""
        return str, (str.__str__(self),)


class SharedPropagation(PropagationContext):
    """A view of the propagation context in force with two scopes: the current one's own, else the isolation's."""

    __slots__ = ("_current", "_isolation", "_shared")

    def __init__(self, current: Scope, isolation: SharedIsolation) -> None:
        self._current = current
        self._isolation = isolation.sdk
        self._shared = isolation

    @property
    def link(self) -> Any:
        """The span that the request's root is to be linked to, where it does not continue its trace."""
        return self._shared.link

    @link.setter
    def link(self, value: Any) -> None:
        self._shared.link = value

    def continues(self, remote: Any) -> bool:
        """Whether this continues the trace of the same upstream span, or neither continues any."""
        own = self.remote
        if remote is None or own is None:
            return remote is own
        return bool(remote.get_span_context() == own.get_span_context())

    @property
    def _scope(self) -> Scope:
        return self._current if self._current._propagation_context is not None else self._isolation

    @property
    def _sdk(self) -> SentrySdkPropagation:
        scope = self._scope
        if scope._propagation_context is None:
            scope._propagation_context = private.PropagationContext()
        return scope._propagation_context

    @property
    def remote(self) -> Any:
        """The upstream's span, while its trace is continued; else `None`."""
        return remote_of_propagation(self._sdk)

    @property
    def parent_of_process(self) -> Any:
        """The span that every root here starts under: what came in, in headers or in the environment."""
        return self.remote

    @property
    def trace_id(self) -> int:
        """The trace id."""
        return _number(self._sdk.trace_id, 128)

    @property
    def span_id(self) -> int:
        """A span id for headers and events outside of any span."""
        return _number(self._sdk.span_id, 64)

    def adopt(self, new_trace_id: Callable[[], int]) -> int:
        """Return the trace id for a root without a parent, and move to its trace."""
        found = self._sdk
        if type(found.trace_id) is UsedTraceId:
            scope = self._scope
            found = scope._propagation_context = private.PropagationContext(trace_id=f"{new_trace_id():032x}")
        found.trace_id = UsedTraceId(found.trace_id)
        return _number(found.trace_id, 128)


def _number(text: str, bits: int) -> int:
    """Return an id as a number, also one that is not hexadecimal, as some tests of programs have."""
    try:
        return int(text, 16)
    except ValueError:
        return abs(hash(text)) % (1 << bits)


def propagation_of_remote(remote: Any) -> SentrySdkPropagation:
    """Return a propagation context that continues an upstream's span; `None`: one that nothing is known of."""
    if remote is None:
        return private.PropagationContext()
    context, upstream = remote.get_span_context(), remote.upstream
    made = private.PropagationContext(
        trace_id=f"{context.trace_id:032x}", parent_span_id=RemoteId.of(remote), parent_sampled=upstream.sampled
    )
    if upstream.dsc is not None:
        made.baggage = private.Baggage(dict(upstream.dsc), mutable=False)
        private.fill_sample_rand(made)
    return made


def remote_of_propagation(sdk: SentrySdkPropagation) -> RemoteSpan | None:
    """Return the upstream's span that a propagation context continues; `None` if it continues none."""
    parent_span_id = sdk.parent_span_id
    if not parent_span_id:
        return None
    if type(parent_span_id) is RemoteId:
        return parent_span_id.remote
    try:
        flags = TraceFlags(1 if sdk.parent_sampled else 0)
        context = SpanContext(int(sdk.trace_id, 16), int(parent_span_id, 16), True, flags)
    except ValueError:
        return None
    items = {} if sdk.baggage is None else {key: str(value) for key, value in sdk.baggage.sentry_items.items()}
    upstream = Upstream(
        context.trace_id,
        sdk.parent_sampled,
        dsc=Dsc(items),
        sample_rate=parse_sample_rate(items.get("sample_rate")),
        sample_rand=parse_sample_rand(items.get("sample_rand")),
    )
    return RemoteSpan(context, upstream)
