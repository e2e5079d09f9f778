"""Flask under gunicorn with several workers, as docs/recipes.md has it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.frameworks.harness import Service, Upstream, require, serving
from tests.frameworks.programs import FLASK, GUNICORN
from tests.frameworks.shop import Shop
from tests.judges.parsers import Sink

pytestmark = pytest.mark.neighbour
COUNTED = [*GUNICORN, "--config", "python:tests.frameworks.gunicorn_config"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, judge_sink: Sink) -> Iterator[Service]:
    """The shop, in two workers of threads."""
    with serving(FLASK.ready(), tmp_path_factory.mktemp("flask"), judge_sink) as service:
        yield service


class TestFlask(Shop):
    """What every shop does."""

    route = "/{}/<int:order>"


def test_workers_that_stream_spans(tmp_path: Path, judge_sink: Sink) -> None:
    """With `trace_lifecycle="stream"` each span arrives once as well, from workers that were forked after `init`."""
    require(*FLASK.modules)
    command = [*COUNTED, "--workers", "2", "--preload", "examples.flask_app:app"]
    streamed = {"SENTRY_TRACE_LIFECYCLE": "stream"}
    with serving(command, tmp_path, judge_sink, environment=streamed) as shop:
        upstreams = [Upstream.new() for _ in range(20)]
        for upstream in upstreams:
            shop.get("/orders/7", upstream.sentry)
        shop.stop()
        spans = [span for container in shop.payloads("span") for span in container["items"]]
        assert Counter(span["trace_id"] for span in spans) == {upstream.trace_id: 3 for upstream in upstreams}
        assert shop.losses() == []


@pytest.mark.parametrize("options", [[], ["--preload"], ["--preload", "--max-requests", "15"]], ids=" ".join)
def test_every_worker_delivers_all_it_did(options: list[str], tmp_path: Path, judge_sink: Sink) -> None:
    """Forked after `init` or before, recycled after a few requests or not: each request arrives once, to the very last
    before the server is told to end, and each worker's account says so."""
    require(*FLASK.modules)
    with serving([*COUNTED, "--workers", "3", *options, "examples.flask_app:app"], tmp_path, judge_sink) as shop:
        upstreams = [Upstream.new() for _ in range(60)]
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda upstream: shop.get("/orders/7", upstream.sentry), upstreams))
        assert {answer.status_code for answer in answers} == {200}
        shop.stop()
        arrived = Counter(t["contexts"]["trace"]["trace_id"] for t in shop.payloads("transaction"))
        assert arrived == {upstream.trace_id: 1 for upstream in upstreams}
        assert all(len(t["spans"]) == 2 for t in shop.payloads("transaction"))
        assert shop.losses() == []
        accounts = [json.loads(found) for found in re.findall(r"^account: (.*)$", shop.log, re.MULTILINE)]
        assert len(accounts) >= 3
        assert all(account["lost"] == {} and account["pending"] == 0 for account in accounts)
        assert sum(account["started"] for account in accounts) == 3 * len(upstreams)
        assert sum(account["delivered"] for account in accounts) == 3 * len(upstreams)
