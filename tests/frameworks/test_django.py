"""Django under gunicorn (WSGI) and under uvicorn (ASGI), as docs/recipes.md has it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.frameworks.harness import Service, serving
from tests.frameworks.programs import DJANGO_ASGI, DJANGO_WSGI
from tests.frameworks.shop import Shop
from tests.judges.parsers import Sink

pytestmark = pytest.mark.neighbour


@pytest.fixture(scope="module", params=[DJANGO_WSGI, DJANGO_ASGI], ids=["wsgi", "asgi"])
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, judge_sink: Sink
) -> Iterator[Service]:
    """The shop in workers of threads, then with views of both kinds in one loop."""
    with serving(request.param.ready(), tmp_path_factory.mktemp("django"), judge_sink) as service:
        yield service


class TestDjango(Shop):
    """What every shop does; Django's routes are named as other frameworks write theirs."""

    route = "/{}/{{order}}"
