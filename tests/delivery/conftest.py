"""What the tests of this room share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bridge._internal.delivery.outcomes import Outcomes
from bridge._internal.delivery.transport import HttpTransport, Retries
from bridge._internal.guard import reraise_faults
from tests.delivery.sink import Sink


@pytest.fixture
def _judged() -> None:
    """Payloads here are stand-ins with the right quantities; those that must please Sentry are judged by name."""


@pytest.fixture(autouse=True)
def _faults_pass() -> Iterator[None]:
    reraise_faults(True)
    yield
    reraise_faults(False)


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A scripted server on the loopback interface."""
    with Sink() as running:
        yield running


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


@pytest.fixture
def connect(sink: Sink, outcomes: Outcomes) -> Iterator[Callable[..., HttpTransport]]:
    """Make transports to the sink that try again at once."""
    made: list[HttpTransport] = []

    def make(**options: object) -> HttpTransport:
        options.setdefault("retries", Retries(attempts=4, first_wait_s=0.001, longest_wait_s=0.002))
        made.append(HttpTransport(sink.dsn, outcomes, **options))
        return made[-1]

    yield make
    for transport in made:
        transport.close(1.0)
