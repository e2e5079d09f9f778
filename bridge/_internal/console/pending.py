"""Events and streamed spans that are held back until their root ends."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge._internal.console.tree import event_span_id

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from bridge._internal.console.tree import SentSpan

    Event = Mapping[str, Any]

MAX_EVENTS = 1000
MAX_SPANS = 10_000
_REMEMBERED_SEGMENTS = 1000


@dataclass(slots=True)
class _PendingEvent:
    event: Event
    ticks: int = 0
    is_shown: bool = False


class PendingEvents:
    """Events held back until the tree of their span is printed, or printed alone if that takes long."""

    def __init__(self) -> None:
        self._waiting: deque[_PendingEvent] = deque()

    def add(self, event: Event) -> Iterator[Event]:
        """Hold an event; yield unprinted events that exceed `MAX_EVENTS`."""
        self._waiting.append(_PendingEvent(event))
        while len(self._waiting) > MAX_EVENTS:
            oldest = self._waiting.popleft()
            if not oldest.is_shown:
                yield oldest.event

    def take(self, span_ids: Collection[str]) -> list[Event]:
        """Remove and return the events of these spans."""
        if not self._waiting:
            return []
        taken = [one for one in self._waiting if event_span_id(one.event) in span_ids]
        if taken:
            self._waiting = deque(one for one in self._waiting if event_span_id(one.event) not in span_ids)
        return [one.event for one in taken]

    def overdue(self) -> list[Event]:
        """Return unprinted events that have been pending for a whole tick; they stay pending for their tree."""
        found = []
        for one in self._waiting:
            one.ticks += 1
            if one.ticks > 1 and not one.is_shown:
                one.is_shown = True
                found.append(one.event)
        return found

    def rest(self) -> list[Event]:
        """Remove all events and return those not printed yet."""
        waiting, self._waiting = self._waiting, deque()
        return [one.event for one in waiting if not one.is_shown]


class FinishedTree(NamedTuple):
    """Spans of one segment: complete, or those that came `late`, or those that came before it `ended`."""

    spans: list[SentSpan]
    late: bool = False
    ended: bool = True

    @property
    def root(self) -> SentSpan:
        """The segment's root span, or the first span if the root is not among them."""
        return next((span for span in self.spans if span.payload.get("is_segment")), self.spans[0])


class PendingSegments:
    """Streamed spans held back until their root arrives. Beyond `MAX_SPANS` the oldest tree is released early."""

    def __init__(self) -> None:
        self._spans: OrderedDict[str, list[SentSpan]] = OrderedDict()
        self._quantity = 0
        self._complete: OrderedDict[str, None] = OrderedDict()

    def add(self, spans: Iterable[SentSpan]) -> Iterator[FinishedTree]:
        """Add spans; yield the trees that are ready to print."""
        late: dict[str, list[SentSpan]] = {}
        for span in spans:
            segment = str(span.attributes.get("sentry.segment.id", span.span_id))
            if segment in self._complete:
                late.setdefault(segment, []).append(span)
                continue
            self._spans.setdefault(segment, []).append(span)
            self._quantity += 1
            if span.payload.get("is_segment") or segment == span.span_id:
                self._remember(segment)
                yield FinishedTree(self._take(segment))
        for come_late in late.values():
            yield FinishedTree(come_late, late=True)
        while self._quantity > MAX_SPANS:
            yield FinishedTree(self._take(next(iter(self._spans))), ended=False)

    def _take(self, segment: str) -> list[SentSpan]:
        spans = self._spans.pop(segment)
        self._quantity -= len(spans)
        return spans

    def _remember(self, segment: str) -> None:
        self._complete[segment] = None
        if len(self._complete) > _REMEMBERED_SEGMENTS:
            self._complete.popitem(last=False)

    def rest(self) -> Iterator[FinishedTree]:
        """Give all that waits, and keep none."""
        while self._spans:
            yield FinishedTree(self._take(next(iter(self._spans))), ended=False)
