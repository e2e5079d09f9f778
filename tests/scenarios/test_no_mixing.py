"""Under load: not one value of a request is on another request's payload."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

import bridge
from bridge.testing import BridgeCapture

tracer = trace.get_tracer("native")
REQUESTS, LEVELS = 500, 5


def check(sent: BridgeCapture) -> None:
    """Each payload has its own request's number everywhere, and all levels are there."""
    transactions, events = sent.transactions, sent.events
    assert (len(transactions), len(events)) == (REQUESTS, REQUESTS)
    seen = set()
    for transaction in transactions:
        number = transaction["transaction"].removeprefix("request ")
        seen.add(number)
        levels = {f"level_{n}": number for n in range(LEVELS)}
        assert transaction["tags"] == {"request": number, **levels}
        names = [span["description"] for span in transaction["spans"]]
        assert names == [f"level {n} of {number}" for n in range(LEVELS)]
        trace_ids = {span["trace_id"] for span in transaction["spans"]}
        assert trace_ids == {transaction["contexts"]["trace"]["trace_id"]}
    for event in events:
        number = event["exception"]["values"][0]["value"]
        assert {value for key, value in event["tags"].items()} == {number}
        assert event["user"] == {"id": number}, "a number is sent as text"
        assert [crumb["message"] for crumb in event["breadcrumbs"]["values"]] == [f"crumb of {number}"]
    assert len(seen) == REQUESTS
    assert len({t["contexts"]["trace"]["trace_id"] for t in transactions}) == REQUESTS


async def level(n: int, number: int) -> None:
    """One nested level, of either API in turn."""
    if n == LEVELS:
        bridge.add_breadcrumb(message=f"crumb of {number}")
        bridge.capture_exception(ValueError(number))
        return
    name = f"level {n} of {number}"
    with bridge.start_span(name) if n % 2 else tracer.start_as_current_span(name):
        bridge.set_tag(f"level {n}", number)
        bridge.get_current_scope().set_tag("current", number)
        await asyncio.sleep(random.random() / 200)
        await level(n + 1, number)


@pytest.mark.parametrize("ended_by", ["itself", "another task", "another thread"])
def test_500_concurrent_requests(sent: BridgeCapture, ended_by: str) -> None:
    """500 requests at once, five levels of both APIs each, also when roots are ended in another task or thread."""

    async def request(number: int, pool: ThreadPoolExecutor) -> None:
        span = tracer.start_span(f"request {number}", kind=SpanKind.SERVER)
        with trace.use_span(span):
            bridge.set_tag("request", number)
            bridge.set_user({"id": number})
            await level(0, number)
        if ended_by == "itself":
            span.end()
        elif ended_by == "another task":
            await asyncio.create_task(asyncio.to_thread(span.end))
        else:
            pool.submit(span.end).result()

    async def main() -> None:
        with ThreadPoolExecutor(4) as pool:
            await asyncio.gather(*(request(number, pool) for number in range(REQUESTS)))

    asyncio.run(main())
    check(sent)


def test_500_requests_in_threads(sent: BridgeCapture) -> None:
    """The same on 16 threads of a pool."""
    lock, done = threading.Lock(), []

    def request(number: int) -> None:
        with bridge.start_span(f"request {number}", kind=SpanKind.SERVER):
            bridge.set_tag("request", number)
            bridge.set_user({"id": number})
            asyncio.run(level(0, number))
        with lock:
            done.append(number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(request, range(REQUESTS)))
    assert len(done) == REQUESTS
    check(sent)
