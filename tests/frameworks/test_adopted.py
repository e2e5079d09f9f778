"""Web frameworks with a tracer provider of OpenTelemetry's own, that the bridge joins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.frameworks.harness import Service, serving
from tests.frameworks.programs import FASTAPI, FLASK
from tests.frameworks.shop import Shop
from tests.judges.parsers import Sink

pytestmark = pytest.mark.neighbour


PROGRAMS = {"/{}/{{order}}": FASTAPI, "/{}/<int:order>": FLASK}


@pytest.fixture(scope="module", params=PROGRAMS, ids=["fastapi", "flask"])
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, judge_sink: Sink
) -> Iterator[Service]:
    """The shop of one framework, then of the other."""
    command = PROGRAMS[request.param].ready()
    settings = {"SHOP": command[-1]}
    command[-1] = "tests.frameworks.adopted_app:app"
    with serving(command, tmp_path_factory.mktemp("adopted"), judge_sink, environment=settings) as service:
        yield service


class TestAdopted(Shop):
    """What every shop does."""

    @pytest.fixture(autouse=True)
    def _routes(self, request: pytest.FixtureRequest, shop: Service) -> None:
        self.route = request.node.callspec.params["shop"]
