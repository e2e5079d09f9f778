"""A pytest plugin for sentry-sdk's own suite: the bridge in force, or not, and what became of each test."""

from __future__ import annotations

import json
import os
from pathlib import Path

OUTCOMES: dict[str, str] = {}


def pytest_collection() -> None:
    """Initialise the bridge once the suite has imported sentry-sdk, which insists on being first."""
    if os.environ.get("WITH_BRIDGE"):
        import bridge

        bridge.init()


def pytest_runtest_logreport(report) -> None:
    """Keep the outcome of each test."""
    if report.when == "call" or report.outcome != "passed":
        OUTCOMES[report.nodeid] = report.outcome


def pytest_sessionfinish() -> None:
    """Write them down, with proof that the bridge was in force."""
    mode = ""
    if os.environ.get("WITH_BRIDGE"):
        from bridge._internal.sentry_sdk import mode as modes

        mode = "joined" if modes._process.client is not None else "not joined"
    Path(os.environ["SUITE_RESULT"]).write_text(json.dumps({"outcomes": OUTCOMES, "mode": mode}))
