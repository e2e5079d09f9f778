"""One trace through services of every framework, each with another client."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from bridge._internal.demo.receiver import Receiver
from tests.frameworks.harness import Arrived, Upstream, serving, trees
from tests.frameworks.programs import AIOHTTP, DJANGO_ASGI, FASTAPI, FLASK
from tests.judges.parsers import Sink

pytestmark = pytest.mark.neighbour
CHAIN = {"fastapi": FASTAPI, "flask": FLASK, "aiohttp": AIOHTTP, "django": DJANGO_ASGI}


def test_a_trace_goes_through_all_of_them(tmp_path: Path, judge_sink: Sink) -> None:
    """A request that each service answers by asking the next is one tree, from the first to the last."""
    with Receiver() as receiver, ExitStack() as stack:
        following = "http://127.0.0.1:9/stock"
        for name, program in reversed(CHAIN.items()):
            (tmp_path / name).mkdir()
            settings = {"STOCK_URL": following, "OTEL_SERVICE_NAME": name}
            shop = stack.enter_context(
                serving(program.ready(), tmp_path / name, judge_sink, environment=settings, receiver=receiver)
            )
            following = f"{shop.url}/{'stock' if name == 'django' else 'checkout'}"
        arrived = Arrived(receiver)
        for headers in ("sentry", "w3c"):
            upstream = Upstream.new()
            answer = shop.get("/checkout/7", getattr(upstream, headers))
            assert answer.json() == {"order": 7, "pieces": 7}
            [root] = trees(arrived.transactions(upstream.trace_id, len(CHAIN)))
            spans = [node.span for node in root.walk()]
            assert [span.service for span in spans if span.op == "http.server"] == list(CHAIN)
            assert [span.op for span in spans] == ["http.server", "http.client"] * 3 + ["http.server", "db"]
        assert not arrived.complaints(judge_sink)
