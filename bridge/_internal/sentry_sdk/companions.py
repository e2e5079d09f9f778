"""Companions: each span of sentry-sdk's has a span of OpenTelemetry's that stands for it, under the same ids.

It is made when it is first needed, of the sentry-sdk span: `traces_sampler` has seen that one's ids already. The way
from the span to its companion is its id, a text that knows; the way back is `counterpart`, cut when the span has ended.
"""

from __future__ import annotations

import weakref
from copy import copy
from typing import TYPE_CHECKING, Any

from opentelemetry import trace as trace_api
from opentelemetry.context.context import Context
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode

from bridge._internal.context.context_values import with_span
from bridge._internal.context.scope import current_scopes, with_scopes
from bridge._internal.delivery.envelope import SPAN_CATEGORY
from bridge._internal.delivery.outcomes import BUFFER_OVERFLOW
from bridge._internal.foreign.adopted_span import AdoptedSpan
from bridge._internal.sampling.decision import Decision
from bridge._internal.sampling.sampler import sample_rand_for
from bridge._internal.sampling.upstream import Upstream
from bridge._internal.sentry_sdk import private
from bridge._internal.sentry_sdk.propagation import RemoteId
from bridge._internal.sentry_sdk.setup import in_force
from bridge._internal.tracing.provider import Tracer
from bridge._internal.tracing.segment import Segment
from bridge._internal.tracing.span import RecordingSpan
from bridge._internal.wire.baggage import Dsc
from bridge._internal.wire.sample_rand import format_sample_rand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from bridge._internal.tracing.finished_span import EndedSpan, FinishedSpan

KINDS = {
    "db": SpanKind.CLIENT,
    "db.query": SpanKind.CLIENT,
    "db.redis": SpanKind.CLIENT,
    "http.client": SpanKind.CLIENT,
    "http.server": SpanKind.SERVER,
    "queue.process": SpanKind.CONSUMER,
    "queue.publish": SpanKind.PRODUCER,
    "queue.submit.celery": SpanKind.PRODUCER,
    "queue.task.celery": SpanKind.CONSUMER,
    "websocket.server": SpanKind.SERVER,
}
"""What OpenTelemetry calls the ops that sentry-sdk's integrations use."""

PLAIN = (str, int, float, bool)
"""Values that go from one API to the other as they are."""


class LinkedId(str):
    """A span id that knows the OpenTelemetry span which stands for it, or which it views.

    sentry-sdk's spans take neither attributes nor weak references; their ids may be any text.
    """

    __slots__ = ("folded", "is_view", "name", "otel")

    otel: Any
    is_view: bool
    folded: bool
    name: str

    def __new__(cls, text: str, otel: Any, *, name: str = "", is_view: bool = False) -> Self:
        """`name`: the one that the companion was made with."""
        made = super().__new__(cls, text)
        made.otel = otel
        made.name = name
        made.is_view = is_view
        made.folded = False
        return made

    def __reduce_ex__(self, protocol: Any) -> tuple[type[str], tuple[str]]:
        """Be plain text where a span or an event is copied or pickled."""
        return str, (str.__str__(self),)


class Sent:
    """Takes the place of a sentry-sdk span that has ended: what is sent of it, where the bridge's root sends it."""

    __slots__ = ("payload",)

    def __init__(self, payload: dict[str, Any] | None) -> None:
        self.payload = payload


def link_of(span: Any) -> LinkedId | None:
    """Return the id of a sentry-sdk span that knows an OpenTelemetry span, if it has one already."""
    found = getattr(span, "_span_id", None)
    return found if type(found) is LinkedId else None


def is_view(span: Any) -> bool:
    """Whether a span only shows sentry-sdk an OpenTelemetry span."""
    link = link_of(span)
    return link is not None and link.is_view


def companion_of(span: Any) -> Any:
    """Return the OpenTelemetry span that stands for a sentry-sdk span, or that it views; `None` if there is none.

    Transparent to OpenTelemetry: what is never sent (no-op and ignored spans, orphans, transactions that were not
    started), and ids that are not hexadecimal.
    """
    if span is None or private.is_never_sent(span):
        return None
    link = link_of(span)
    if link is not None:
        return link.otel
    made = _make(span)
    if made is not None:
        private.put_span_id(span, LinkedId(span.span_id, made, name=private.name_of(span)))
    return made


def existing_companion(span: Any) -> Any:
    """Return the companion of a span, if it was needed before."""
    link = link_of(span)
    return None if link is None or link.is_view else link.otel


def own_span_of(otel: Any) -> Any:
    """Return the sentry-sdk span that an OpenTelemetry span stands for; `None` for one that is not a companion."""
    counterpart = getattr(behind(otel), "counterpart", None)
    return None if counterpart is None or type(counterpart) is Sent or is_view(counterpart) else counterpart


def is_companion(otel: Any) -> bool:
    """Whether an OpenTelemetry span stands for one of sentry-sdk's, which its own API sends."""
    counterpart = getattr(behind(otel), "counterpart", None)
    return counterpart is not None and not is_view(counterpart)


def behind(otel: Any) -> Any:
    """Return the span itself of one that the bridge reads through an object of its own."""
    return otel._sdk_span if isinstance(otel, AdoptedSpan) else otel


def _make(span: Any) -> Any:
    root = private.root_of(span)
    if root is None:
        return None
    ids = _ids_of(span)
    if ids is None:
        return None
    trace_id, span_id, parent_id = ids
    if root is span:
        segment = _segment_of(span, trace_id)
    else:
        above = companion_of(root)
        if above is None:
            return None
        segment = above._bridge_segment
    parent = None
    if parent_id is not None:
        parent = SpanContext(trace_id, parent_id, root is span, segment.trace_flags, segment.trace_state())
    recording = segment.recording and not isinstance(span, private.NoOpStreamedSpan)
    facts = _Facts(span, segment, parent, trace_id, span_id, recording)
    tracer = in_force().tracer
    made = _of_own_provider(tracer, facts) if type(tracer) is Tracer else _of_adopted_provider(tracer, facts)
    made.counterpart = span
    return made


class _Facts:
    """What a companion is made of."""

    __slots__ = ("kind", "name", "origin", "parent", "recording", "segment", "span_id", "start", "trace_id")

    def __init__(
        self, span: Any, segment: Segment, parent: SpanContext | None, trace_id: int, span_id: int, recording: bool
    ) -> None:
        self.name = private.name_of(span)
        self.kind = KINDS.get(private.op_of(span) or "", SpanKind.INTERNAL)
        self.start = private.start_of(span)
        self.origin = private.origin_of(span)
        self.segment = segment
        self.parent = parent
        self.trace_id = trace_id
        self.span_id = span_id
        self.recording = recording


def _ids_of(span: Any) -> tuple[int, int, int | None] | None:
    """Return trace id, span id and the parent's; `None` if they are none that OpenTelemetry takes."""
    parent = private.parent_span_id_of(span)
    try:
        trace_id, span_id = int(span.trace_id, 16), int(span.span_id, 16)
        parent_id = None if parent is None else int(parent, 16)
    except ValueError:
        return None
    return (trace_id, span_id, parent_id) if 0 < trace_id < 1 << 128 and 0 < span_id < 1 << 64 else None


def _of_own_provider(tracer: Tracer, facts: _Facts) -> Any:
    made = tracer.stand_in(
        facts.name,
        facts.kind,
        facts.segment,
        facts.parent,
        current_scopes(),
        span_id=facts.span_id,
        start_time=facts.start,
        recording=facts.recording,
    )
    if facts.recording:
        made.origin = facts.origin  # type: ignore[union-attr]  # a recording span
    return made


class _GivenIds(IdGenerator):
    """Gives the ids of the span that is about to be made in this thread."""

    def __init__(self, trace_id: int, span_id: int) -> None:
        self._ids = trace_id, span_id

    def generate_trace_id(self) -> int:
        return self._ids[0]

    def generate_span_id(self) -> int:
        return self._ids[1]

    def is_trace_id_random(self) -> bool:
        return True


def _of_adopted_provider(tracer: Any, facts: _Facts) -> Any:
    """Make a span of the user's provider: its processors and exporters get it, its sampler decides for them."""
    segment, parent = facts.segment, facts.parent
    above: Any = trace_api.NonRecordingSpan(parent or trace_api.INVALID_SPAN_CONTEXT)
    above._bridge_segment, above.upstream = segment, segment.upstream  # what the span processor reads
    made: Any = None
    if facts.recording:
        given = copy(tracer)
        given.id_generator = _GivenIds(facts.trace_id, facts.span_id)
        scopes = current_scopes()
        where = with_scopes(with_span(Context(), above), scopes.under(above))
        made = given.start_span(facts.name, where, facts.kind, start_time=facts.start)
    if made is None or not made.is_recording():
        made = trace_api.NonRecordingSpan(SpanContext(facts.trace_id, facts.span_id, False, segment.trace_flags))
        made._bridge_segment, made._bridge_scopes = segment, current_scopes()
        made._parent_span_id = None if parent is None else parent.span_id
        made.is_local_root = not segment.was_opened
        if not segment.was_opened:
            segment._find_root = weakref.ref(made)
    return made


def _segment_of(root: Any, trace_id: int) -> SentrySdkSegment:
    sampled, rate, rand = private.decision_of(root)
    parent_id, parent_sampled, baggage = private.upstream_of(root)
    text = sample_rand_for(trace_id, None) if rand is None else format_sample_rand(rand)
    decision = Decision(sampled, text, rate, record=sampled is True)
    upstream: Upstream | None = None
    if type(parent_id) is RemoteId:
        upstream = parent_id.remote.upstream
    elif parent_id is not None:
        dsc = None if baggage is None or baggage.mutable else Dsc(baggage.sentry_items)
        upstream = Upstream(trace_id, parent_sampled, dsc=dsc)
    setup = in_force()
    return SentrySdkSegment(root, trace_id, decision, current_scopes(), setup.options(), setup.sink, 0, upstream)


class SentrySdkSegment(Segment):
    """A local root that sentry-sdk's API started: that decides and sends; spans of OpenTelemetry's API join it."""

    gathers = False  # what is open above may be a span that sentry-sdk's API ends

    def __init__(self, root: Any, *args: Any) -> None:
        super().__init__(*args)
        self._own_root = root  # until it has ended
        self._sent_by_own = 0  # spans that sentry-sdk's API sends

    def is_of(self, span: Any) -> bool:
        """Whether a sentry-sdk span is the root here."""
        return self._own_root is span

    def root_ended(self) -> None:
        """Forget the root, which refers to this; what was said of it stays."""
        self.dsc()
        self._own_root = None
        if self.collects:
            self.report_started()
            in_force().outcomes.delivered(SPAN_CATEGORY, self._sent_by_own)

    def dsc(self) -> Dsc:
        """Return the dynamic sampling context that sentry-sdk has made, frozen by this on both sides."""
        with self.lock:
            if self._dsc is None:
                made = private.baggage_of(self._own_root).dynamic_sampling_context()
                self._dsc = Dsc({key: str(value) for key, value in made.items()})
            return self._dsc

    def keep(self, span: EndedSpan) -> bool:
        """Keep an ended child; one that sentry-sdk's API started, that API sends."""
        if self.closed:
            return False
        if is_companion(span):
            self._hand_over()
            return True
        return super().keep(span)

    def _hand_over(self) -> None:
        self._handed_over += 1
        self._sent_by_own += 1

    def take(self, span: FinishedSpan) -> bool:
        """Take a span that has just ended: the root's own API sends it, and its own children; `False` if it is late."""
        if span.is_local_root:
            with self.lock:
                self.closed = True
                self._hand_over()
        elif is_companion(span):
            with self.lock:
                if not self.closed:  # else sentry-sdk does not send it
                    self._hand_over()
        else:
            return super().take(span)
        return True

    def drain(self) -> tuple[Sequence[Any], int]:
        """Return the finished spans of OpenTelemetry's API, which go with the root, and how many had no room."""
        if not self.collects:
            return (), 0
        with self.lock:
            found, self._finished = self._finished, []
            dropped, self._overflow = self._overflow, 0
            self.closed = True
            self._handed_over += len(found) + dropped
        self.report_started()
        in_force().outcomes.lost(BUFFER_OVERFLOW, SPAN_CATEGORY, dropped)
        return found, dropped

    def count_delivered(self) -> None:
        """Count a span that goes with the root."""
        self._sent_by_own += 1

    def count_dropped(self) -> None:
        """Count a span that had no room among those that go with the root."""
        in_force().outcomes.lost(BUFFER_OVERFLOW, SPAN_CATEGORY)


def write_back(span: Any, otel: Any) -> None:
    """Give a sentry-sdk span, before it ends, what OpenTelemetry's API wrote to its companion."""
    if not otel.is_recording():
        return
    data = private.data_of(span)
    written = otel._plain if isinstance(otel, RecordingSpan) else dict(otel.attributes or {})
    for key, value in written.items():
        data.setdefault(key, value)
    if otel.status.status_code is StatusCode.ERROR:
        if private.is_stream(span):
            span.status = "error"
        elif private.status_of(span) is None:
            span.set_status("internal_error")
    link = link_of(span)
    if link is not None and otel.name != link.name:
        private.rename(span, otel.name)
    if events := otel.events:
        data.setdefault("otel.events", [_event(event) for event in events])


def _event(event: Any) -> dict[str, Any]:
    attributes = {key: value if isinstance(value, PLAIN) else str(value) for key, value in event.attributes.items()}
    return {"name": event.name, "timestamp": event.timestamp / 1e9, "attributes": attributes}


def end(span: Any, otel: Any) -> None:
    """End the companion of a sentry-sdk span that has ended, at the same time and with what that holds."""
    segment = otel._bridge_segment
    is_guest = isinstance(segment, SentrySdkSegment)
    if otel.is_recording():
        if in_force().is_observed:
            _tell(otel, span)
        otel.counterpart = Sent(None if is_guest or private.is_stream(span) else span.to_json())
        otel.end(private.end_of(span))
    else:
        otel.counterpart = Sent(None)
        if getattr(otel, "is_local_root", False) and not segment.closed:
            segment.take(otel)
    if isinstance(segment, SentrySdkSegment) and segment.closed and segment.is_of(span):
        segment.root_ended()


def _tell(otel: Any, span: Any) -> None:
    """Tell processors and exporters of OpenTelemetry's what sentry-sdk's API wrote."""
    otel.set_attributes({key: value for key, value in private.data_of(span).items() if isinstance(value, PLAIN)})
    if op := private.op_of(span):
        otel.set_attribute("sentry.op", op)
    if name := private.name_of(span):
        otel.update_name(name)
    status = private.status_of(span)
    if status is not None:
        otel.set_status(Status(StatusCode.OK) if status == "ok" else Status(StatusCode.ERROR, status))
