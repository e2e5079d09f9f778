"""Fixtures for the tests of one world with sentry-sdk."""

from __future__ import annotations

import pytest
import sentry_sdk
from sentry_sdk.consts import VERSION

from tests.sentry_sdk.worlds import LIFECYCLES, ORDERS, one_world

HAS_STREAMS = hasattr(sentry_sdk, "traces")


def lifecycles() -> list[str]:
    return [one for one in LIFECYCLES if one == "static" or HAS_STREAMS]


@pytest.fixture(params=ORDERS)
def order(request):
    return request.param


@pytest.fixture(params=LIFECYCLES)
def lifecycle(request):
    if request.param not in lifecycles():
        pytest.skip(f"sentry-sdk {VERSION} has no spans by themselves")
    return request.param


@pytest.fixture
def world(order, lifecycle):
    """One world, both orders, both lifecycles."""
    with one_world(order, lifecycle) as made:
        yield made


@pytest.fixture
def static_world(order):
    """One world, both orders, whole transactions."""
    with one_world(order) as made:
        yield made
