"""Segment: what one local root and all below it share: the decision, the DSC, the scopes, the finished spans."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry.trace import TraceFlags
from opentelemetry.trace.span import TraceState

from bridge._internal import forking
from bridge._internal.otel_private import RANDOM_TRACE_FLAG
from bridge._internal.tracing.execution import execution, note_thread
from bridge._internal.wire.baggage import Dsc
from bridge._internal.wire.sample_rand import format_sample_rate
from bridge._internal.wire.tracestate import (
    MAX_MEMBERS,
    OTEL_MEMBER,
    SENTRY_MEMBER,
    OtState,
    SentryState,
    format_ot_member,
    format_sentry_member,
    parse_ot_member,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge._internal.capture.transaction import SpanLike
    from bridge._internal.context.scope import ScopeData, Scopes
    from bridge._internal.options import Options
    from bridge._internal.sampling.upstream import Sampled, Upstream


_FLAGS = tuple(TraceFlags(bits) for bits in range((RANDOM_TRACE_FLAG | TraceFlags.SAMPLED) + 1))
"""W3C flags by their bits."""

BATCH_SPANS = 1000
"""Finished spans that wait at most before they are sent, where spans are streamed."""


class SegmentSink(Protocol):
    """Where segments go: the client."""

    collects_spans: bool
    """Whether finished spans are sent by it at all; with `trace_lifecycle="none"` they go another way, by OTLP say."""

    streams_spans: bool
    """Whether finished spans are sent before their root ends."""

    def spans_started(self, quantity: int) -> None:
        """Sampled spans were started; told at the latest when one of them is handed over."""

    def segment_started(self, segment: Segment) -> None:
        """The first span of a local root was started."""

    def segment_ended(self, segment: Segment, children: list[SpanLike], overflow: int) -> None:
        """A local root ended; its finished children go with it, `overflow` more did not fit."""

    def spans_ended(self, segment: Segment, spans: list[SpanLike]) -> None:
        """Finished children to be sent by themselves, where spans are streamed."""

    def spans_lost(self, quantity: int, *, with_root: bool) -> None:
        """Spans were started that nobody will send: they never ended, or their root, one of them, was let go."""

    def exception_recorded(self, error: BaseException) -> None:
        """An exception was recorded on a sampled span, with `capture_span_exceptions` on."""

    def root_not_sampled(self, decision: Decision) -> None:
        """A local root was decided against."""


class Decision:
    """What was decided for a local root, and by which numbers.

    `sampled` is Sentry's decision, `flag` OpenTelemetry's: they differ where another sampler decides beside Sentry's.
    `overrides`: the decision was made here against, or in the place of, an upstream's, so a continued DSC says so.
    `lowered`: it would have been sampled, had the rate not been lowered for the sake of a struggling delivery.
    `threshold` is set where OpenTelemetry's rule (`R >= T`) says the same, and replaces an upstream's, by none if there
    is none, where `writes_threshold` is; `random_value` is that rule's R where it is not the trace id's and nobody has
    said so yet. `trace_state` is what another sampler made of the upstream's.
    """

    sampled: Sampled
    sample_rate: float | None
    record: bool
    flag: bool
    overrides = False
    lowered = False
    writes_threshold = False
    random_value: int | None = None
    trace_state: TraceState | None = None
    _sample_rand: str
    _threshold: int | None = None

    def __init__(
        self,
        sampled: Sampled,
        sample_rand: str,
        sample_rate: float | None = None,
        *,
        overrides: bool = False,
        record: bool | None = None,
        flag: bool | None = None,
        threshold: int | None = None,
        writes_threshold: bool = False,
        random_value: int | None = None,
        trace_state: TraceState | None = None,
    ) -> None:
        self.sampled = sampled
        self._sample_rand = sample_rand
        self.sample_rate = sample_rate
        self.overrides = overrides
        self.record = (sampled is True) if record is None else record
        self.flag = (sampled is True and self.record) if flag is None else flag
        self._threshold = threshold
        self.writes_threshold = writes_threshold
        self.random_value = random_value
        self.trace_state = trace_state

    @property
    def sample_rand(self) -> str:
        """The trace's number in [0, 1), as it is written."""
        return self._sample_rand

    @property
    def threshold(self) -> int | None:
        """OpenTelemetry's rejection threshold, if its rule says the same."""
        return self._threshold


class _StreamedSpans(list["SpanLike"]):
    """Finished spans that are sent by themselves, each with the thread that it ended in."""

    def append(self, span: SpanLike) -> None:
        """Keep a span; called where it ends."""
        note_thread(span)
        super().append(span)


class Segment:
    """One local root and all below it."""

    # What most segments never change is the class's: one is made for each root (benchmarks/spans.py).
    upstream: Upstream | None = None
    own_scope: ScopeData | None = None
    late = False  # follows a root that was sent before
    collects = False  # whether finished spans are kept, to be sent
    execution: tuple[int, Any] | None = None  # what runs the root's block, where that is sent
    closed = False
    abandoned = False  # nobody sends what ends from now on
    _find_root: Callable[[], Any] | None = None
    _follows: Segment | None = None  # the first of its trace here, if it is not that itself
    _streams = False
    started = 0  # spans that were started here, of them:
    _told = 0  # those that the sink was told of
    _handed_over = 0  # those that were handed over to be sent, or given up
    _overflow = 0
    _dsc: Dsc | None = None
    _trace_state: TraceState | None = None

    def __init__(
        self,
        trace_id: int,
        decision: Decision,
        scopes: Scopes,
        options: Options,
        sink: SegmentSink | None,
        random_flag: int = 0,
        upstream: Upstream | None = None,
    ) -> None:
        """`random_flag`: `RANDOM_TRACE_FLAG` or 0."""
        self.trace_id = trace_id
        self.decision = decision
        self.sampled: Sampled = decision.sampled
        self.recording = decision.record
        self.scopes = scopes
        self.options = options
        self.sink = sink
        self.trace_flags = _FLAGS[random_flag | decision.flag]
        self.lock = threading.RLock()  # protects what changes; re-entrant, as a finalizer may end a span
        if upstream is not None:
            self.upstream = upstream
        if sink is not None and sink.collects_spans and self.sampled is True and self.recording:
            self.collects = True
            self.execution = execution()
            self._process = forking.generation
            self._finished: list[SpanLike] = []
            self._most = options.max_spans  # finished children that may wait
            if sink.streams_spans:
                self._streams = True
                self._finished = _StreamedSpans()
                self._most = BATCH_SPANS - 1

    @property
    def root(self) -> Any:
        """The span that all others here are below; `None` before there is one, and when nobody holds it any more."""
        return None if self._find_root is None else self._find_root()

    @property
    def was_opened(self) -> bool:
        """Whether its root was started."""
        return self._find_root is not None

    def open(self, root: Any, find_root: Callable[[], Any]) -> None:
        """Take the span that all others here are below.

        `find_root` returns it: a weak reference where nothing below the root can be without it, as it refers to this;
        so what has ended is freed at once, and not by the garbage collector.
        """
        root.is_local_root = True
        self._find_root = find_root
        if self.collects:
            self.started += 1
            assert self.sink is not None
            self.sink.segment_started(self)

    def follow_up(self, scopes: Scopes | None) -> Segment:
        """Return the segment of a span that starts or ends after the root was sent: same trace, decision and DSC."""
        follower = Segment(
            self.trace_id,
            self.decision,
            scopes or self.scopes,
            self.options,
            self.sink,
            self.trace_flags & RANDOM_TRACE_FLAG,
            self.upstream,
        )
        follower.late = True
        follower._follows = self.first
        follower._dsc = self.dsc()
        return follower

    @property
    def first(self) -> Segment:
        """The segment that this one follows, or itself."""
        return self._follows or self

    @property
    def sends(self) -> bool:
        """Whether this is sent to Sentry: it was sampled, and it is recorded."""
        return self.sampled is True and self.recording

    def flags_of(self, sampled: bool) -> TraceFlags:
        """Return W3C flags: OpenTelemetry's decision, and whether the trace id is random."""
        return _FLAGS[(self.trace_flags & RANDOM_TRACE_FLAG) | sampled]

    @property
    def current_scope(self) -> ScopeData:
        """The current scope's data to send with: what was in force at the start, or what the root's block wrote."""
        return self.scopes.current if self.own_scope is None else self.own_scope

    def tell_started(self) -> None:
        """Tell the sink of the spans that were started here since this was last called.

        One call for many spans: counting each in the client's books would cost as much as the span's lock.
        """
        with self.lock:
            untold, self._told = self.started - self._told, self.started
        if untold and self.sink is not None:
            self.sink.spans_started(untold)

    def keep(self, span: SpanLike) -> bool:
        """Keep an ended child until its root ends, if that is all there is to do; for whoever holds the lock."""
        if self.closed or not self.collects or span.is_local_root or len(self._finished) >= self._most:
            return False
        self._finished.append(span)
        return True

    def take(self, span: SpanLike) -> None:
        """Take a span that has just ended: the root closes the segment, a child waits for it or comes after it.

        Where another sampler records what Sentry does not want, nothing is kept. In a forked child what the parent
        had started is left to the parent.
        """
        if not self.collects:
            self.closed = self.closed or span.is_local_root
        elif self._process != forking.generation:
            return
        elif span.is_local_root:
            if self._streams:
                note_thread(span)
            self._end()
        else:
            with self.lock:
                late = self.closed
                if late or self.keep(span):
                    pass
                elif self._streams:
                    self._finished.append(span)
                else:
                    self._overflow += 1
            if late:
                self._send_late(span)
            elif self._streams and len(self._finished) > self._most:
                self.send_waiting()

    def _end(self) -> None:
        with self.lock:
            if self.abandoned:
                return
            finished, self._finished = self._finished, type(self._finished)()
            self.closed = True
            self._handed_over += 1 + len(finished) + self._overflow
            untold, self._told = self.started - self._told, self.started
        if self.sink is not None:
            self.sink.spans_started(untold)
            self.sink.segment_ended(self, finished, self._overflow)

    def _send_late(self, span: SpanLike) -> None:
        with self.lock:
            if self.abandoned:
                return
            self._handed_over += 1
        self.tell_started()
        if self.sink is None:
            return
        if self._streams:
            note_thread(span)
            self.sink.spans_ended(self, [span])
            return
        follower = self.follow_up(getattr(span, "_bridge_scopes", None))
        follower._find_root = lambda: span
        follower.closed = True
        self.sink.segment_ended(follower, [], 0)

    def send_waiting(self) -> None:
        """Hand over the finished children that wait, where spans are streamed."""
        if not self._streams or self.sink is None:
            return
        with self.lock:
            finished, self._finished = self._finished, type(self._finished)()
            self._handed_over += len(finished)
        self.tell_started()
        if finished:
            self.sink.spans_ended(self, finished)

    def let_go(self) -> None:
        """Give up everything that was started here and not sent: it is lost, and what ends from now on with it."""
        with self.lock:
            lost, self._handed_over = self.started - self._handed_over, self.started
            self._finished = []
            self.closed = self.abandoned = True
        self.tell_started()
        if self.sink is not None and lost:
            self.sink.spans_lost(lost, with_root=True)

    def leave_to_parent(self) -> None:
        """Forget what is here, in a forked child: the parent sends it. What starts from now on follows up."""
        self.lock = threading.RLock()
        self._finished = []
        self._told = self.started
        self.closed = True

    def __del__(self) -> None:
        # Nobody holds a span of this segment any more: those that did not end never will.
        unsent = self.started - self._handed_over
        if unsent > 0 and self.sink is not None and self._process == forking.generation:
            self.tell_started()
            self.sink.spans_lost(unsent, with_root=False)

    def dsc(self) -> Dsc:
        """Return the dynamic sampling context, frozen by this if it was not yet."""
        with self.lock:
            if self._dsc is None:
                self._dsc = self._continued_dsc() if self.upstream is not None else None
            if self._dsc is None:
                self._dsc = self._head_dsc()
            return self._dsc

    def _continued_dsc(self) -> Dsc | None:
        assert self.upstream is not None
        dsc = self.upstream.dsc
        if not dsc or not self.decision.overrides or self.sampled is None:
            return dsc
        decided = Dsc(dsc, sampled=format_flag(self.sampled))
        if self.decision.sample_rate is not None:
            decided["sample_rate"] = format_sample_rate(self.decision.sample_rate)
        decided.setdefault("sample_rand", self.decision.sample_rand)
        return decided

    def _head_dsc(self) -> Dsc:
        dsc = surrounding_dsc(self.trace_id, self.decision.sample_rand, self.options)
        if self.decision.sample_rate is not None:
            dsc["sample_rate"] = format_sample_rate(self.decision.sample_rate)
        if self.sampled is not None:
            dsc["sampled"] = format_flag(self.sampled)
        root = self.root
        if root is not None and (name := root.transaction_name()):
            dsc["transaction"] = name
        return dsc

    def trace_state(self) -> TraceState:
        """Return the W3C trace state of all spans here: our member first, other vendors' in their order."""
        made = self._trace_state
        if made is None:
            others = self.decision.trace_state
            if others is None and self.upstream is not None:
                others = self.upstream.trace_state
            made = self._trace_state = trace_state_for(self.decision, others)
        return made


def format_flag(sampled: bool) -> str:
    """Write a decision as a DSC has it."""
    return "true" if sampled else "false"


def surrounding_dsc(trace_id: int, sample_rand: str, options: Options) -> Dsc:
    """Return the DSC for what is sent with no span: no transaction, no rate, no decision."""
    dsc = Dsc(trace_id=f"{trace_id:032x}")
    if options.dsn is not None:
        dsc["public_key"] = options.dsn.public_key
    if options.release:
        dsc["release"] = options.release
    dsc["environment"] = options.environment
    if options.effective_org_id:
        dsc["org_id"] = options.effective_org_id
    dsc["sample_rand"] = sample_rand
    return dsc


def trace_state_for(decision: Decision, others: TraceState | None) -> TraceState:
    """Return the trace state that says this decision, before the members of others.

    Where Sentry's sampler decided, OpenTelemetry's own member says the same (`ot=th:`), or nothing: an upstream's
    threshold does not hold any more. A `sample_rand` that a Sentry SDK drew is told to OpenTelemetry's samplers as
    `ot=rv:`, so that those further on keep the same traces.
    """
    ours = format_sentry_member(SentryState(decision.sampled, decision.sample_rate, decision.sample_rand))
    members = {SENTRY_MEMBER: ours}
    theirs = dict(others or {})
    if decision.writes_threshold or decision.random_value is not None:
        before = parse_ot_member(theirs.pop(OTEL_MEMBER, ""))
        threshold = decision.threshold if decision.writes_threshold else before.threshold
        random_value = decision.random_value if before.random_value is None else before.random_value
        if ot := format_ot_member(OtState(threshold, random_value, before.rest)):
            members[OTEL_MEMBER] = ot
    for key, value in theirs.items():
        members.setdefault(key, value)
    return TraceState(list(members.items())[:MAX_MEMBERS])
