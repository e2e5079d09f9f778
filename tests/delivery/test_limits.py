"""Items that are too large."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge._internal.delivery.envelope import Item
from bridge._internal.delivery.limits import MAX_ITEM_BYTES, fit_item
from tests.delivery import payloads


def read(item):
    assert len(item.payload) <= MAX_ITEM_BYTES
    return json.loads(item.payload)


def test_what_fits_is_left_alone():
    """An item within the limit is encoded, nothing else."""
    event = payloads.transaction_event(10)
    fitted = fit_item(Item("transaction", event))
    assert json.loads(fitted.item.payload) == event
    assert fitted.dropped_spans == 0
    assert fitted.item.losses() == {"transaction": 1, "span": 11}


def test_attachments_are_never_cut():
    """Bytes that are no event go as they are."""
    item = Item("attachment", b"x" * (MAX_ITEM_BYTES + 1))
    assert fit_item(item) == (item, 0)


def test_an_oversized_event_that_is_no_json_is_left_to_the_server():
    """Bytes that cannot be read cannot be cut."""
    item = Item("event", b"{" * (MAX_ITEM_BYTES + 1))
    assert fit_item(item) == (item, 0)


def test_long_strings_go_first():
    """Shortening strings is enough here: every span keeps its data, and `_meta` has the original lengths."""
    event = payloads.transaction_event(3, extra={"short": "s", "body": "x" * 2_000_000})
    event["spans"][1]["data"]["sql"] = "y" * 9000
    fitted = fit_item(Item("transaction", event))
    sent = read(fitted.item)
    assert fitted.dropped_spans == 0
    assert sent["extra"] == {"short": "s", "body": "x" * 8189 + "..."}
    assert sent["spans"][1]["data"] == {"db.system.name": "postgresql", "sql": "y" * 8189 + "..."}
    cut = [["!limit", "s", 8189, 8192]]
    assert sent["_meta"] == {
        "extra": {"body": {"": {"len": 2_000_000, "rem": cut}}},
        "spans": {"1": {"data": {"sql": {"": {"len": 9000, "rem": cut}}}}},
    }


def test_data_of_spans_goes_next_from_the_end():
    """Where shorter strings do not help, the last spans lose their data and say so."""
    event = payloads.transaction_event(100)
    for span in event["spans"]:
        span["data"] = {f"key{n}": n for n in range(1000)}
    fitted = fit_item(Item("transaction", event))
    sent = read(fitted.item)
    kept = [span["data"] is not None for span in sent["spans"]]
    assert fitted.dropped_spans == 0
    assert len(kept) == 100
    assert kept == sorted(kept, reverse=True)
    assert 0 < sum(kept) < 100
    assert sent["_meta"]["spans"]["99"] == {"data": {"": {"rem": [["!limit", "x"]]}}}
    assert "0" not in sent["_meta"]["spans"]


def test_spans_go_then_and_are_counted():
    """Too many spans: those at the end go, `_meta` has their number, and they are told to be counted."""
    event = payloads.transaction_event(6000)
    fitted = fit_item(Item("transaction", event))
    sent = read(fitted.item)
    left = len(sent["spans"])
    assert 0 < left < 6000
    assert fitted.dropped_spans == 6000 - left
    assert sent["_meta"]["spans"][""] == {"len": 6000}
    assert set(sent["_meta"]["spans"]) <= {"", *map(str, range(left))}
    assert fitted.item.losses() == {"transaction": 1, "span": 1 + left}


def test_the_largest_parts_of_an_event_go_last():
    """An event of countless small values loses its largest parts, never what makes it an event."""
    event = payloads.error_event(
        extra={f"key{n}": n for n in range(100_000)},
        tags={"kept": "yes"},
        contexts={"trace": {"trace_id": "a" * 32}, "big": {f"key{n}": n for n in range(10_000)}},
    )
    sent = read(fit_item(Item("event", event)).item)
    assert sent["extra"] is None
    assert sent["_meta"]["extra"] == {"": {"rem": [["!limit", "x"]]}}
    assert sent["tags"] == {"kept": "yes"}
    assert sent["exception"] == event["exception"]
    assert sent["contexts"]["trace"] == {"trace_id": "a" * 32}


def test_what_was_noted_before_is_kept():
    """Notes that scrubbing left in `_meta` stay."""
    event = payloads.error_event(extra={"a": "x" * 2_000_000}, _meta={"user": {"": {"rem": [["@email", "x"]]}}})
    sent = read(fit_item(Item("event", event)).item)
    assert sent["_meta"]["user"] == {"": {"rem": [["@email", "x"]]}}
    assert sent["_meta"]["extra"]["a"][""]["len"] == 2_000_000


def test_the_users_own_objects_are_not_touched():
    """The payload that was handed over is cut in a copy."""
    event = payloads.error_event(extra={"a": "x" * 2_000_000})
    fit_item(Item("event", event))
    assert len(event["extra"]["a"]) == 2_000_000
    assert "_meta" not in event


def test_relay_takes_what_was_cut():
    """Relay's normaliser keeps a trimmed transaction, our notes, and has no errors of its own."""
    processing = pytest.importorskip("sentry_relay.processing", reason="sentry-relay is not installed")
    event = payloads.transaction_event(5000, extra={"body": "x" * 2_000_000})
    for span in event["spans"]:
        span["data"] = {f"key{n}": "value" for n in range(20)}
    fitted = fit_item(Item("transaction", event))
    sent = read(fitted.item)
    normalised = processing.StoreNormalizer(project_id=1, enable_trimming=False).normalize_event(sent)
    assert normalised.get("errors") in (None, [])
    meta = normalised["_meta"]
    assert meta["extra"]["body"][""]["len"] == 2_000_000
    assert meta["spans"][""]["len"] == 5000
    assert meta["spans"]["0"]["data"][""]["rem"] == [["!limit", "x"]]


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=50) | st.lists(st.integers(), max_size=30), max_size=30),
    st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=60), max_size=4), max_size=40),
)
def test_every_transaction_can_be_made_to_fit(extra, spans):
    """Whatever a transaction is made of, what comes out fits, and no span is unaccounted for."""
    event = payloads.transaction_event(0, extra=extra, spans=spans)
    fitted = fit_item(Item("transaction", event), max_bytes=1500)
    sent = json.loads(fitted.item.payload)
    assert len(fitted.item.payload) <= 1500
    assert len(sent["spans"]) + fitted.dropped_spans == len(spans)
    assert sent["event_id"] == event["event_id"]
