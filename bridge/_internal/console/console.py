"""Console: prints each trace that has finished, as a tree, for the one who develops."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

from bridge._internal.console.pending import FinishedTree, WaitingEvents, WaitingSegments
from bridge._internal.console.rendering import (
    Row,
    bar,
    cells,
    counted,
    cut,
    duration,
    event_pieces,
    printable,
    rows,
    table,
)
from bridge._internal.console.terminal import has_rich, paper_for
from bridge._internal.console.tree import in_order, sent_span, spans_of, with_events
from bridge._internal.delivery.envelope import EVENT, SPAN_CONTAINER, TRANSACTION
from bridge._internal.delivery.observer import DeliveryObserver
from bridge._internal.forking import reset_in_children
from bridge._internal.guard import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge._internal.console.rendering import Line, Piece
    from bridge._internal.console.tree import SentSpan
    from bridge._internal.delivery.envelope import Envelope
    from bridge._internal.options import Options

MAX_ROWS = 200
"""Lines of one tree; what more there is, is counted."""
_BAR = 14
_WIDTH_FOR_ALL = 100
_INDENT = ("  ", "")
_REMEMBERED_TRACES = 1000
_INSTRUMENTATION = "opentelemetry.instrumentation."
_ALREADY_SENT = "sentry.parent_span_already_sent"


class Console(DeliveryObserver):
    """Shows what is sent, as hooks left it, and what hooks and rules dropped, in a line each.

    A transaction is shown when its root has ended, streamed spans with their root. Errors stand beneath the span that
    they were captured in; one whose root stays open is shown alone after some seconds. Everything is printed by the
    worker's thread, a tree in one piece. A stream that cannot be written to is left alone: nothing else is disturbed.
    """

    def __init__(self) -> None:
        if has_rich():
            import rich.console  # noqa: F401 - here, and not in the worker's thread, beside which a process may fork
        self._begin_anew()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Leave to the parent what the parent will show."""
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._lock = threading.RLock()  # protects the counters that any thread writes to
        self._not_sampled = 0
        self._lost = 0
        self._expecting: set[str] = set()
        self._events = WaitingEvents()
        self._segments = WaitingSegments()
        self._left_out: dict[str, Counter[str]] = {}

    def begin(self, options: Options) -> None:
        """Say so where no spans will be seen."""
        with _guarded():
            if not options.tracing_enabled:
                self._print([_quiet("tracing is off: with traces_sample_rate=1.0 traces are shown here")])
            elif options.trace_lifecycle == "none":
                self._print([_quiet('trace_lifecycle is "none": errors are shown here, spans go another way')])

    def sent(self, envelope: Envelope) -> None:
        """Show the transaction, the error or the spans in an envelope."""
        with _guarded():
            for item in envelope.items:
                if item.type == TRANSACTION:
                    self._transaction(item.content())
                elif item.type == SPAN_CONTAINER:
                    for tree in self._segments.add(map(sent_span, item.content()["items"])):
                        self._tree(tree)
                elif item.type == EVENT:
                    self._event(item.content())

    def expect_tree(self, event_id: str) -> None:
        """Let an event wait for the tree that it belongs to."""
        self._expecting.add(event_id)

    def dropped(self, event: Mapping[str, Any], by: str) -> None:
        """Show in a line what is not sent, with the errors that were captured in it."""
        with _guarded():
            self._left_out.pop(_trace_id_of(event), None)
            if event.get("type") != "transaction":
                said, *place = event_pieces(event)
                self._print([[said, (f"  dropped by {by}", "quiet"), *place]])
                return
            spans = spans_of(event)
            took = duration(spans[0].duration_ms).strip()
            line = _quiet(f"- {printable(str(event['transaction']))}  {took}  dropped by {by}")
            errors = self._events.take({span.span_id for span in spans})
            self._print([line, *map(_beneath, errors), []])

    def left_out(self, trace_id: str, quantity: int, why: str) -> None:
        """Remember to say so beneath the next tree of this trace."""
        if quantity > 0:
            self._left_out.setdefault(trace_id, Counter())[why] += quantity
            if len(self._left_out) > _REMEMBERED_TRACES:
                self._left_out.pop(next(iter(self._left_out)))

    def count_not_sampled(self) -> bool:
        """Count a root that was decided against; the first since they were last told of has to be told."""
        with self._lock:
            self._not_sampled += 1
            return self._not_sampled == 1

    def report_not_sampled(self) -> None:
        """Say in a quiet line how many roots were decided against."""
        with self._lock:
            quantity, self._not_sampled = self._not_sampled, 0
        if quantity:
            with _guarded():
                self._print([_quiet(f"- {counted(quantity, 'root was', 'roots were')} not sampled")])

    def count_lost(self, quantity: int) -> None:
        """Count spans that will not come, to be told of later: a finalizer may be calling."""
        with self._lock:
            self._lost += quantity

    def tick(self) -> None:
        """Show errors that have waited for long, and say what will not come."""
        with _guarded():
            self._print([[*event_pieces(event), *_place(event)] for event in self._events.overdue()])
            self._tell_lost()

    def end(self) -> None:
        """Show what still waits."""
        with _guarded():
            self.report_not_sampled()
            for tree in self._segments.rest():
                self._tree(tree)
            self._print([[*event_pieces(event), *_place(event)] for event in self._events.rest()])
            self._tell_lost()

    def _tell_lost(self) -> None:
        with self._lock:
            quantity, self._lost = self._lost, 0
        if quantity:
            self._print(
                [_quiet(f"- {counted(quantity, 'span is', 'spans are')} not sent: they, or their root, did not end")]
            )

    def _event(self, event: dict[str, Any]) -> None:
        if event.get("event_id") not in self._expecting:
            self._print([[*event_pieces(event), *_place(event)]])
            return
        self._expecting.discard(event["event_id"])
        for no_room in self._events.add(event):
            self._print([[*event_pieces(no_room), *_place(no_room)]])

    def _transaction(self, event: dict[str, Any]) -> None:
        late = event["contexts"]["trace"].get("data", {}).get(_ALREADY_SENT) is True
        self._tree(FinishedTree(spans_of(event), late=late))

    def _tree(self, tree: FinishedTree) -> None:
        spans = in_order(tree.spans)
        events = self._events.take({span.span_id for span in spans})
        roots, _ = with_events(spans, events)
        trace_id = spans[0].trace_id
        drawn = [row for root in roots for row in rows(root)]
        notes = [_quiet(f"  … {counted(len(drawn) - MAX_ROWS, 'more line', 'more lines')}")] * (len(drawn) > MAX_ROWS)
        for why, quantity in self._left_out.pop(trace_id, Counter()).items():
            notes.append(_quiet(f"  … {counted(quantity, 'more span', 'more spans')} {why}"))

        def lines(width: int) -> list[Line]:
            shown: Sequence[Row] = list(islice(drawn, MAX_ROWS))
            body = table(shown, _columns(spans, width), width - len(_INDENT[0]))
            return [_heading(tree, trace_id), *([_INDENT, *line] for line in body), *notes, []]

        self._write(lines)

    def _print(self, lines: Sequence[Line]) -> None:
        if lines:
            self._write(lambda width: [_fitting(line, width) for line in lines])

    def _write(self, lines: Callable[[int], Sequence[Line]]) -> None:
        stream = sys.stderr
        if stream is None:  # a program without a console, on Windows
            return
        paper = paper_for(stream)
        drawn = lines(paper.width)
        try:
            paper.write(drawn)
        except (OSError, ValueError):  # it is closed, or its reader has gone; the log goes there too
            return


def _guarded() -> guard:
    return guard("console", "what was finished could not be shown")


def _columns(spans: Sequence[SentSpan], width: int) -> Callable[[SentSpan], Sequence[Piece]]:
    start_s, end_s = min(span.started_s for span in spans), max(span.ended_s for span in spans)

    def columns(span: SentSpan) -> Sequence[Piece]:
        is_ours = span.made_by == "start_span()"
        drawn, maker = "", "bridge" if is_ours else "otel"
        if width >= _WIDTH_FOR_ALL:
            drawn, maker = bar(span, start_s, end_s, _BAR), span.made_by
            if span.scope and not is_ours:
                maker += f" {cut(printable(span.scope.removeprefix(_INSTRUMENTATION)), 20)}"
        return [
            (cut(printable(span.op or ""), 20), "op"),
            (duration(span.duration_ms), ""),
            (drawn, "bar_wrong" if span.status else "bar"),
            (maker, "bridge" if is_ours else "native"),
            (printable(span.status or ""), "wrong"),
        ]

    return columns


def _heading(tree: FinishedTree, trace_id: str) -> Line:
    line: Line = [("trace ", "quiet"), (trace_id, "heading")]
    if tree.late:
        line.append(("  follow-up: it came after its root was sent", "quiet"))
    elif not tree.ended:
        line.append(("  so far: its root has not ended", "quiet"))
    elif (above := tree.root.parent_span_id) is not None:
        line.append((f"  continued from span {above}", "quiet"))
    return line


def _quiet(text: str) -> Line:
    return [(text, "quiet")]


def _beneath(event: Mapping[str, Any]) -> Line:
    (text, role), *place = event_pieces(event)
    return [(_INDENT[0] + text, role), *place]


def _place(event: Mapping[str, Any]) -> Line:
    return [(f"  trace {_trace_id_of(event)}", "quiet")]


def _trace_id_of(event: Mapping[str, Any]) -> str:
    return str(event.get("contexts", {}).get("trace", {}).get("trace_id"))


def _fitting(line: Line, width: int) -> Line:
    """Leave out what stands behind the message, the last first, and cut that only if it is too long by itself."""
    kept = list(line)
    while len(kept) > 1 and sum(cells(text) for text, _ in kept) > width:
        kept.pop()
    if len(kept) == 1:
        text, role = kept[0]
        return [(cut(text, width), role)]
    return kept
