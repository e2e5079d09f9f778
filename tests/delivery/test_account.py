"""The account balances: what was handed over is delivered or lost, and the server says the same."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading

import pytest

from bridge._internal.delivery.envelope import Envelope
from bridge._internal.delivery.outcomes import QUEUE_OVERFLOW, Outcomes
from bridge._internal.delivery.transport import HttpTransport
from bridge._internal.delivery.worker import Worker
from tests.delivery import payloads
from tests.delivery.sink import FAULTS, Answer, Sink
from tests.delivery.totals import totals_of


class Books:
    """A worker before a transport, and what was handed to them."""

    def __init__(self, transport: HttpTransport, outcomes: Outcomes, max_jobs: int) -> None:
        self.worker = Worker("bridge-delivery", max_jobs=max_jobs)
        self.handed_over = dict.fromkeys(("transaction", "span", "error", "attachment"), 0)
        self._transport = transport
        self._outcomes = outcomes
        self._lock = threading.Lock()

    def hand_over(self, envelope: Envelope) -> None:
        losses = envelope.losses()
        with self._lock:
            for category, quantity in losses.items():
                self.handed_over[category] += quantity
        if not self.worker.submit(lambda: self._transport.send(envelope)):
            for category, quantity in losses.items():
                self._outcomes.lost(QUEUE_OVERFLOW, category, quantity)

    def assert_balanced_with(self, sink: Sink) -> None:
        unreported = (self._outcomes.take_report() or {"discarded_events": []})["discarded_events"]
        for category, quantity in self.handed_over.items():
            totals = totals_of(self._outcomes, category)
            assert totals.delivered + totals.lost_in_all == quantity
            assert totals.delivered == sink.taken[category]
            told = sum(sink.reported_of(category).values())
            untold = sum(row["quantity"] for row in unreported if row["category"] == category)
            assert totals.lost_in_all == told + untold + sink.rate_limited[category]
        assert len(sink.event_ids) == len(set(sink.event_ids))


def envelopes(seed: int, count: int) -> list[Envelope]:
    chance = random.Random(seed)
    return [
        payloads.error(b"x" * chance.randrange(50))
        if chance.random() < 0.3
        else payloads.transaction(chance.randrange(20))
        for _ in range(count)
    ]


@pytest.mark.parametrize(("seed", "max_jobs"), [(1, 10_000), (2, 10_000), (3, 20)])
def test_threads_against_a_faulty_server(sink, connect, outcomes, seed, max_jobs):
    """Eight threads send through every fault there is; each span is in exactly one place."""
    chance = random.Random(seed)
    sink.script.extend(chance.choice([*FAULTS, Answer()]) for _ in range(150))
    transport = connect()
    books = Books(transport, outcomes, max_jobs)

    def send(number: int) -> None:
        for envelope in envelopes(1000 * seed + number, 25):
            books.hand_over(envelope)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert books.worker.close(20)
    transport.close(5)
    books.assert_balanced_with(sink)
    assert books.handed_over["span"] > 500


def test_tasks_against_a_faulty_server(sink, connect, outcomes):
    """Two hundred asyncio tasks do the same."""
    sink.script.extend(itertools.islice(itertools.cycle(FAULTS), 100))
    transport = connect()
    books = Books(transport, outcomes, 10_000)

    async def send(number: int) -> None:
        for envelope in envelopes(number, 2):
            await asyncio.sleep(0)
            books.hand_over(envelope)

    async def main() -> None:
        await asyncio.gather(*(send(number) for number in range(200)))

    asyncio.run(main())
    assert books.worker.close(20)
    transport.close(5)
    books.assert_balanced_with(sink)


def test_closing_in_the_middle_keeps_the_account(sink, connect, outcomes):
    """Close while the server hangs and the queue is full: everything is accounted for when the worker has ended."""
    sink.script.extend([Answer(), "take the request, never answer"])
    transport = connect()
    books = Books(transport, outcomes, 10_000)
    for envelope in envelopes(5, 50):
        books.hand_over(envelope)
    assert sink.hanging.wait(10)
    assert not books.worker.close(0.01)
    transport.close(0.01)
    assert books.worker.close(10)
    books.assert_balanced_with(sink)
    assert outcomes.lost_of("span").keys() <= {"queue_overflow", "network_error"}
