"""The pytest plugin: the fixture `bridge_capture`.

It is loaded in every pytest run of every user, so it imports nothing until it is used. There is nothing to rewrite
here: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.testing import BridgeCapture

_FIXTURE = "bridge_capture"
_REPORTER = "bridge-capture-reporter"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, so that `--strict-markers` takes it."""
    config.addinivalue_line(
        "markers", "bridge(**options): what `bridge.testing.capture` takes, for the test's fixture bridge_capture"
    )


@pytest.fixture
def bridge_options() -> Mapping[str, Any]:
    """What every `bridge_capture` is made with: override this in a conftest, a module or a class."""
    return {}


@pytest.fixture
def bridge_capture(request: pytest.FixtureRequest, bridge_options: Mapping[str, Any]) -> Iterator[BridgeCapture]:
    """A client of the test's own: what it would have sent is here, and the process is as it was afterwards.

    Takes the options of `bridge.testing.capture` from the fixture `bridge_options` and from `@pytest.mark.bridge(...)`.
    """
    from bridge.testing import capture

    plugins = request.config.pluginmanager
    if not plugins.hasplugin(_REPORTER):
        plugins.register(_Reporter(), _REPORTER)
    with capture(**{**bridge_options, **_marked(request.node)}) as captured:
        yield captured


def _marked(item: pytest.Item) -> dict[str, Any]:
    """Return the options of the markers, the nearest one last."""
    options: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers("bridge"))):
        if mark.args:
            raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.bridge takes options by name, got {mark.args!r}")
        options.update(mark.kwargs)
    return options


class _Reporter:
    """Shows beneath a test that failed what its capture had got; there from the first use of the fixture on."""

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        """Add a section to the report of a call that failed."""
        outcome: Any = yield
        captured: BridgeCapture | None = getattr(item, "funcargs", {}).get(_FIXTURE)
        if call.when != "call" or captured is None:
            return
        report: pytest.TestReport = outcome.get_result()
        if report.failed:
            report.sections.append(("bridge: what was sent", captured.outline() or "(nothing)"))
