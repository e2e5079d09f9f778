"""The judges judge: each finds fault with what is at fault, and none with what is not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bridge._internal.delivery.envelope import Envelope, Item
from tests.judges.parsers import Sink, cli_complaints, find_sentry_cli, sdk_complaints
from tests.judges.relay import relay_complaints

pytest.importorskip("sentry_relay")
T, S = "771a43a4192642f0b136d5159a501700", "1234567890abcdef"
SPAN = {
    "trace_id": T,
    "span_id": "a" * 16,
    "parent_span_id": S,
    "start_timestamp": "2026-11-24T12:00:00.100000Z",
    "timestamp": "2026-11-24T12:00:00.200000Z",
}
GOOD: dict[str, Any] = {
    "type": "transaction",
    "event_id": "b" * 32,
    "transaction": "name",
    "transaction_info": {"source": "custom"},
    "start_timestamp": "2026-11-24T12:00:00.000000Z",
    "timestamp": "2026-11-24T12:00:01.000000Z",
    "contexts": {"trace": {"trace_id": T, "span_id": S}},
    "spans": [SPAN],
}


def changed(**changes: Any) -> dict[str, Any]:
    """The good transaction with some of it changed."""
    return {**copy.deepcopy(GOOD), **changes}


def test_the_good_one_passes() -> None:
    """Nobody has anything to say."""
    assert relay_complaints(GOOD) == []


@pytest.mark.parametrize(
    "bad",
    [
        changed(contexts={}),
        changed(contexts={"trace": {"trace_id": "0" * 32, "span_id": S}}),
        changed(contexts={"trace": {"trace_id": T.upper(), "span_id": S}}),
        changed(contexts={"trace": {"trace_id": T, "span_id": "short"}}),
        changed(contexts={"trace": {"trace_id": T, "span_id": S, "status": "splendid"}}),
        changed(start_timestamp="2026-11-24T13:00:00.000000Z"),
        changed(timestamp=None),
        changed(timestamp=1.5),
        changed(transaction_info={"source": "somewhere"}),
        changed(tags={"a": {"nested": 1}}),
        changed(tags={"a": "x\ny"}),
        changed(tags={"a": "x" * 300}),
        changed(environment="a/b"),
        changed(user={"ip_address": "nowhere"}),
        changed(nonsense=1),
        changed(event_id="B" * 32),
        changed(spans=[{**SPAN, "timestamp": None}]),
        changed(spans=[{**SPAN, "span_id": "A" * 16}]),
    ],
)
def test_relay_finds_fault(bad: dict[str, Any]) -> None:
    """Relay, and what we add where Relay is silent, name each fault."""
    assert relay_complaints(bad)


def test_the_parsers_find_fault(judge_sink: Sink) -> None:
    """Both envelope parsers refuse what is no envelope, and take what is one."""
    good = Envelope({"event_id": "b" * 32}, [Item("transaction", GOOD)]).serialize()
    bad = [good.replace(b'"length":', b'"length":9'), good.replace(b"b" * 32, b"not an id" + b"b" * 23, 1)]
    sentry_cli = find_sentry_cli()
    assert sentry_cli is not None
    assert sdk_complaints(good) == cli_complaints([good, good], sentry_cli, judge_sink) == []
    assert sdk_complaints(b"") != []
    assert sdk_complaints(b"{}\n") != []
    for data in bad:
        assert cli_complaints([data], sentry_cli, judge_sink) != []
