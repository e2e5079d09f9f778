"""What every test goes through: faults are not guarded, nothing is left behind, and judges see what was sent."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context.context import Context

import bridge
from bridge import testing
from bridge._internal import guard
from bridge._internal.guard import reraise_faults
from bridge.testing import BridgeCapture
from tests.judges.parsers import Sink, find_sentry_cli
from tests.judges.tap import Tap

SENTRY_VARIABLES = [name for name in os.environ if name.startswith(("SENTRY_", "OTEL_"))]


def pytest_sessionstart() -> None:
    """In CI nothing that CI can install is skipped, the judges least of all."""
    if os.environ.get("BRIDGE_REQUIRE_NEIGHBOURS"):
        for module in ("sentry_relay", "sentry_sdk"):
            if importlib.util.find_spec(module) is None:
                raise pytest.UsageError(f"{module} is not installed: payloads would not be judged")
        if find_sentry_cli() is None:
            raise pytest.UsageError("sentry-cli is not installed: payloads would not be judged")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of one world with sentry-sdk last: its integrations stay in a process once it is initialised."""
    items.sort(key=lambda item: "sentry_sdk" in item.path.parts)


@pytest.fixture(scope="session")
def judge_sink() -> Iterator[Sink]:
    """Where sentry-cli sends what it could parse."""
    sink = Sink()
    yield sink
    sink.close()


@pytest.fixture(autouse=True)
def _clean_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start in an empty Context with no client and no variables of Sentry's; end without either."""
    for name in SENTRY_VARIABLES:
        monkeypatch.delenv(name)
    reraise_faults(True)
    guard._counts.clear()  # what was logged once before is logged again
    token = context_api.attach(Context())
    assert not trace.get_current_span().get_span_context().is_valid
    yield
    context_api.detach(token)
    bridge.close()
    bridge.get_global_scope().clear()


@pytest.fixture(autouse=True)
def _judged(_clean_process: None, judge_sink: Sink, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Relay's normaliser, sentry-sdk's and sentry-cli's parsers judge every envelope that the test made."""
    tap = Tap()
    tap.put_on(monkeypatch)
    yield
    bridge.close()
    complaints = tap.complaints(judge_sink)
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def sent() -> Iterator[BridgeCapture]:
    """A client that samples everything and keeps what it sends."""
    with testing.capture() as captured:
        yield captured
