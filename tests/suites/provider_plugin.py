"""A pytest plugin for OpenTelemetry's trace suite: our provider in the place of theirs, and proof that it ran."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import opentelemetry.sdk.trace as stock
import pytest
from opentelemetry.sdk.trace import sampling

COUNTS = {"providers": 0, "tracers": 0, "spans": 0}
OUTCOMES: dict[str, str] = {}
RELOADING: list[str] = []
"""Tests that reload the SDK's module, from which on they have its own provider."""
_PUT_IN_PLACE: dict[str, Any] = {}


def replace_provider() -> None:
    """Put the chosen provider in place of the SDK's before anything names that; counts what it makes."""
    if os.environ["TRACER_PROVIDER"] == "bridge":
        from bridge._internal.tracing.provider import Tracer as ChosenTracer
        from bridge._internal.tracing.provider import TracerProvider as Chosen
    else:
        Chosen, ChosenTracer = stock.TracerProvider, stock.Tracer  # type: ignore[misc, assignment]  # noqa: N806

    class TracerProvider(Chosen):
        """Samples as OpenTelemetry's does where no sampler is given; ours would not at all."""

        def __init__(self, sampler: Any = None, *args: Any, **kwargs: Any) -> None:
            COUNTS["providers"] += 1
            super().__init__(sampler or sampling._get_from_env_or_default(), *args, **kwargs)

        def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
            tracer = super().get_tracer(*args, **kwargs)
            COUNTS["tracers"] += type(tracer) is ChosenTracer
            return tracer

    start_span, start_as_current_span = ChosenTracer.start_span, ChosenTracer.start_as_current_span

    def counted_start(self: Any, *args: Any, **kwargs: Any) -> Any:
        COUNTS["spans"] += 1
        return start_span(self, *args, **kwargs)

    def counted_start_as_current(self: Any, *args: Any, **kwargs: Any) -> Any:
        if ChosenTracer is not stock.Tracer:  # whose method calls the other one
            COUNTS["spans"] += 1
        return start_as_current_span(self, *args, **kwargs)

    ChosenTracer.start_span = counted_start  # type: ignore[method-assign]
    ChosenTracer.start_as_current_span = counted_start_as_current  # type: ignore[method-assign, assignment]
    stock.TracerProvider = TracerProvider  # type: ignore[misc]
    _PUT_IN_PLACE.update(vars(stock))


def pytest_configure() -> None:
    """Put the provider in place before any test module names it, here and in processes that tests start."""
    replace_provider()
    subprocesses = Path(__file__).parent / "subprocesses"
    os.environ["PYTHONPATH"] = f"{subprocesses}{os.pathsep}{os.environ['PYTHONPATH']}"


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Undo what a test did that reloaded the module, or all tests after it would have the SDK's own provider."""
    if stock.TracerProvider is not _PUT_IN_PLACE["TracerProvider"]:
        RELOADING.append(item.nodeid)
        vars(stock).update(_PUT_IN_PLACE)


def pytest_runtest_logreport(report: Any) -> None:
    """Keep each test's outcome: failed if any of its phases or subtests did."""
    if (report.when == "call" or report.outcome != "passed") and OUTCOMES.get(report.nodeid) != "failed":
        OUTCOMES[report.nodeid] = report.outcome


def pytest_sessionfinish() -> None:
    """Write outcomes and counts to the file that the environment names."""
    Path(os.environ["SUITE_RESULT"]).write_text(
        json.dumps({"outcomes": OUTCOMES, "counts": COUNTS, "reloading": RELOADING})
    )
