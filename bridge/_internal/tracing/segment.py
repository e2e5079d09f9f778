"""Segment: what one local root and all below it share: the decision, the DSC, the scopes, the finished spans."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from opentelemetry.trace import TraceFlags

from bridge._internal import forking
from bridge._internal.context.scope import RequestStart, remembered_scopes
from bridge._internal.otel_private import RANDOM_TRACE_FLAG
from bridge._internal.sampling.decision import base_dsc, format_sampled, trace_state_for
from bridge._internal.wire.baggage import Dsc
from bridge._internal.wire.sample_rand import format_sample_rate, parse_sample_rand

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.span import TraceState
    from opentelemetry.util import types

    from bridge._internal.context.scope import ScopeData, Scopes
    from bridge._internal.options import Options
    from bridge._internal.sampling.decision import Decision
    from bridge._internal.sampling.upstream import Sampled, Upstream
    from bridge._internal.tracing.finished_span import EndedSpan, FinishedSpan


_FLAGS = tuple(TraceFlags(bits) for bits in range((RANDOM_TRACE_FLAG | TraceFlags.SAMPLED) + 1))
"""W3C flags by their bits."""

_block: ContextVar[None] = ContextVar("bridge-block")

BATCH_SPANS = 1000
"""Finished spans that wait at most before they are sent, where spans are streamed."""


@runtime_checkable
class SegmentSink(Protocol):
    """Where segments go: the client."""

    collects_spans: bool
    """Whether finished spans are sent by it at all; with `trace_lifecycle="none"` they go another way, by OTLP say."""

    @property
    def streams_spans(self) -> bool:
        """Whether finished spans are sent before their root ends."""

    def spans_started(self, quantity: int) -> None:
        """Sampled spans were started; reported at the latest when one of them is handed over."""

    def segment_started(self, segment: Segment) -> None:
        """The first span of a local root was started."""

    def root_waits(self, segment: Segment) -> bool:
        """A local root ended before its children: have `settle` called a little later; `False` if that cannot be."""

    def segment_ended(self, segment: Segment, children: list[EndedSpan], overflow: int) -> None:
        """A local root ended; its finished children go with it, `overflow` more did not fit."""

    def spans_ended(self, segment: Segment, spans: list[EndedSpan]) -> None:
        """Finished children to be sent by themselves, where spans are streamed."""

    def spans_lost(self, quantity: int, *, with_root: bool) -> None:
        """Spans that were started will not be sent: they never ended, or their root, one of them, was abandoned."""

    def exception_recorded(self, error: BaseException) -> None:
        """An exception was recorded on a sampled span, with `capture_span_exceptions` on."""

    def root_not_sampled(self, decision: Decision) -> None:
        """A local root was decided against."""

    def flush(self, timeout: float | None = None) -> bool:
        """Everything recorded so far is to be sent, within `timeout` seconds; returns whether it was."""


class SegmentRoot(Protocol):
    """What is read of a local root while it is open, whether it is sampled or not."""

    is_local_root: bool

    @property
    def _parent_span_id(self) -> int | None: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> SpanKind: ...
    @property
    def attributes(self) -> types.Attributes: ...
    @property
    def custom_name(self) -> bool: ...

    def transaction_name(self) -> str | None:
        """Return the name for a DSC that is about to be frozen: none while all that is known is a URL."""


class SegmentMember(Protocol):
    """A span that belongs to a segment: one of ours, or one of another provider that the span processor adopted."""

    _bridge_segment: Segment | None


def segment_of(span: object) -> Segment | None:
    """Return the segment that a span belongs to; `None` for a span of another provider that was not adopted."""
    segment: Segment | None = getattr(span, "_bridge_segment", None)
    return segment


def note_thread(span: object) -> None:
    """Note on a span the thread that runs, under our own name: it may be a span of another provider."""
    vars(span)["_bridge_thread"] = threading.get_ident(), threading.current_thread().name


class _StreamedSpans(list["EndedSpan"]):
    """Finished spans that are sent by themselves, each with the thread that it ended in."""

    def append(self, span: EndedSpan) -> None:
        """Keep a span; called where it ends."""
        note_thread(span)
        super().append(span)


class Segment:
    """One local root and all below it."""

    # What most segments never change is the class's: one is made for each root (benchmarks/spans.py).
    upstream: Upstream | None = None
    own_scope: ScopeData | None = None
    guest: object = None  # what another SDK that shares this world keeps with it
    late = False  # follows a root that was sent before
    gathers = True  # whether a span that is open when this was sent gathers what ends below it
    collects = False  # whether finished spans are kept, to be sent
    _block: Token[None] | None = None  # of the `contextvars.Context` that the root was started in, while it is open
    closed = False
    waits = False  # whether the root has ended, and open children of its own block may still end in time
    ended_with: Any = None  # the scopes as they were when a root that waits ended, in the sink's form
    _waiting_root: SegmentRoot | None = None  # held while it waits
    abandoned = False  # what ends from now on is not sent
    _holders = 0  # those that the root's end waits for
    _is_settled = False  # whether the root was handed over
    _has_ended = False  # whether the root ended while it was held
    _find_root: Callable[[], SegmentRoot | None] | None = None
    _follows: Segment | None = None  # the first of its trace here, if it is not that itself
    _streams = False
    started = 0  # spans that were started here, of them:
    _reported = 0  # those that were reported to the sink
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
        self._isolation_began_with = scopes.isolation._read()
        self.options = options
        self.sink = sink
        self.trace_flags = _FLAGS[random_flag | decision.flag]
        self.lock = threading.RLock()  # protects what changes; re-entrant, as a finalizer may end a span
        if upstream is not None:
            self.upstream = upstream
        if sink is not None and sink.collects_spans and self.sampled is True and self.recording:
            self.collects = True
            self._block = _block.set(None)
            self._process = forking.generation
            self._finished: list[EndedSpan] = []
            self._most = options.max_spans  # finished children that may wait
            if sink.streams_spans:
                self._streams = True
                self.gathers = False
                self._finished = _StreamedSpans()
                self._most = BATCH_SPANS - 1

    @property
    def root(self) -> SegmentRoot | None:
        """The span that all others here are below; `None` before there is one, and once it was collected."""
        return None if self._find_root is None else self._find_root()

    @property
    def upstream_span_id(self) -> int | None:
        """The id of the span that the root is a child of, in another service; `None` for the head of a trace."""
        root = self.root
        return None if root is None else root._parent_span_id

    @property
    def payload_root(self) -> FinishedSpan:
        """The root as payloads read it: where a segment is sent, its root records, and is held by what is sent."""
        return cast("FinishedSpan", self.root)

    @property
    def was_opened(self) -> bool:
        """Whether its root was started."""
        return self._find_root is not None

    def open(self, root: SegmentRoot, find_root: Callable[[], SegmentRoot | None]) -> None:
        """Take the span that all others here are below.

        `find_root` returns it: a weak reference where nothing below the root can be without it, as it refers to this;
        so what has ended is freed at once, and not by the garbage collector.
        """
        self.lead_by(root, find_root)
        self.announce()

    def lead_by(self, root: SegmentRoot, find_root: Callable[[], SegmentRoot | None]) -> None:
        """Take the root, and say nothing of it yet."""
        root.is_local_root = True
        self._find_root = find_root
        if self.collects:
            self.started += 1

    def announce(self) -> None:
        """Tell the sink that the root was started; no lock is held, since it may give up another segment for this."""
        if self.collects:
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

    def follow_up_of(self, scopes: Scopes | None) -> Segment:
        """Return the segment of a span that is open after its root was sent, which becomes the root of that segment.

        The caller holds the lock, which is that segment's too: the span's own state is under it.
        """
        self.report_started()
        follower = self.follow_up(scopes)
        follower.lock = self.lock
        follower._block = None  # the block that runs here may be another than the span's
        follower._reported = 1
        self._handed_over += 1
        return follower

    def may_be_followed(self) -> bool:
        """Whether an open span of this may become the root of what ends below it: its end is still to be counted."""
        return self.collects and self.gathers and not self.abandoned and self._process == forking.generation

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

    @property
    def began_with(self) -> RequestStart:
        """What was in force when the root was started."""
        return RequestStart(self._isolation_began_with, self.scopes.current)

    def is_own_block(self) -> bool:
        """Whether the root's own block runs, and not another task, greenlet, thread or copied context.

        Each of these has a `contextvars.Context` of its own, and only the one that made a token takes it back.
        """
        if self._block is None:
            return False
        try:
            _block.reset(self._block)
        except (ValueError, RuntimeError):
            return False
        self._block = _block.set(None)
        return True

    def note_own_scope(self, data: ScopeData) -> None:
        """Take what the root's own block wrote to its current scope; other tasks' and threads' writes are theirs."""
        if not self.closed and self.is_own_block():
            self.own_scope = data

    def report_started(self) -> None:
        """Report the spans that were started here since the last call to the sink.

        One call for many spans: counting each in the client's books would cost as much as the span's lock.
        """
        with self.lock:
            unreported, self._reported = self.started - self._reported, self.started
        if unreported and self.sink is not None:
            self.sink.spans_started(unreported)

    def keep(self, span: EndedSpan) -> bool:
        """Keep an ended child until its root ends, if that is all there is to do; the caller holds the lock."""
        if self.closed or not self.collects or len(self._finished) >= self._most:
            return False
        self._finished.append(span)
        return True

    def take(self, span: FinishedSpan) -> bool:
        """Take a span that has just ended: the root closes the segment, a child waits for it; `False` if it is late.

        Where another sampler records what Sentry does not want, nothing is kept. In a forked child what the parent
        had started is left to the parent.
        """
        if not self.collects:
            self.closed = self.closed or span.is_local_root
        elif self._process != forking.generation:
            pass
        elif span.is_local_root:
            if self._streams:
                note_thread(span)
            with self.lock:
                self._has_ended = self._holders > 0
            if not self._has_ended:
                self._end()
        else:
            with self.lock:
                if self.closed and not (self.waits and self.is_own_block()):
                    return False
                if self._streams or len(self._finished) < self._most:
                    self._finished.append(span)
                else:
                    self._overflow += 1
            if self.waits:
                self.settle_if_done()
            elif self._streams and len(self._finished) > self._most:
                self.send_waiting()
        return True

    def hold(self) -> None:
        """Keep this open beyond the root's end, until each who asked for it has let go."""
        with self.lock:
            self._holders += 1

    def release(self) -> None:
        """Let go of what `hold` kept open."""
        with self.lock:
            self._holders -= 1
            ends = self._has_ended and not self._holders
        if ends:
            self._has_ended = False
            self._end()

    def _end(self) -> None:
        with self.lock:
            if self.abandoned:
                return
            self.closed = True
            self.waits = self.gathers and self._has_open_children()
            self._waiting_root = self.root if self.waits else None
        if not (self.waits and self.sink is not None and self.sink.root_waits(self)):
            self.settle()

    def _has_open_children(self) -> bool:
        return self.started - self._handed_over > 1 + len(self._finished) + self._overflow

    def settle_if_done(self) -> None:
        """Settle a root that waits for nothing any more."""
        if self.waits and not self._has_open_children():
            self.settle()

    def settle(self) -> None:
        """Hand over what ended in time, the root has waited long enough; once, as it is called for several reasons."""
        with self.lock:
            if self.abandoned or not self.closed or self._is_settled or self._process != forking.generation:
                return
            self._is_settled, self.waits = True, False
            finished, self._finished = self._finished, type(self._finished)()
            self._block = None
            self._handed_over += 1 + len(finished) + self._overflow
            unreported, self._reported = self.started - self._reported, self.started
        if self.sink is not None:
            self.sink.spans_started(unreported)
            self.sink.segment_ended(self, finished, self._overflow)
        self._waiting_root = None

    def take_late(self, span: FinishedSpan, follower: Segment | None) -> None:
        """Take a span that ended after the root was sent: into a follow-up that is open, or else as one by itself."""
        self.report_started()
        with self.lock:
            if self.abandoned:
                return
            self._handed_over += 1
        if follower is not None:
            with follower.lock:
                follower.started += 1
                follower._reported += 1
            if not follower.take(span):
                follower.take_late(span, None)
            self.settle_if_done()
            return
        if self.sink is None:
            return
        if self._streams:
            note_thread(span)
            self.sink.spans_ended(self, [span])
            return
        follower = self.follow_up(remembered_scopes(span))
        follower._find_root = lambda: span
        follower.closed = True
        self.sink.segment_ended(follower, [], 0)
        self.settle_if_done()

    def send_waiting(self) -> None:
        """Hand over the finished children that wait, where spans are streamed."""
        if not self._streams or self.sink is None:
            return
        with self.lock:
            finished, self._finished = self._finished, type(self._finished)()
            self._handed_over += len(finished)
        self.report_started()
        if finished:
            self.sink.spans_ended(self, finished)

    def abandon(self) -> None:
        """Give up everything that was started here and not sent: it is lost, and what ends from now on with it."""
        with self.lock:
            lost, self._handed_over = self.started - self._handed_over, self.started
            self._finished = []
            self.closed = self.abandoned = True
            self.waits, self._waiting_root = False, None
        self.report_started()
        if self.sink is not None and lost:
            self.sink.spans_lost(lost, with_root=True)

    def leave_to_parent(self) -> None:
        """Forget what is here, in a forked child: the parent sends it. What starts from now on follows up."""
        self.lock = threading.RLock()
        self._finished = []
        self._reported = self.started
        self.closed = True
        self.waits, self._waiting_root = False, None

    def __del__(self) -> None:
        # No span of this segment exists any more: those that did not end never will.
        unsent = self.started - self._handed_over
        if unsent > 0 and self.sink is not None and self._process == forking.generation:
            self.report_started()
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
        decided = Dsc(dsc, sampled=format_sampled(self.sampled))
        if self.decision.sample_rate is not None:
            decided["sample_rate"] = format_sample_rate(self.decision.sample_rate)
        if parse_sample_rand(decided.get("sample_rand")) is None:
            decided["sample_rand"] = self.decision.sample_rand
        return decided

    def _head_dsc(self) -> Dsc:
        dsc = base_dsc(self.trace_id, self.decision.sample_rand, self.options)
        if self.decision.sample_rate is not None:
            dsc["sample_rate"] = format_sample_rate(self.decision.sample_rate)
        if self.sampled is not None:
            dsc["sampled"] = format_sampled(self.sampled)
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
