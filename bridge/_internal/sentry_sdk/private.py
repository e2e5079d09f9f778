"""Every private name of sentry-sdk that the bridge leans on, and nothing else; `fits` says whether they are as known.

Each was seen in 2.48 to 2.75, if it does not say otherwise. `tests/sentry_sdk/test_private.py` fails when one is gone.
"""

from __future__ import annotations

import inspect
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import sentry_sdk
import sentry_sdk.consts
import sentry_sdk.scope
import sentry_sdk.tracing
import sentry_sdk.tracing_utils
from sentry_sdk.scope import Scope, ScopeType
from sentry_sdk.tracing import NoOpSpan, Span, Transaction
from sentry_sdk.tracing_utils import Baggage, PropagationContext, has_tracing_enabled

from bridge._internal.guard import report_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

try:
    # Spans by themselves; seen in 2.56 to 2.75.
    from sentry_sdk.traces import NoOpStreamedSpan, StreamedSpan
except ImportError:  # pragma: no cover - with 2.48 to 2.55

    class StreamedSpan:  # type: ignore[no-redef]  # stands for what is not there: nothing is one
        """What a version without spans by themselves does not have."""

    class NoOpStreamedSpan(StreamedSpan):  # type: ignore[no-redef]
        """What a version without spans by themselves does not have."""


__all__ = [
    "Baggage",
    "NoOpSpan",
    "NoOpStreamedSpan",
    "PropagationContext",
    "Scope",
    "ScopeType",
    "Span",
    "StreamedSpan",
    "Transaction",
    "has_tracing_enabled",
]

LOWEST = (2, 48)
"""The lowest version: `PropagationContext.baggage` is a `Baggage` from here on."""

VARIABLES = ("_current_scope", "_isolation_scope")
"""The context variables of the current and the isolation scope: globals of `sentry_sdk.scope`."""

_WRAPPED: Mapping[tuple[type, str], tuple[str, ...]] = {
    (Span, "finish"): ("scope", "end_timestamp"),
    (Transaction, "finish"): ("scope", "end_timestamp"),
    (Scope, "start_transaction"): ("transaction",),
    (Scope, "start_span"): ("kwargs",),
    (Scope, "iter_trace_propagation_headers"): ("kwargs",),
    (Scope, "trace_propagation_meta"): ("kwargs",),
    (Scope, "set_client"): ("client",),
    (PropagationContext, "from_incoming_data"): ("incoming_data",),
}
_USED = {
    Scope: ("fork", "get_active_propagation_context", "update_from_scope", "get_client", "_merge_scopes"),
    Span: ("start_child", "to_json", "set_data", "set_status"),
    Transaction: ("get_baggage", "_possibly_started"),
}
_SCOPE_FIELDS = (
    *("_span", "_propagation_context", "_tags", "_user", "_contexts", "_extras", "_level", "_fingerprint"),
    *("_breadcrumbs", "_event_processors", "_transaction", "_transaction_info", "_last_event_id", "_attachments"),
)


def version() -> tuple[int, ...]:
    """Return the version of sentry-sdk."""
    return tuple(int(part) for part in sentry_sdk.consts.VERSION.split(".")[:2] if part.isdigit())


def misfits() -> Iterator[str]:
    """Say what is not as the bridge knows it, each in words; nothing: it fits."""
    if version() < LOWEST:
        yield f"sentry-sdk {sentry_sdk.consts.VERSION} is older than {'.'.join(map(str, LOWEST))}"
        return
    for name in VARIABLES:
        variable = getattr(sentry_sdk.scope, name, None)
        if not isinstance(variable, ContextVar) and not hasattr(variable, "base"):
            yield f"sentry_sdk.scope.{name} is no context variable"
    slot = vars(Scope).get("_span")
    if not inspect.ismemberdescriptor(slot) and not hasattr(slot, "member"):
        yield "Scope._span is no slot"
    for name in _SCOPE_FIELDS:
        if not hasattr(Scope, name):
            yield f"Scope has no {name}"
    for (owner, name), taken in _WRAPPED.items():
        method = getattr(owner, name, None)
        if method is None or not set(taken) <= set(inspect.signature(method).parameters):
            yield f"{owner.__name__}.{name} takes other arguments"
    for owner, names in _USED.items():
        for name in names:
            if not callable(getattr(owner, name, None)):
                yield f"{owner.__name__}.{name} is gone"


def variable(name: str) -> Any:
    """Return one of the two context variables, or what stands for it."""
    return getattr(sentry_sdk.scope, name)


def put_variable(name: str, value: Any) -> None:
    """Put something else in the place of one of the two context variables; only `sentry_sdk.scope` reads them."""
    setattr(sentry_sdk.scope, name, value)


def global_scope_if_any() -> Scope | None:
    """Return the global scope, without making it. `sentry_sdk.scope._global_scope`."""
    return sentry_sdk.scope._global_scope


_STREAMED = frozenset({StreamedSpan, NoOpStreamedSpan})


def is_stream(span: object) -> bool:
    """Whether a span is one that is sent by itself."""
    return type(span) in _STREAMED


def streams(options: Mapping[str, Any] | None) -> bool:
    """Whether spans are sent by themselves. `has_span_streaming_enabled`, seen in 2.56 to 2.75."""
    ask = getattr(sentry_sdk.tracing_utils, "has_span_streaming_enabled", None)
    return ask is not None and bool(ask(options))


def is_never_sent(span: Any) -> bool:
    """Whether a span has no trace: OpenTelemetry's API sees what is above it."""
    if isinstance(span, NoOpSpan):
        return True
    return isinstance(span, NoOpStreamedSpan) and (span._trace_id is None or span._unsampled_reason == "ignored")


def root_of(span: Any) -> Any:
    """Return the transaction, or the segment, that a span is below; `None` for an orphan."""
    if is_stream(span):
        return span._segment
    if isinstance(span, Transaction) and not span._possibly_started():
        return None  # sentry-sdk does not send it
    return span.containing_transaction


def parent_span_id_of(span: Any) -> str | None:
    """Return the span id of the parent. `StreamedSpan._parent_span_id`, seen in 2.56 to 2.75."""
    found = span._parent_span_id if is_stream(span) else span.parent_span_id
    return found or None


def put_span_id(span: Any, span_id: str) -> None:
    """Give a span its own id, as another kind of text."""
    if is_stream(span):
        span._span_id = span_id
    else:
        span.span_id = span_id


def op_of(span: Any) -> str | None:
    """Return the op of a span."""
    found = span._attributes.get("sentry.op") if is_stream(span) else span.op
    return found if isinstance(found, str) else None


def name_of(span: Any) -> str:
    """Return the name of a span."""
    if is_stream(span):
        return span._name or ""
    return (span.name if isinstance(span, Transaction) else span.description) or ""


def rename(span: Any, name: str) -> None:
    """Give a span another name."""
    if is_stream(span) or isinstance(span, Transaction):
        span.name = name
    else:
        span.description = name


def origin_of(span: Any) -> str:
    """Return who made a span."""
    return str(span._attributes.get("sentry.origin", "manual")) if is_stream(span) else span.origin


def status_of(span: Any) -> str | None:
    """Return the status of a span."""
    return span._status if is_stream(span) else span.status  # type: ignore[no-any-return]


def data_of(span: Any) -> dict[str, Any]:
    """Return the data, or the attributes, of a span: the very dict."""
    return span._attributes if is_stream(span) else span._data  # type: ignore[no-any-return]


def start_of(span: Any) -> int:
    """Return when a span started, in nanoseconds since the epoch."""
    return nanoseconds(getattr(span, "_start_timestamp", None) if is_stream(span) else span.start_timestamp)


def end_of(span: Any) -> int | None:
    """Return when a span ended, in nanoseconds since the epoch; `None` if it has not."""
    found = getattr(span, "_end_timestamp", None) if is_stream(span) else span.timestamp
    if found is None and isinstance(span, NoOpStreamedSpan) and span._finished:
        return start_of(span)
    return None if found is None else nanoseconds(found)


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def nanoseconds(stamp: datetime | float | None) -> int:
    """Return a time of sentry-sdk's as OpenTelemetry has it."""
    if stamp is None:
        return 0
    if not isinstance(stamp, datetime):
        return int(stamp * 1e9)
    passed = (stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=timezone.utc)) - _EPOCH
    return ((passed.days * 86400 + passed.seconds) * 1_000_000 + passed.microseconds) * 1000


def decision_of(root: Any) -> tuple[bool | None, float | None, float | None]:
    """Return what was decided for a root: whether, at which rate, by which number.

    `Transaction._sample_rand`; `StreamedSpan._sample_rate` and `_sample_rand`, seen in 2.56 to 2.75.
    """
    if is_stream(root):
        return root.sampled, root._sample_rate, root._sample_rand
    return root.sampled, root.sample_rate, root._sample_rand


def upstream_of(root: Any) -> tuple[str | None, bool | None, Baggage | None]:
    """Return what a root continues: the parent's span id, its decision, and the baggage that came in."""
    parent_sampled = root._parent_sampled if is_stream(root) else root.parent_sampled
    return parent_span_id_of(root), parent_sampled, root._baggage


def baggage_of(root: Any) -> Baggage:
    """Return the baggage of a root, frozen by this. `StreamedSpan._get_baggage`, seen in 2.56 to 2.75."""
    return root._get_baggage() if is_stream(root) else root.get_baggage()  # type: ignore[no-any-return]


def has_recorder(transaction: Transaction) -> bool:
    """Whether a transaction records spans."""
    return transaction._span_recorder is not None


def record(transaction: Transaction, span: Any) -> bool:
    """Put a span among those that go with a transaction; `False` where there is no room."""
    recorder = transaction._span_recorder
    if recorder is None:
        return False
    if len(recorder.spans) > recorder.maxlen:
        recorder.dropped_spans += 1
        return False
    recorder.spans.append(span)
    return True


def max_spans(options: Mapping[str, Any]) -> int:
    """Return how many spans go with a transaction."""
    return int((options.get("_experiments") or {}).get("max_spans") or 1000)


def org_id_of(client: Any) -> str | None:
    """Return the organisation of a client. Option `org_id`, seen in 2.70 to 2.75; `Dsn.org_id`."""
    found = client.options.get("org_id") or getattr(client.parsed_dsn, "org_id", None)
    return None if found is None else str(found)


def custom_sampling_context(scope: Scope) -> Mapping[str, Any]:
    """Return what the program said for the sampler. `custom_sampling_context`, seen in 2.56 to 2.75."""
    return getattr(scope.get_active_propagation_context(), "custom_sampling_context", None) or {}


def fill_sample_rand(propagation: PropagationContext) -> None:
    """Have the baggage of a propagation context hold a number that agrees with its decision."""
    propagation._fill_sample_rand()


def attributes_of(scope: Scope) -> Mapping[str, Any]:
    """Return the attributes of a scope. `Scope._attributes`, seen in 2.50 to 2.75."""
    return getattr(scope, "_attributes", {})


def put_attributes(scope: Scope, attributes: Mapping[str, Any]) -> None:
    """Give a scope other attributes."""
    if hasattr(scope, "_attributes"):
        scope._attributes = dict(attributes)


def merged(isolation: Scope | None, current: Scope | None) -> Scope:
    """Return what events of these scopes are sent with: the global scope's data below theirs."""
    under = global_scope_if_any()
    made = Scope() if under is None else under.fork()
    made._type = ScopeType.MERGED
    for layer in (isolation, current):
        if layer is not None:
            made.update_from_scope(layer)
    return made


class SegmentOfSpan:
    """What sentry-sdk's batches ask of the root of a span. `_dynamic_sampling_context`, seen in 2.56 to 2.75."""

    __slots__ = ("_dsc",)

    def __init__(self, dsc: dict[str, str]) -> None:
        self._dsc = dsc

    def _dynamic_sampling_context(self) -> dict[str, str]:
        return self._dsc


def send_span(client: Any, scope: Scope, span: dict[str, Any], segment: SegmentOfSpan) -> None:
    """Send a span by itself, completed from a scope, as `Client._capture_span` does with one of sentry-sdk's.

    `Scope._apply_scope_attributes_to_telemetry` and its like for the user, `Client.span_batcher`,
    `get_before_send_span`, `is_ignored_span`: seen in 2.56 to 2.75.
    """
    from sentry_sdk.tracing_utils import is_ignored_span
    from sentry_sdk.utils import get_before_send_span

    if is_ignored_span(span["name"], span["attributes"]):
        if client.transport is not None:
            client.transport.record_lost_event("ignored", data_category="span")
        return
    # Not `apply_to_telemetry`: for a mapping it asks for the trace of "now", which freezes that one's baggage.
    scope._apply_scope_attributes_to_telemetry(span)  # type: ignore[arg-type]  # a mapping, as logs are
    scope._apply_user_attributes_to_telemetry(span)  # type: ignore[arg-type]
    hook = get_before_send_span(client.options)
    if hook is not None:
        try:
            answer: Any = hook(dict(span), {})  # type: ignore[arg-type]  # as sentry-sdk's own
        except Exception as error:  # a user's callback
            report_fault("sentry_sdk", "before_send_span raised; the span was sent as it was", error)
            answer = None
        if isinstance(answer, dict) and "name" in answer:
            span = {**span, "name": answer["name"], "attributes": answer.get("attributes") or {}}
    if client.span_batcher is not None:
        client.span_batcher.add({**span, "_segment_span": segment})


def started_profile(start_ns: int) -> Any:
    """Return a profile of this thread, begun, if this root gets one. `Profile._set_initial_sampling_decision`."""
    from sentry_sdk.profiler.transaction_profiler import Profile, has_profiling_enabled

    if not has_profiling_enabled(sentry_sdk.get_client().options):
        return None
    profile = Profile(True, start_ns)
    profile._set_initial_sampling_decision(sampling_context={"transaction_context": {}, "parent_sampled": None})
    if not profile.sampled:
        return None
    profile.__enter__()
    return profile


def add_dropped(transaction: Transaction, quantity: int) -> None:
    """Count spans that did not go with a transaction."""
    if transaction._span_recorder is not None:
        transaction._span_recorder.dropped_spans += quantity


def link_errors(
    find: Callable[[], tuple[str, str] | None], complete: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
) -> bool:
    """Have sentry-sdk link events to a trace that it does not make; `False` if somebody else's function is registered.

    `find` gives trace id and span id, `complete` is a global event processor.
    """
    known = sentry_sdk.scope._external_propagation_context_fn
    if known is not None and known is not find:
        return False
    sentry_sdk.scope.register_external_propagation_context(find)
    sentry_sdk.scope.add_global_event_processor(complete)  # type: ignore[arg-type]  # an event is a dict
    return True


def unlink_errors(find: Any, complete: Any) -> None:
    """Undo `link_errors`. `sentry_sdk.scope.global_event_processors`."""
    if sentry_sdk.scope._external_propagation_context_fn is find:
        sentry_sdk.scope.remove_external_propagation_context()
    if complete in sentry_sdk.scope.global_event_processors:
        sentry_sdk.scope.global_event_processors.remove(complete)


def client_class() -> type:
    """Return the class of clients. `sentry_sdk.client._Client`."""
    return sentry_sdk.client._Client


def main_client() -> Any:
    """Return the client of the process, else the one that is active here."""
    under = global_scope_if_any()
    if under is not None and under.client.is_active():
        return under.client
    return sentry_sdk.get_client()


def carries_into_threads() -> bool:
    """Whether sentry-sdk's own option lets threads have the scopes of their starter."""
    from sentry_sdk.integrations.threading import ThreadingIntegration

    found = sentry_sdk.get_client().get_integration(ThreadingIntegration)
    return found is None or bool(found.propagate_scope)
