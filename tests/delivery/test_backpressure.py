"""Backpressure: fewer traces while delivery struggles."""

from __future__ import annotations

import threading

import pytest

import bridge
from bridge._internal.delivery.sender import MAX_HALVINGS, Backpressure
from bridge._internal.sampling.sampler import lowered_rate
from bridge._internal.wire.baggage import parse_dsc
from tests.delivery.sink import Answer, Sink


def test_halved_at_each_unhealthy_check_and_whole_when_healthy():
    """It is checked every so often, however often it is asked."""
    now, healthy = [0.0], [True]
    pressure = Backpressure(lambda: healthy[0], check_every_s=10.0, clock=lambda: now[0])
    healthy[0] = False
    assert pressure.factor() == 1.0
    factors = []
    for at in (10.0, 10.1, 19.9, 20.0, 31.0):
        now[0] = at
        factors.append(pressure.factor())
    assert factors == [0.5, 0.5, 0.5, 0.25, 0.125]
    healthy[0] = True
    now[0] = 41.0
    assert pressure.factor() == 1.0


def test_there_is_an_end_to_halving():
    """Some traces are begun however long it lasts."""
    now = [0.0]
    pressure = Backpressure(lambda: False, clock=lambda: now[0])
    for _ in range(100):
        now[0] += 10.0
        lowest = pressure.factor()
    assert lowest == 0.5**MAX_HALVINGS


@pytest.mark.parametrize(
    ("rate", "factor", "expected"),
    [
        (1.0, 1.0, 1.0),
        (1.0, 0.5, 0.5),
        (0.25, 0.125, 0.03125),
        (0.1, 0.5**10, 0.000097),
        (1e-6, 0.5, 1e-6),
        (0, 0.5, 0),
    ],
)
def test_a_lowered_rate_has_six_decimals(rate: float, factor: float, expected: float):
    """As `sample_rand` has; one above zero stays above zero."""
    assert lowered_rate(rate, factor) == expected


def test_a_limited_server_halves_what_is_begun(sink: Sink):
    """The rate of new traces is lowered, the DSC says so, the report says why; upstream's decisions are kept."""
    sink.script.append(Answer(429, {"X-Sentry-Rate-Limits": "60:transaction:organization"}))
    client = bridge.init(dsn=str(sink.dsn), traces_sample_rate=1.0)
    assert client.sender.is_healthy()
    with bridge.start_span("root"):
        pass
    assert client.flush(10)
    assert not client.sender.is_healthy()
    client.sender.backpressure.next_check = 0.0
    with bridge.start_span("half", parent=None):
        assert parse_dsc(bridge.get_baggage() or "")["sample_rate"] == "0.5"
    sampled = 0
    for _ in range(200):
        with bridge.start_span("root", parent=None) as root:
            sampled += root.sampled is True
    lost = client.sender.outcomes.lost_of("transaction")
    assert 50 < sampled < 150
    assert 200 - sampled <= lost["backpressure"] <= 201 - sampled
    assert "sample_rate" not in lost
    trace_id = "771a43a4192642f0b136d5159a501700"
    with bridge.continue_trace({"sentry-trace": f"{trace_id}-1234567890abcdef-1"}), bridge.start_span("kept") as kept:
        assert kept.sampled is True
    bridge.close()


def test_a_full_queue_is_unhealthy():
    """While jobs are refused, and until somebody asked; then it is well again."""
    opened, entered = threading.Event(), threading.Event()

    def hang(envelope: object) -> None:
        entered.set()
        opened.wait(10)

    client = bridge.init(traces_sample_rate=1.0, transport=hang)
    bridge.start_span("root", parent=None).end()
    assert entered.wait(10)
    for _ in range(1100):
        bridge.start_span("root", parent=None).end()
    assert not client.sender.is_healthy()
    assert client.accounting().lost["queue_overflow"] >= 100
    opened.set()
    assert client.flush(10)
    assert client.sender.is_healthy()
    bridge.close()
