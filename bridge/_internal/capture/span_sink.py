"""SpanSink: where the segments of one client go."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from bridge._internal.capture.event import is_control_flow
from bridge._internal.capture.trace_lifecycle import StreamedSpans, WholeTransactions, layers_of
from bridge._internal.delivery import outcomes as reasons
from bridge._internal.delivery.envelope import SPAN_CATEGORY, TRANSACTION_CATEGORY
from bridge._internal.guard import guard
from bridge._internal.tracing.open_segments import OpenSegments

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge._internal.capture.transaction import PayloadOptions
    from bridge._internal.delivery.sender import Sender
    from bridge._internal.delivery.worker import Worker
    from bridge._internal.options import Options
    from bridge._internal.sampling.decision import Decision
    from bridge._internal.tracing.finished_span import EndedSpan
    from bridge._internal.tracing.segment import Segment


ROOT_WAITS_S = 0.3
"""How long a root that ended before its children waits for them, at most."""


def settle_later(segment: Segment, worker: Worker) -> bool:
    """Have a worker settle a root that waits for its children, if it waits so long; `False` if the worker cannot."""
    find_settle = weakref.WeakMethod(segment.settle)  # what was settled before must not live on for this

    def settle() -> None:
        found = find_settle()
        if found is not None:
            found()

    return worker.run_later(settle, ROOT_WAITS_S)


class SpanSink:
    """Counts spans as they start, sends them as they end, and knows the local roots that are open.

    It is the `bridge._internal.tracing.segment.SegmentSink` of a client.
    """

    def __init__(
        self,
        options: Options,
        payload_options: PayloadOptions,
        sender: Sender,
        capture_exception: Callable[[BaseException], object],
    ) -> None:
        self._options = options
        self._sender = sender
        self._capture_exception = capture_exception
        self.streams_spans = options.trace_lifecycle == "stream"
        self.collects_spans = sender.sends and options.trace_lifecycle != "none"
        lifecycle = StreamedSpans if self.streams_spans else WholeTransactions
        self._lifecycle = lifecycle(options, payload_options, sender)
        self.open_segments = OpenSegments()

    def spans_started(self, quantity: int) -> None:
        """Count spans that were started sampled."""
        self._sender.outcomes.spans_started(quantity)

    def segment_started(self, segment: Segment) -> None:
        """Know of a local root until it ends."""
        self.open_segments.add(segment)
        if self.streams_spans:
            self._sender.worker.start()

    def root_waits(self, segment: Segment) -> bool:
        """Have a root that ended before its children settled by the worker a little later."""
        segment.ended_with = layers_of(segment)
        return settle_later(segment, self._sender.worker)

    def segment_ended(self, segment: Segment, children: list[EndedSpan], overflow: int) -> None:
        """Send a local root with its finished children, off the caller's thread."""
        self.open_segments.discard(segment)
        self._lifecycle.segment_ended(segment, children, overflow)

    def spans_ended(self, segment: Segment, spans: list[EndedSpan]) -> None:
        """Send finished children by themselves, off the caller's thread."""
        self._lifecycle.spans_ended(segment, spans)

    def spans_lost(self, quantity: int, *, with_root: bool) -> None:
        """Count spans that will not be sent: they never ended, or their root, one of them, was let go."""
        outcomes = self._sender.outcomes
        if with_root and not self.streams_spans:
            outcomes.lost(reasons.BUFFER_OVERFLOW, TRANSACTION_CATEGORY)
        outcomes.lost(reasons.BUFFER_OVERFLOW, SPAN_CATEGORY, quantity)
        self._sender.observer.count_lost(quantity)

    def exception_recorded(self, error: BaseException) -> None:
        """Send an exception that was recorded on a span, unless it was sent already or is no error."""
        with guard("capture", "a recorded exception could not be captured"):
            if not is_control_flow(error):
                self._capture_exception(error)

    def root_not_sampled(self, decision: Decision) -> None:
        """Count a local root that was decided against."""
        if not self._options.tracing_enabled:
            return
        reason = reasons.BACKPRESSURE if decision.lowered else reasons.SAMPLE_RATE
        self._sender.outcomes.lost(reason, self._sender.trace_category, was_started=False)
        if self._sender.observer.count_not_sampled():
            self._sender.worker.submit(self._sender.observer.report_not_sampled)

    def send_waiting(self) -> None:
        """Send what has ended below roots that are open, where spans are streamed."""
        if self.streams_spans:
            for segment in self.open_segments.all():
                segment.send_waiting()

    def hand_over(self) -> None:
        """Send all that has ended: no root waits for its children any longer."""
        for segment in self.open_segments.all():
            if segment.waits:
                segment.settle()
        self.send_waiting()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything recorded so far was sent, at most `timeout` seconds; `False` if it was not."""
        with guard("client", "flushing failed"):
            self.hand_over()
            return self._sender.flush(self._options.shutdown_timeout if timeout is None else timeout)
        return False

    def count_started(self) -> None:
        """Bring the count of started spans up to date."""
        for segment in self.open_segments.all():
            segment.report_started()

    def close(self) -> None:
        """Collect no more spans, and count those of open roots as lost."""
        self.collects_spans = False
        self.open_segments.abandon_all()
