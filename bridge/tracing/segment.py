"""Segment: what one local root and all below it share: the decision, the DSC, the scopes, the finished spans."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry.trace import TraceFlags
from opentelemetry.trace.span import TraceState

from bridge._otel import RANDOM_TRACE_FLAG
from bridge.propagation.sample_rand import format_sample_rate
from bridge.propagation.tracestate import (
    OTEL_MEMBER,
    SENTRY_MEMBER,
    OtState,
    SentryState,
    format_ot_member,
    format_sentry_member,
    threshold_for_rate,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.capture.transaction import SpanLike
    from bridge.context.scope import ScopeData, Scopes
    from bridge.options import Options
    from bridge.tracing.upstream import Sampled, Upstream


class SegmentSink(Protocol):
    """Where segments go: the client."""

    def span_started(self) -> None:
        """A sampled span was started."""

    def segment_ended(self, segment: Segment, children: list[SpanLike], overflow: int) -> None:
        """A local root ended; its finished children go with it, `overflow` more did not fit."""

    def exception_recorded(self, error: BaseException) -> None:
        """An exception was recorded on a sampled span, with `capture_span_exceptions` on."""

    def root_not_sampled(self) -> None:
        """A local root was decided against."""


class Decision:
    """What was decided for a local root, and by which numbers.

    `overrides`: the decision was made here against, or in the place of, an upstream's, so a continued DSC says so.
    """

    __slots__ = ("overrides", "record", "sample_rand", "sample_rate", "sampled", "trace_state")

    def __init__(
        self,
        sampled: Sampled,
        sample_rand: str,
        sample_rate: float | None = None,
        *,
        overrides: bool = False,
        record: bool | None = None,
        trace_state: TraceState | None = None,
    ) -> None:
        self.sampled = sampled
        self.sample_rand = sample_rand
        self.sample_rate = sample_rate
        self.overrides = overrides
        self.record = (sampled is True) if record is None else record
        self.trace_state = trace_state  # what another sampler made of the upstream's


class Segment:
    """One local root and all below it."""

    __slots__ = (
        "_dsc",
        "_finished",
        "_lock",
        "_overflow",
        "_trace_state",
        "closed",
        "decision",
        "execution",
        "late",
        "options",
        "own_scope",
        "recording",
        "root",
        "sampled",
        "scopes",
        "sink",
        "trace_flags",
        "trace_id",
        "upstream",
    )

    def __init__(
        self,
        trace_id: int,
        decision: Decision,
        *,
        upstream: Upstream | None,
        scopes: Scopes,
        options: Options,
        sink: SegmentSink | None,
        execution: tuple[int, Any],
        random_trace_id: bool = False,
    ) -> None:
        self.trace_id = trace_id
        self.decision = decision
        self.sampled: Sampled = decision.sampled
        self.recording = decision.record
        self.upstream = upstream
        self.scopes = scopes
        self.options = options
        self.sink = sink
        self.root: Any = None
        self.execution = execution
        self.own_scope: ScopeData | None = None
        self.late = False  # follows a root that was sent before
        flags = TraceFlags.SAMPLED if self.sampled and self.recording else TraceFlags.DEFAULT
        self.trace_flags = TraceFlags(flags | (RANDOM_TRACE_FLAG if random_trace_id else 0))
        self._lock = threading.Lock()  # protects the four below
        self.closed = False
        self._finished: list[SpanLike] = []
        self._overflow = 0
        self._dsc: Mapping[str, str] | None = None
        self._trace_state: TraceState | None = None

    def follow_up(self, scopes: Scopes | None, execution: tuple[int, Any]) -> Segment:
        """Return the segment of a span that starts or ends after the root was sent: same trace, decision and DSC."""
        follower = Segment(
            self.trace_id,
            self.decision,
            upstream=self.upstream,
            scopes=scopes or self.scopes,
            options=self.options,
            sink=self.sink,
            execution=execution,
            random_trace_id=bool(self.trace_flags & RANDOM_TRACE_FLAG),
        )
        follower.late = True
        follower._dsc = self.dsc()
        return follower

    @property
    def current_scope(self) -> ScopeData:
        """The current scope's data to send with: what was in force at the start, or what the root's block wrote."""
        return self.scopes.current if self.own_scope is None else self.own_scope

    def finish(self, span: SpanLike) -> bool:
        """Take a finished child; `False` if the root has been sent already."""
        with self._lock:
            if self.closed:
                return False
            if len(self._finished) < self.options.max_spans:
                self._finished.append(span)
            else:
                self._overflow += 1
            return True

    def take(self, span: SpanLike) -> None:
        """Take a span that has just ended: the root closes the segment, a child waits for it or comes after it."""
        if span is self.root:
            self._send(*self.close())
        elif not self.finish(span):
            follower = self.follow_up(getattr(span, "_bridge_scopes", None), self.execution)
            follower.root = span
            follower._send([], 0)

    def _send(self, children: list[SpanLike], overflow: int) -> None:
        if self.sink is not None:
            self.sink.segment_ended(self, children, overflow)

    def close(self) -> tuple[list[SpanLike], int]:
        """End the segment: return the finished children and how many did not fit."""
        with self._lock:
            finished, self._finished = self._finished, []
            self.closed = True
            return finished, self._overflow

    def dsc(self) -> Mapping[str, str]:
        """Return the dynamic sampling context, frozen by this if it was not yet."""
        with self._lock:
            if self._dsc is None:
                self._dsc = self._continued_dsc() if self.upstream is not None else None
            if self._dsc is None:
                self._dsc = self._head_dsc()
            return self._dsc

    def _continued_dsc(self) -> Mapping[str, str] | None:
        assert self.upstream is not None
        dsc = self.upstream.dsc
        if not dsc or not self.decision.overrides or self.sampled is None:
            return dsc
        decided = {**dsc, "sampled": _flag(self.sampled)}
        if self.decision.sample_rate is not None:
            decided["sample_rate"] = format_sample_rate(self.decision.sample_rate)
        decided.setdefault("sample_rand", self.decision.sample_rand)
        return decided

    def _head_dsc(self) -> Mapping[str, str]:
        dsc = surrounding_dsc(self.trace_id, self.decision.sample_rand, self.options)
        if self.decision.sample_rate is not None:
            dsc["sample_rate"] = format_sample_rate(self.decision.sample_rate)
        if self.sampled is not None:
            dsc["sampled"] = _flag(self.sampled)
        if self.root is not None and (name := self.root.transaction_name()):
            dsc["transaction"] = name
        return dsc

    def trace_state(self) -> TraceState:
        """Return the W3C trace state of all spans here: our member first, other vendors' in their order."""
        made = self._trace_state
        if made is None:
            others = self.decision.trace_state
            if others is None and self.upstream is not None:
                others = self.upstream.trace_state
            made = self._trace_state = trace_state_for(self.decision, others, head=self.upstream is None)
        return made


def _flag(sampled: bool) -> str:
    return "true" if sampled else "false"


def surrounding_dsc(trace_id: int, sample_rand: str, options: Options) -> dict[str, str]:
    """Return the DSC for what is sent with no span: no transaction, no rate, no decision."""
    dsc = {"trace_id": f"{trace_id:032x}"}
    if options.dsn is not None:
        dsc["public_key"] = options.dsn.public_key
    if options.release:
        dsc["release"] = options.release
    dsc["environment"] = options.environment
    if options.effective_org_id:
        dsc["org_id"] = options.effective_org_id
    dsc["sample_rand"] = sample_rand
    return dsc


def trace_state_for(decision: Decision, others: TraceState | None, *, head: bool) -> TraceState:
    """Return the trace state that says this decision, before the members of others.

    A head that sampled at a rate also writes the threshold that says so to OpenTelemetry's samplers (`ot=th:`).
    """
    ours = format_sentry_member(SentryState(decision.sampled, decision.sample_rate, decision.sample_rand))
    members = [(SENTRY_MEMBER, ours)]
    if head and decision.sampled and decision.sample_rate and OTEL_MEMBER not in (others or {}):
        threshold = threshold_for_rate(decision.sample_rate)
        members.append((OTEL_MEMBER, format_ot_member(OtState(threshold=threshold, random_value=None))))
    members += [(key, value) for key, value in (others or {}).items() if key != SENTRY_MEMBER]
    return TraceState(members[:32])
