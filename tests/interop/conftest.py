"""Fixtures of real neighbours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.bugsink import Bugsink, start_bugsink
from tests.interop.fleet import Fleet, start_fleet
from tests.interop.spotlight import Spotlight, start_spotlight


@pytest.fixture(scope="session")
def bugsink() -> Iterator[Bugsink]:
    """Bugsink, a server that takes Sentry's errors and refuses transactions."""
    with start_bugsink() as running:
        yield running


@pytest.fixture(scope="session")
def spotlight() -> Iterator[Spotlight]:
    """Spotlight, Sentry's local user interface."""
    with start_spotlight() as running:
        yield running


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """Services of every kind."""
    with start_fleet() as running:
        yield running
