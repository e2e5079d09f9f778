"""FastAPI under uvicorn, as docs/recipes.md has it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.frameworks.harness import Service, Upstream, serving
from tests.frameworks.programs import FASTAPI
from tests.frameworks.shop import Shop, only_child, root
from tests.judges.parsers import Sink

pytestmark = pytest.mark.neighbour


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, judge_sink: Sink) -> Iterator[Service]:
    """The shop, in one process."""
    with serving(FASTAPI.ready(), tmp_path_factory.mktemp("fastapi"), judge_sink) as service:
        yield service


class TestFastapi(Shop):
    """What every shop does, and what FastAPI has beside it."""

    def test_background_tasks(self, shop: Service) -> None:
        """A task that runs after the answer is below the request, with the request's user."""
        upstream = Upstream.new()
        answer = shop.post("/orders", {**upstream.sentry, "X-User": "ada"})
        assert answer.json() == {"state": "placed"}
        expected = ["POST /orders", ["BackgroundTask send_receipt", ["send receipt"]]]
        shop.expect_tree(upstream.trace_id, expected)
        [message] = shop.events(upstream.trace_id)
        request, task = shop.transactions(upstream.trace_id, 2)
        receipt = only_child(task)
        assert task["user"] == request["user"] == {"id": "ada"}
        assert message["user"] == {"id": "ada"}
        assert message["contexts"]["trace"]["span_id"] == receipt["span_id"]

    def test_a_websocket(self, shop: Service) -> None:
        """A conversation is one transaction, named by its route, in the trace of who opened it."""
        import websockets

        upstream = Upstream.new()

        async def talk() -> str:
            uri = shop.url.replace("http", "ws") + "/ws"
            async with websockets.connect(uri, additional_headers=upstream.sentry, proxy=None) as socket:
                await socket.send("ada")
                return str(await socket.recv())

        assert asyncio.run(talk()) == "welcome, ada"
        transaction = shop.transaction(upstream.trace_id)
        assert [span["description"] for span in transaction["spans"]] == ["greet"]
        assert (root(transaction)["op"], transaction["transaction"]) == ("websocket.server", "/ws")


def test_workers_are_processes_of_their_own(tmp_path: Path, judge_sink: Sink) -> None:
    """`uvicorn --workers 2`, with the newer names of attributes: every request once, from both, to the very last."""
    newer = {"OTEL_SEMCONV_STABILITY_OPT_IN": "http"}
    with serving([*FASTAPI.ready(), "--workers", "2"], tmp_path, judge_sink, environment=newer) as shop:
        upstreams = [Upstream.new() for _ in range(40)]
        for upstream in upstreams:
            shop.get("/orders/7", upstream.sentry)
        shop.stop()
        for upstream in upstreams:
            transaction = shop.transaction(upstream.trace_id)
            assert transaction["transaction"] == "GET /orders/{order}"
            assert root(transaction)["data"]["http.response.status_code"] == 200
        assert shop.losses() == []
