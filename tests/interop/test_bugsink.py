"""What bridge sends to Bugsink is what is read back from it, and what Bugsink refuses is not sent again."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import httpx
import pytest

import bridge
from bridge._internal.delivery.envelope import CONTENT_TYPE, Envelope, Item
from bridge._internal.dsn import Dsn
from tests.delivery.totals import Totals, totals_of
from tests.interop.bugsink import Bugsink

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

pytestmark = pytest.mark.neighbour


class Sent:
    """Keeps each event as it is handed over to be sent (`before_send`)."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any]:
        """Keep the event and send it."""
        self.events.append(event)
        return event


def read_stock() -> None:
    raise KeyError("no such shelf")


def reserve() -> None:
    try:
        read_stock()
    except KeyError as error:
        raise RuntimeError("could not reserve") from error


def test_an_exception_is_read_back_as_it_was_sent(bugsink: Bugsink) -> None:
    """An exception with its cause and all that is set on scopes is stored, link to its span included."""
    sent = Sent()
    client = bridge.init(
        bugsink.dsn, traces_sample_rate=1.0, release="shop@1.2", environment="interop", before_send=sent
    )
    crumb_time = time.time()
    with bridge.isolation_scope(), bridge.start_span("GET /checkout"), bridge.start_span("reserve", op="task") as span:
        bridge.set_tag("shelf", 7)
        bridge.set_user({"id": 42, "email": "ada@example.com"})
        bridge.set_context("basket", {"pieces": 3, "express": True, "sizes": [1.5, None]})
        bridge.set_extra("note", {"text": "gr\u00fc\u00dfe \U0001f40d"})
        bridge.add_breadcrumb(message="opened", category="ui", level="warning", data={"n": 1}, timestamp=crumb_time)
        try:
            reserve()
        except RuntimeError:
            event_id = bridge.capture_exception()
    assert client.flush(10)

    stored = bugsink.events()[event_id or ""]
    assert [(value["type"], value["value"]) for value in stored["exception"]["values"]] == [
        ("KeyError", "'no such shelf'"),
        ("RuntimeError", "could not reserve"),
    ]
    cause, error = (
        [(frame["function"], frame["context_line"].strip()) for frame in value["stacktrace"]["frames"]]
        for value in stored["exception"]["values"]
    )
    assert cause == [("reserve", "read_stock()"), ("read_stock", 'raise KeyError("no such shelf")')]
    assert error[-2:] == [
        ("test_an_exception_is_read_back_as_it_was_sent", "reserve()"),
        ("reserve", 'raise RuntimeError("could not reserve") from error'),
    ]
    assert stored["tags"] == {"shelf": "7"}
    assert stored["user"] == {"id": "42", "email": "ada@example.com"}
    assert stored["contexts"]["basket"] == {"pieces": 3, "express": True, "sizes": [1.5, None]}
    assert stored["extra"] == {"note": {"text": "gr\u00fc\u00dfe \U0001f40d"}}
    [crumb] = stored["breadcrumbs"]["values"]
    assert (crumb["message"], crumb["category"], crumb["level"]) == ("opened", "ui", "warning")
    assert (crumb["data"], crumb["timestamp"]) == ({"n": 1}, crumb_time)
    where = span.get_span_context()
    trace_context = stored["contexts"]["trace"]
    assert trace_context["trace_id"] == f"{where.trace_id:032x}"
    assert trace_context["span_id"] == f"{where.span_id:016x}"
    assert (stored["release"], stored["environment"], stored["level"]) == ("shop@1.2", "interop", "error")
    assert [stored] == sent.events


def test_a_message_is_read_back_as_it_was_sent(bugsink: Bugsink) -> None:
    """A message is stored with its level, outside of any span."""
    sent = Sent()
    client = bridge.init(bugsink.dsn, before_send=sent)
    event_id = bridge.capture_message("stock is low", "warning", tags={"shelf": 7}, fingerprint=["stock", "low"])
    assert client.flush(10)
    stored = bugsink.events()[event_id or ""]
    assert (stored["logentry"], stored["level"]) == ({"message": "stock is low"}, "warning")
    assert (stored["tags"], stored["fingerprint"]) == ({"shelf": "7"}, ["stock", "low"])
    assert [stored] == sent.events


def test_an_exception_group_with_locals_is_read_back_as_it_was_sent(bugsink: Bugsink) -> None:
    """A group with notes, members and a context, with the variables of its frames, is stored."""
    sent = Sent()
    client = bridge.init(bugsink.dsn, send_default_pii=True, before_send=sent)
    try:
        try:
            read_stock()
        except KeyError:
            raise ExceptionGroup("two failed", [ValueError("one"), ExceptionGroup("in", [OSError("two")])])  # noqa: B904
    except ExceptionGroup:
        event_id = bridge.capture_exception(level="fatal")
    assert client.flush(10)
    stored = bugsink.events()[event_id or ""]
    values = stored["exception"]["values"]
    assert {value["value"].partition(" (")[0] for value in values} == {
        "two failed", "'no such shelf'", "one", "in", "two",
    }  # fmt: skip
    assert "bugsink" in values[-1]["stacktrace"]["frames"][-1]["vars"]
    assert stored["level"] == "fatal"
    assert [stored] == sent.events


class Unprintable:
    """A value that JSON has no form for."""

    def __repr__(self) -> str:
        raise ValueError("not to be printed")


def test_values_that_json_has_no_form_for_are_stored(bugsink: Bugsink) -> None:
    """Whatever values a user puts on scopes, the event fits a strict server's schema."""
    client = bridge.init(bugsink.dsn)
    odd = {"nan": float("nan"), "big": 2**70, "bytes": b"\xff", "lone": "\ud800", "set": {1}, "none": Unprintable()}
    with bridge.isolation_scope():
        bridge.set_user({"id": UUID(int=7), "ip_address": ip_address("127.0.0.1"), "username": 1.5, "data": odd})
        bridge.set_tags({"": "no key", "empty": "", "a b": "line\nbreak", "long": "x" * 500, "none": None, **odd})
        bridge.set_context("values", odd)
        bridge.set_extra("values", {5: odd, None: [odd]})
        bridge.add_breadcrumb(message="odd", data=odd)
        event_id = bridge.capture_message("odd values")
    assert client.flush(10)
    stored = bugsink.events()[event_id or ""]
    assert stored["user"]["id"] == "00000000-0000-0000-0000-000000000007"
    assert (stored["user"]["ip_address"], stored["user"]["username"]) == ("127.0.0.1", "1.5")
    assert stored["extra"]["values"]["5"] == stored["contexts"]["values"] == stored["user"]["data"]
    assert stored["tags"].keys() == {"a_b", "long", *odd}


def test_refused_transactions_are_not_sent_and_reported(bugsink: Bugsink) -> None:
    """After its first answer no transaction is posted; each is counted and reported, and errors still arrive."""
    before = len(bugsink.envelopes())
    client = bridge.init(bugsink.dsn, traces_sample_rate=1.0)
    with bridge.start_span("taken"), bridge.start_span("child"):
        pass
    assert client.flush(10)
    # The answer is 200 with a limit for what comes after: to the sender the first transaction is delivered.
    assert client.accounting() == bridge.Accounting(started=2, delivered=2, lost={}, pending=0)

    event_ids = []
    for number in range(3):
        with bridge.start_span("refused"), bridge.start_span("child"):
            event_ids.append(bridge.capture_exception(ValueError(f"error {number}")))
    assert client.flush(10)

    account = client.accounting()
    assert account == bridge.Accounting(started=8, delivered=2, lost={"ratelimit_backoff": 6}, pending=0)
    assert account.started == account.delivered + sum(account.lost.values()) + account.pending
    assert totals_of(client.sender.outcomes, "transaction") == Totals(delivered=1, lost={"ratelimit_backoff": 3})
    assert totals_of(client.sender.outcomes, "error") == Totals(delivered=3, lost={})
    assert set(event_ids) <= set(bugsink.events())

    posted = [item for envelope in bugsink.envelopes()[before:] for item in envelope.items]
    assert Counter(item.type for item in posted if item.type != "client_report") == {"transaction": 1, "event": 3}
    reported: Counter[tuple[str, str]] = Counter()
    for report in (json.loads(item.encode()) for item in posted if item.type == "client_report"):
        for entry in report["discarded_events"]:
            reported[entry["reason"], entry["category"]] += entry["quantity"]
    assert reported == {("ratelimit_backoff", "transaction"): 3, ("ratelimit_backoff", "span"): 6}


def test_what_does_not_fit_the_schema_is_not_stored(bugsink: Bugsink) -> None:
    """Bugsink is strict here: it answers 200 to an event with a level of no kind, and does not store it."""
    answers = {}
    for event_id, level in (("a" * 32, "error"), ("b" * 32, "no level")):
        event = {"event_id": event_id, "timestamp": time.time(), "platform": "python", "level": level}
        dsn = Dsn.parse(bugsink.dsn)
        answers[event_id] = httpx.post(
            dsn.envelope_url,
            content=Envelope({"event_id": event_id}, [Item("event", event)]).serialize(),
            headers={"X-Sentry-Auth": dsn.auth_header("test"), "Content-Type": CONTENT_TYPE},
            timeout=30,
            trust_env=False,
        ).status_code
    assert answers == {"a" * 32: 200, "b" * 32: 200}
    assert {"a" * 32, "b" * 32} & set(bugsink.events()) == {"a" * 32}
