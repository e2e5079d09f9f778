"""`console=True`: print each finished trace as a tree, for development."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

from bridge._internal.console.pending import FinishedTree, PendingEvents, PendingSegments
from bridge._internal.console.rendering import Row, event_pieces, format_duration, timeline_bar, tree_lines, tree_rows
from bridge._internal.console.terminal import Terminal, display_width, pluralized, printable, truncated
from bridge._internal.console.tree import build_trees, sorted_spans, span_from_payload, transaction_spans
from bridge._internal.delivery.envelope import EVENT, SPAN_CONTAINER, TRANSACTION
from bridge._internal.delivery.observer import DeliveryObserver
from bridge._internal.forking import reset_in_children
from bridge._internal.guard import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge._internal.console.terminal import Line, Piece
    from bridge._internal.console.tree import SentSpan
    from bridge._internal.delivery.envelope import Envelope
    from bridge._internal.options import Options

MAX_ROWS = 200
"""Lines printed of one tree; the rest is counted."""
_BAR = 14
_WIDTH_FOR_ALL = 100
_INDENT = ("  ", "")
_REMEMBERED_TRACES = 1000
_INSTRUMENTATION = "opentelemetry.instrumentation."
_ALREADY_SENT = "sentry.parent_span_already_sent"


class Console(DeliveryObserver):
    """Print what is sent, after all hooks, and one line for each item that a hook or rule dropped.

    A transaction is printed when its root ends, streamed spans together with their root. Errors are printed beneath
    the span they were captured in, or alone if the root stays open for some seconds. The worker's thread prints
    everything, each tree in one write. If standard error cannot be written to, output is dropped.
    """

    def __init__(self) -> None:
        self._reset()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        """Forget, in a forked child, what the parent will print."""
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()  # protects the counters that any thread writes to
        self._not_sampled = 0
        self._lost = 0
        self._expecting: set[str] = set()
        self._events = PendingEvents()
        self._segments = PendingSegments()
        self._left_out: dict[str, Counter[str]] = {}

    def begin(self, options: Options) -> None:
        """Print a note if the options keep spans from being printed."""
        with _guarded():
            if not options.tracing_enabled:
                self._print([_note("tracing is off: set traces_sample_rate=1.0 to print traces here")])
            elif options.trace_lifecycle == "none":
                self._print([_note('trace_lifecycle is "none": only errors are printed here')])

    def sent(self, envelope: Envelope) -> None:
        """Print the transaction, error or spans in an envelope."""
        with _guarded():
            for item in envelope.items:
                if item.type == TRANSACTION:
                    self._transaction(item.content())
                elif item.type == SPAN_CONTAINER:
                    for tree in self._segments.add(map(span_from_payload, item.content()["items"])):
                        self._tree(tree)
                elif item.type == EVENT:
                    self._event(item.content())

    def expect_tree(self, event_id: str) -> None:
        """Hold an event back until its tree is printed."""
        self._expecting.add(event_id)

    def dropped(self, event: Mapping[str, Any], by: str) -> None:
        """Print a line for a dropped event, and the errors that were captured in a dropped transaction."""
        with _guarded():
            self._left_out.pop(_trace_id_of(event), None)
            if event.get("type") != "transaction":
                summary, *place = event_pieces(event)
                self._print([[summary, (f"  dropped by {by}", "quiet"), *place]])
                return
            spans = transaction_spans(event)
            took = format_duration(spans[0].duration_ms).strip()
            line = _note(f"- {printable(str(event['transaction']))}  {took}  dropped by {by}")
            errors = self._events.take({span.span_id for span in spans})
            self._print([line, *map(_indented, errors), []])

    def left_out(self, trace_id: str, quantity: int, why: str) -> None:
        """Remember the count for a note beneath the next tree of this trace."""
        if quantity > 0:
            self._left_out.setdefault(trace_id, Counter())[why] += quantity
            if len(self._left_out) > _REMEMBERED_TRACES:
                self._left_out.pop(next(iter(self._left_out)))

    def count_not_sampled(self) -> bool:
        """Count an unsampled root; return `True` for the first one since the last note."""
        with self._lock:
            self._not_sampled += 1
            return self._not_sampled == 1

    def report_not_sampled(self) -> None:
        """Print how many roots were not sampled since the last note."""
        with self._lock:
            quantity, self._not_sampled = self._not_sampled, 0
        if quantity:
            with _guarded():
                self._print([_note(f"- {pluralized(quantity, 'root was', 'roots were')} not sampled")])

    def count_lost(self, quantity: int) -> None:
        """Count lost spans for a later note; only counts, because a finalizer may be calling."""
        with self._lock:
            self._lost += quantity

    def tick(self) -> None:
        """Print overdue errors, and a note about lost spans."""
        with _guarded():
            self._print([[*event_pieces(event), *_trace_id_line(event)] for event in self._events.overdue()])
            self._print_lost()

    def end(self) -> None:
        """Print everything that is still pending."""
        with _guarded():
            self.report_not_sampled()
            for tree in self._segments.rest():
                self._tree(tree)
            self._print([[*event_pieces(event), *_trace_id_line(event)] for event in self._events.rest()])
            self._print_lost()

    def _print_lost(self) -> None:
        with self._lock:
            quantity, self._lost = self._lost, 0
        if quantity:
            self._print(
                [_note(f"- {pluralized(quantity, 'span is', 'spans are')} not sent: they, or their root, did not end")]
            )

    def _event(self, event: dict[str, Any]) -> None:
        if event.get("event_id") not in self._expecting:
            self._print([[*event_pieces(event), *_trace_id_line(event)]])
            return
        self._expecting.discard(event["event_id"])
        for no_room in self._events.add(event):
            self._print([[*event_pieces(no_room), *_trace_id_line(no_room)]])

    def _transaction(self, event: dict[str, Any]) -> None:
        late = event["contexts"]["trace"].get("data", {}).get(_ALREADY_SENT) is True
        self._tree(FinishedTree(transaction_spans(event), late=late))

    def _tree(self, tree: FinishedTree) -> None:
        spans = sorted_spans(tree.spans)
        events = self._events.take({span.span_id for span in spans})
        roots, _ = build_trees(spans, events)
        trace_id = spans[0].trace_id
        drawn = [row for root in roots for row in tree_rows(root)]
        notes = [_note(f"  … {pluralized(len(drawn) - MAX_ROWS, 'more line', 'more lines')}")] * (len(drawn) > MAX_ROWS)
        for why, quantity in self._left_out.pop(trace_id, Counter()).items():
            notes.append(_note(f"  … {pluralized(quantity, 'more span', 'more spans')} {why}"))

        def lines(width: int) -> list[Line]:
            shown: Sequence[Row] = list(islice(drawn, MAX_ROWS))
            body = tree_lines(shown, _columns(spans, width), width - len(_INDENT[0]))
            return [_heading(tree, trace_id), *([_INDENT, *line] for line in body), *notes, []]

        self._write(lines)

    def _print(self, lines: Sequence[Line]) -> None:
        if lines:
            self._write(lambda width: [_fitted(line, width) for line in lines])

    def _write(self, lines: Callable[[int], Sequence[Line]]) -> None:
        stream = sys.stderr
        if stream is None:  # a Windows program without a console
            return
        terminal = Terminal(stream)
        drawn = lines(terminal.width)
        try:
            terminal.write(drawn)
        except (OSError, ValueError):  # closed, or a broken pipe; logging writes there too
            return


def _guarded() -> guard:
    return guard("console", "finished spans could not be printed")


def _columns(spans: Sequence[SentSpan], width: int) -> Callable[[SentSpan], Sequence[Piece]]:
    start_s, end_s = min(span.started_s for span in spans), max(span.ended_s for span in spans)

    def columns(span: SentSpan) -> Sequence[Piece]:
        is_ours = span.made_by == "start_span()"
        drawn, maker = "", "bridge" if is_ours else "otel"
        if width >= _WIDTH_FOR_ALL:
            drawn, maker = timeline_bar(span, start_s, end_s, _BAR), span.made_by
            if span.scope and not is_ours:
                maker += f" {truncated(printable(span.scope.removeprefix(_INSTRUMENTATION)), 20)}"
        return [
            (truncated(printable(span.op or ""), 20), "op"),
            (format_duration(span.duration_ms), ""),
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


def _note(text: str) -> Line:
    return [(text, "quiet")]


def _indented(event: Mapping[str, Any]) -> Line:
    (text, role), *place = event_pieces(event)
    return [(_INDENT[0] + text, role), *place]


def _trace_id_line(event: Mapping[str, Any]) -> Line:
    return [(f"  trace {_trace_id_of(event)}", "quiet")]


def _trace_id_of(event: Mapping[str, Any]) -> str:
    return str(event.get("contexts", {}).get("trace", {}).get("trace_id"))


def _fitted(line: Line, width: int) -> Line:
    """Fit a line to the width: drop pieces from the end, then truncate the message."""
    kept = list(line)
    while len(kept) > 1 and sum(display_width(text) for text, _ in kept) > width:
        kept.pop()
    if len(kept) == 1:
        text, role = kept[0]
        return [(truncated(text, width), role)]
    return kept
