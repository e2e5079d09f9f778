"""Anything becomes JSON."""

from __future__ import annotations

import datetime
import json
import math
from collections import OrderedDict, deque
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge._internal.delivery.json_text import IS_FAST, MAX_DEPTH, encode_json


class Colour(Enum):
    RED = 1


class Hostile:
    """Raises from everything it can."""

    def __repr__(self):
        raise RuntimeError("no repr")

    __str__ = __repr__

    @property
    def __class__(self):
        raise RuntimeError("no class")


class HostileDict(dict):
    def items(self):
        raise RuntimeError("no items")


class HostileText(str):
    __slots__ = ()

    def encode(self, *args):
        raise RuntimeError("no encode")

    def __str__(self):
        raise RuntimeError("no str")


class NamelessMeta(type):
    @property
    def __name__(cls):
        raise RuntimeError("no name")


class Nameless(metaclass=NamelessMeta):
    def __repr__(self):
        raise RuntimeError("no repr")


def cycle():
    value = {"name": "loop"}
    value["self"] = [value]
    return value


def twice():
    shared = {"x": math.nan}
    return [shared, shared]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, 2.5, None, True, "ü"]}, '{"a":[1,2.5,null,true,"ü"]}'),
        (math.nan, '"nan"'),
        ([math.inf, -math.inf], '["inf","-inf"]'),
        (b"bytes", '"bytes"'),
        (b"\xff", '"�"'),
        (bytearray(b"x"), '"x"'),
        (memoryview(b"x"), '"x"'),
        ({"d": datetime.datetime(2026, 1, 2, 3, 4, 5)}, '{"d":"2026-01-02T03:04:05"}'),
        (datetime.date(2026, 1, 2), '"2026-01-02"'),
        ({1}, "[1]"),
        (frozenset(), "[]"),
        (deque([1]), "[1]"),
        ((1, (2,)), "[1,[2]]"),
        (OrderedDict(a=1).keys(), '["a"]'),
        (Colour.RED, "1" if IS_FAST else '"<Colour.RED: 1>"'),
        ({1: "a", None: "b", False: "c", 2.5: "d"}, '{"1":"a","null":"b","false":"c","2.5":"d"}'),
        ({(1, 2): "a", None: "b", False: "c", b"k": "d"}, '{"(1, 2)":"a","null":"b","false":"c","k":"d"}'),
        ("\ud800", '"�"'),
        ({"\udfff": "a\ud83d\ude00b"}, '{"�":"a😀b"}'),
        (10**20, "100000000000000000000"),
        (cycle(), '{"name":"loop","self":["<cycle>"]}'),
        (twice(), '[{"x":"nan"},{"x":"nan"}]'),
        (object, "\"<class 'object'>\""),
    ],
)
def test_every_kind_of_value_has_a_form(value, text):
    """What JSON knows is itself; everything else becomes something a reader recognises."""
    assert encode_json(value).decode() == text


# Made inside the test: pytest, too, would trip over them, and over the class of one of them.
@pytest.mark.parametrize(
    ("make", "text"),
    [
        (Hostile, '"<unprintable Hostile>"'),
        (lambda: {Hostile(): Hostile()}, '{"<unprintable Hostile>":"<unprintable Hostile>"}'),
        (lambda: [Nameless()], '["<unprintable>"]'),
        (lambda: HostileDict(a=1), '"<unprintable HostileDict>"'),
        (lambda: [HostileText("a\ud800"), math.nan], '["a�","nan"]'),
    ],
)
def test_an_object_that_raises_is_named_by_its_type(make, text):
    """What raises from its repr, its class, its items or its text is replaced; what is around it stays."""
    assert encode_json(make()).decode() == text


def test_an_integer_too_long_to_print_says_so():
    """CPython refuses to print very long integers: where it does, their length is sent."""
    text = encode_json({"n": 10**5000}).decode()
    assert text in ('{"n":"<integer of 16610 bits>"}', '{"n":1' + "0" * 5000 + "}")


def test_what_is_nested_too_deeply_is_cut():
    """Relay gives up past 128 levels; a very deep structure ends in a note instead."""
    value: list = []
    for _ in range(100_000):
        value = [value]
    text = encode_json(value).decode()
    assert text == "[" * MAX_DEPTH + '"<nested too deeply>"' + "]" * MAX_DEPTH
    while value:
        value = value.pop()


def test_a_huge_string_is_encoded():
    """There is no limit here: cutting is the work of the item limit."""
    assert len(encode_json("x" * 5_000_000)) == 5_000_002


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters(categories=["Cs"]))
    | st.binary()
    | st.datetimes()
    | st.builds(Hostile),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers() | st.floats() | st.binary(), inner)
        | st.tuples(inner)
    ),
    max_leaves=20,
)


@given(anything)
def test_whatever_it_is_the_result_is_strict_json_on_one_line(value):
    """Never an exception; always valid UTF-8, one line, and no `NaN` that JSON does not have."""

    def refuse(constant):
        raise AssertionError(constant)

    data = encode_json(value)
    read = json.loads(data.decode("utf-8"), parse_constant=refuse)
    json.dumps(read, ensure_ascii=False).encode("utf-8")
    assert b"\n" not in data


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(plain)
def test_what_json_knows_comes_back_unchanged(value):
    """Plain data survives the way there and back."""
    assert json.loads(encode_json(value)) == value
