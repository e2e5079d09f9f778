"""A server that is told to end sends what waits first."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.frameworks.harness import HeldReceiver, Upstream, serving
from tests.frameworks.programs import ALL
from tests.judges.parsers import Sink

pytestmark = pytest.mark.neighbour


@pytest.mark.parametrize("program", ALL)
def test_what_waits_at_the_end_is_sent(program: str, tmp_path: Path, judge_sink: Sink) -> None:
    """Sentry answers nobody until the server was told to end: all that was done arrives nevertheless, once."""
    upstreams = [Upstream.new() for _ in range(5)]
    with (
        HeldReceiver() as receiver,
        serving(ALL[program].ready(), tmp_path, judge_sink, receiver=receiver) as shop,
    ):
        for upstream in upstreams:
            assert shop.get("/orders/7", upstream.sentry).status_code == 200
        assert shop.payloads("transaction") == []
        shop.tell_to_end()
        with suppress(subprocess.TimeoutExpired):  # one that does not care for what waits has ended by then
            shop.process.wait(0.5)
        receiver.release()
        shop.process.wait(30)
        arrived = [t["contexts"]["trace"]["trace_id"] for t in shop.payloads("transaction")]
        assert sorted(arrived) == sorted(upstream.trace_id for upstream in upstreams)
        assert shop.losses() == []
