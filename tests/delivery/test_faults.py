"""A whole client under load against a server that does everything wrong: the account balances with the server's."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import pytest
from opentelemetry import trace

import bridge
from bridge._internal.client import Client
from bridge._internal.delivery import connection
from bridge._internal.delivery.transport import Retries
from tests.delivery.sink import FAULTS, HANG, Answer, Sink
from tests.delivery.totals import totals_of

tracer = trace.get_tracer("native")


def work(chance: random.Random) -> None:
    """A trace of both APIs, with an error now and then."""
    with bridge.start_span("root", parent=None):
        for _ in range(chance.randrange(8)):
            with tracer.start_as_current_span("child"), bridge.start_span("below"):
                if chance.random() < 0.2:
                    bridge.capture_message("hello")


async def job(number: int) -> None:
    chance = random.Random(number)
    with tracer.start_as_current_span("task", context=trace.set_span_in_context(trace.INVALID_SPAN)):
        for _ in range(chance.randrange(5)):
            with bridge.start_span("step"):
                await asyncio.sleep(0)
        if chance.random() < 0.3:
            bridge.capture_message("hello")


async def jobs() -> None:
    await asyncio.gather(*(job(number) for number in range(200)))


def audit(client: Client, over: threading.Event, faults: list[Any]) -> None:
    while not over.is_set():
        account = client.accounting()
        if account.started != account.delivered + sum(account.lost.values()) + account.pending or account.pending < 0:
            faults.append(account)
        over.wait(0.001)


@pytest.mark.parametrize("lifecycle", ["static", "stream"])
def test_the_account_balances_with_the_servers(sink: Sink, lifecycle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads and 200 tasks through every fault: each span is at the server once, or lost for a known reason."""
    chance = random.Random(5)
    sink.script.extend(chance.choices([*FAULTS, Answer(), Answer(), Answer()], k=120))
    for place in (20, 60, 100):
        sink.script.insert(place, HANG)
    # Longer than the slowest machine takes to answer: what is answered too late counts on one side only.
    monkeypatch.setattr(connection, "READ_TIMEOUT_S", 2.0)
    client = bridge.init(dsn=str(sink.dsn), traces_sample_rate=1.0, trace_lifecycle=lifecycle, shutdown_timeout=20)
    client.transport.retries = Retries(attempts=4, first_wait_s=0.001, longest_wait_s=0.002)
    over, faults = threading.Event(), []
    auditor = threading.Thread(target=audit, args=(client, over, faults), daemon=True)
    threads = [
        threading.Thread(target=lambda seed=seed: [work(random.Random(seed * 100 + n)) for n in range(25)])
        for seed in range(8)
    ]
    for thread in [auditor, *threads]:
        thread.start()
    asyncio.run(jobs())
    for thread in threads:
        thread.join()
    client.flush(60)  # its answer is no while the last report was refused
    while sink.script:  # what is left of it
        bridge.capture_message("more")
        client.flush(60)
    bridge.capture_message("the last")
    bridge.close()
    over.set()
    auditor.join()
    account = client.accounting()
    assert faults == []
    assert account.pending == 0
    assert account.started > 1000
    assert account.delivered == sink.taken["span"] > 0
    unreported = (client.sender.outcomes.take_report() or {"discarded_events": []})["discarded_events"]
    for category in ("span", "transaction", "error"):
        totals = totals_of(client.sender.outcomes, category)
        assert totals.delivered == sink.taken[category]
        told = sum(sink.reported_of(category).values())
        untold = sum(row["quantity"] for row in unreported if row["category"] == category)
        assert totals.lost_in_all == told + untold + sink.rate_limited[category]
    spans = [span for envelope in sink.envelopes for item in envelope.items for span in _span_ids(item)]
    assert len(spans) == len(set(spans)) == sink.taken["span"]


def _span_ids(item: Any) -> list[str]:
    content = item.content() if item.type in ("transaction", "span") else {}
    ids = [span["span_id"] for span in content.get("spans", content.get("items", []))]
    return [content["contexts"]["trace"]["span_id"], *ids] if item.type == "transaction" else ids
