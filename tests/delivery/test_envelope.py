"""Envelopes: bytes and back, and what is lost with one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge._internal.delivery.envelope import Envelope, Item, encode_payload
from tests.delivery import payloads


def test_an_envelope_is_lines_of_headers_each_payload_with_its_length():
    """Headers, then for each item its headers with the length, then its payload; every part ends its line."""
    envelope = Envelope({"event_id": "e"}, [Item("event", {"a": 1}), Item("attachment", b"x\ny", {"filename": "f"})])
    assert envelope.serialize() == (
        b'{"event_id":"e"}\n{"type":"event","length":7}\n{"a":1}\n{"filename":"f","type":"attachment","length":3}\nx\ny\n'
    )


def test_an_empty_envelope_is_its_headers():
    """No items: the header line alone."""
    assert Envelope({}, []).serialize() == b"{}\n"
    assert Envelope.parse(b"{}") == Envelope({}, [])


@pytest.mark.parametrize(
    ("data", "items"),
    [
        (b'{}\n{"type":"attachment"}\nup to the end of the line\n', [Item("attachment", b"up to the end of the line")]),
        (b'{}\n{"type":"attachment","length":3}\nabc', [Item("attachment", b"abc")]),
        (b'{}\n\n{"type":"x","length":0}\n\n\n', [Item("x", b"")]),
        (b'{}\n{"type":"event","length":2}\n{}\n{"type":"event"}\n{}', [Item("event", {}), Item("event", {})]),
    ],
)
def test_lengths_and_line_ends_may_be_left_out_where_the_format_allows_it(data, items):
    """An item without a length ends with its line; the last line end and blank lines between items do not matter."""
    assert Envelope.parse(data).items == items


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "headers of the envelope"),
        (b"[]\n", "headers of the envelope"),
        (b"{}\nnonsense\n", "headers of an item"),
        (b"{}\n{}\n", "have no type"),
        (b'{}\n{"type":"x","length":9}\nabc\n', "says 9 bytes, 4 are there"),
        (b'{}\n{"type":"x","length":1}\nabc\n', "goes on after its 1 bytes"),
        (b'{}\n{"type":"x","length":"1"}\na\n', "is no length"),
        (b'{}\n{"type":"event","length":1}\n[\n', "not a JSON object"),
        (b'{}\n{"type":"event","length":2}\n[]\n', "not a JSON object"),
        (b'{}\n{"type":"event"}\n' + b"[" * 200_000 + b"\n", "not a JSON object"),
    ],
)
def test_a_malformed_envelope_says_what_is_wrong(data, why):
    """A receiver is told what is malformed."""
    with pytest.raises(ValueError, match=why):
        Envelope.parse(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), json_values, max_size=5)
headers = st.dictionaries(st.text().filter(lambda name: name not in ("type", "length")), json_values, max_size=3)
items = st.builds(
    Item, st.sampled_from(["event", "transaction", "span", "client_report"]), objects, headers
) | st.builds(Item, st.sampled_from(["attachment", "replay_video"]), st.binary(), headers)


@given(st.builds(Envelope, headers, st.lists(items, max_size=4)))
def test_every_envelope_comes_back_as_it_was(envelope):
    """Parsing what was serialised gives the envelope."""
    assert Envelope.parse(envelope.serialize()) == envelope


@given(st.builds(Envelope, headers, st.lists(items, max_size=4)))
def test_sentry_sdk_reads_our_envelopes(envelope):
    """The envelope parser of sentry-sdk finds the same items with the same payloads."""
    sentry_envelope = pytest.importorskip("sentry_sdk.envelope", reason="sentry-sdk is not installed")
    read = sentry_envelope.Envelope.deserialize(envelope.serialize())
    assert read.headers == envelope.headers
    assert [item.type for item in read.items] == [item.type for item in envelope.items]
    for theirs, ours in zip(read.items, envelope.items, strict=True):
        if isinstance(ours.payload, bytes):
            assert theirs.get_bytes() == ours.payload
        else:
            assert json.loads(theirs.get_bytes()) == ours.payload


SPANS = [{"span_id": "a"}, {"span_id": "b"}]


@pytest.mark.parametrize(
    ("item", "category", "losses"),
    [
        (Item("event", {}), "error", {"error": 1}),
        (Item("transaction", {}), "transaction", {"transaction": 1, "span": 1}),
        (Item("transaction", {"spans": SPANS}), "transaction", {"transaction": 1, "span": 3}),
        (Item("transaction", {"spans": "?"}), "transaction", {"transaction": 1, "span": 1}),
        (Item("transaction", b'{"spans":[{},{},{}]}'), "transaction", {"transaction": 1, "span": 4}),
        (Item("transaction", b"broken"), "transaction", {"transaction": 1, "span": 1}),
        (Item("span", {"items": SPANS}, {"item_count": 2}), "span", {"span": 2}),
        (Item("span", {"items": SPANS}), "span", {"span": 2}),
        (Item("span", b"{}", {"item_count": 5}), "span", {"span": 5}),
        (Item("attachment", b"12345"), "attachment", {"attachment": 5}),
        (Item("client_report", {}), "internal", {}),
        (Item("something_new", b""), "default", {"default": 1}),
        (Item("transaction", b"{}", {}, {"transaction": 1, "span": 9}), "transaction", {"transaction": 1, "span": 9}),
    ],
)
def test_an_item_knows_its_category_and_what_is_lost_with_it(item, category, losses):
    """A transaction is one transaction, and one span for itself and for each child; an attachment is its bytes."""
    assert item.category == category
    assert item.losses() == losses
    assert item.encoded().losses() == losses


def test_an_envelope_adds_up_its_items():
    """Quantities of the same category are added."""
    envelope = Envelope({}, [Item("event", {}), Item("attachment", b"12"), Item("attachment", b"345")])
    assert envelope.losses() == {"error": 1, "attachment": 5}


@pytest.mark.parametrize("children", [0, 1, 64, 65, 128, 1000])
def test_long_lists_of_spans_are_encoded_like_short_ones(children):
    """Encoding spans by and by changes nothing about the result."""
    event = payloads.transaction_event(children)
    assert json.loads(encode_payload(event)) == event
    assert json.loads(encode_payload({"items": event["spans"]})) == {"items": event["spans"]}


def test_one_odd_value_among_many_spans_harms_nothing():
    """A value that JSON has no form for is replaced; its neighbours are as they were."""
    event = payloads.transaction_event(200)
    event["spans"][100]["data"]["odd"] = float("nan")
    read = json.loads(encode_payload(event))
    assert read["spans"][100]["data"]["odd"] == "nan"
    assert read["spans"][:100] == event["spans"][:100]
    assert read["spans"][101:] == event["spans"][101:]
