"""Standard error of the tests of this room."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Put a test's own stream in the place of standard error: pytest exchanges it after fixtures were set up."""
    before = sys.stderr
    sys.stderr = getattr(item, "funcargs", {}).get("err") or before
    try:
        return (yield)
    finally:
        sys.stderr = before
