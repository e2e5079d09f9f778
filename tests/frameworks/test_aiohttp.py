"""aiohttp, server and client, as docs/recipes.md has it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.frameworks.harness import Service, serving
from tests.frameworks.programs import AIOHTTP
from tests.frameworks.shop import Shop
from tests.judges.parsers import Sink

pytestmark = pytest.mark.neighbour


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, judge_sink: Sink) -> Iterator[Service]:
    """The shop, in one process."""
    with serving(AIOHTTP.ready(), tmp_path_factory.mktemp("aiohttp"), judge_sink) as service:
        yield service


class TestAiohttp(Shop):
    """What every shop does."""
