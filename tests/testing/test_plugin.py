"""The pytest plugin, in sessions of its own: what a user's suite sees."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.programs

pytest_plugins = ["pytester"]

INI = """
[pytest]
addopts = --strict-markers --strict-config
filterwarnings = error
"""


@pytest.fixture(autouse=True)
def _as_a_user(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makefile(".ini", pytest=INI)
    for name in [name for name in os.environ if name.startswith(("PYTEST_", "COV_"))]:
        monkeypatch.delenv(name)


def run(
    pytester: pytest.Pytester, *arguments: str, without: tuple[str, ...] = ("randomly", "asyncio")
) -> pytest.RunResult:
    """Run the session in a process of its own, without the plugins that a test is not about."""
    blocked = [part for name in without for part in ("-p", f"no:{name}")]
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *blocked, *arguments, timeout=120)


def need(module: str) -> None:
    """Skip where a neighbour of the plugin is not installed; in CI it is."""
    if importlib.util.find_spec(module) is None:
        assert not os.environ.get("BRIDGE_REQUIRE_NEIGHBOURS"), f"{module} is not installed"
        pytest.skip(f"{module} is not installed")


APP = """
import bridge
from opentelemetry import trace

tracer = trace.get_tracer(__name__)

@bridge.trace("load cart", op="db")
def load_cart():
    pass

def checkout():
    with bridge.start_span("checkout", op="http.server"):
        load_cart()
        with tracer.start_as_current_span("pay"):
            pass
"""


def test_each_test_has_a_client_of_its_own(pytester: pytest.Pytester) -> None:
    """The fixture is there without an import; each test sees its own spans, with the same ids, and leaves nothing."""
    pytester.makepyfile(
        app=APP,
        test_shop="""
import bridge
import pytest
from opentelemetry import trace

@pytest.mark.parametrize("n", range(3))
def test_checkout(bridge_capture, n):
    from app import checkout
    checkout()
    assert bridge_capture.tree() == ["checkout", ["load cart", "pay"]]
    assert [s["span_id"][-1] for s in bridge_capture.spans] == ["1", "2", "3"]
    assert (bridge_capture.events, len(bridge_capture.transactions), len(bridge_capture.envelopes)) == ([], 1, 1)
    bridge.set_tag("left", "behind")
    bridge.start_span("left active").__enter__()

def test_nothing_is_left():
    assert not bridge.is_initialized()
    assert bridge.get_current_span() is None
    assert type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider"
""",
    )
    run(pytester).assert_outcomes(passed=4)


def test_options(pytester: pytest.Pytester) -> None:
    """`bridge_options` is overridden for a suite or a class, the marker wins, the nearest one last."""
    pytester.makeconftest("""
import pytest

@pytest.fixture
def bridge_options():
    return {"environment": "suite", "release": "1.0"}
""")
    pytester.makepyfile("""
import bridge
import pytest
from bridge.testing import ManualClock

pytestmark = pytest.mark.bridge(environment="module")
CLOCK = ManualClock()

@pytest.mark.bridge(traces_sample_rate=0.0, clock=CLOCK)
def test_marked(bridge_capture):
    options = bridge_capture.client.options
    assert (options.environment, options.release, options.traces_sample_rate) == ("module", "1.0", 0.0)
    with bridge.start_span("root"):
        bridge.capture_message("m")
    assert bridge_capture.tree() == []
    assert bridge_capture.events[0]["timestamp"] == "2026-01-01T00:00:00.000000Z"

class TestOfAClass:
    @pytest.fixture
    def bridge_options(self, bridge_options):
        return {**bridge_options, "release": "2.0"}

    @pytest.mark.bridge(environment="test")
    def test_nearest(self, bridge_capture):
        options = bridge_capture.client.options
        assert (options.environment, options.release) == ("test", "2.0")

@pytest.mark.bridge(0.5)
def test_by_position(bridge_capture):
    pass
""")
    result = run(pytester)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*test_by_position: @pytest.mark.bridge takes options by name, got (0.5,)*"])


def test_a_failure_shows_the_tree(pytester: pytest.Pytester) -> None:
    """What was sent stands beneath a test that failed, however it failed; a test that passed shows nothing."""
    pytester.makepyfile("""
import bridge
from inspect import cleandoc

def work():
    with bridge.start_span("checkout", op="http.server"), bridge.start_span("load cart"):
        bridge.capture_message("slow", level="warning")

def test_by_name(bridge_capture):
    work()
    bridge_capture.span("pay")

def test_by_outline(bridge_capture):
    work()
    assert bridge_capture.outline() == cleandoc('''
        checkout  op=http.server
          pay
    ''')

def test_by_anything(bridge_capture):
    work()
    raise LookupError("something else")

def test_with_nothing_sent(bridge_capture):
    raise LookupError("nothing was sent")

def test_that_passes(bridge_capture):
    with bridge.start_span("passes"):
        pass
""")
    result = run(pytester)
    result.assert_outcomes(passed=1, failed=4)
    sent = ["*- bridge: what was sent -*", "checkout  op=http.server", "  load cart", "    ! warning: slow"]
    result.stdout.fnmatch_lines(
        [
            '>       bridge_capture.span("pay")',
            "E       AssertionError: no span is named 'pay'; what was sent:",
            "E       checkout  op=http.server",
            "E         load cart",
            "E           ! warning: slow",
            *sent,
            "E       *-   pay",
            "E       *+   load cart",
            *sent,
            "E       LookupError: something else",
            *sent,
            "E       LookupError: nothing was sent",
            "*- bridge: what was sent -*",
            "(nothing)",
        ]
    )
    result.stdout.no_fnmatch_line("passes*")


MANY = """
import threading
import bridge
import pytest

@pytest.mark.parametrize("n", range(20))
def test_many(bridge_capture, n):
    def work():
        with bridge.start_span("worker"):
            bridge.capture_message("hello")
    with bridge.start_span(f"root {n}"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert bridge_capture.outline() == f"root {n}\\n  worker\\n    ! info: hello"
    assert bridge_capture.headers()["sentry-trace"].startswith("0000000000000001")
    bridge.get_global_scope().set_tag("left", "behind")

def test_without(request):
    assert not bridge.is_initialized()
    assert not bridge.get_global_scope().tags
"""


def test_in_parallel_and_in_any_order(pytester: pytest.Pytester) -> None:
    """Under pytest-xdist and pytest-randomly each test sees its own and the same, in whatever process and order."""
    need("xdist")
    need("pytest_randomly")
    pytester.makepyfile(MANY)
    run(pytester, "-n", "2", "-p", "randomly", without=("asyncio",)).assert_outcomes(passed=21)
    run(pytester, without=("asyncio",)).assert_outcomes(passed=21)


def test_a_failure_in_a_worker_process_shows_the_tree(pytester: pytest.Pytester) -> None:
    """The section reaches the report of pytest-xdist as well."""
    need("xdist")
    pytester.makepyfile("""
import bridge

def test_fails(bridge_capture):
    with bridge.start_span("checkout"):
        pass
    assert False
""")
    result = run(pytester, "-n", "1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*- bridge: what was sent -*", "checkout"])


ASYNC = """
import asyncio
import bridge
import pytest

@pytest.fixture(scope="module")
async def session_wide():
    bridge.set_tag("of the fixture", "1")
    yield

@MARK
@pytest.mark.parametrize("n", range(3))
async def test_async(session_wide, bridge_capture, n):
    assert bridge.get_current_span() is None
    assert dict(bridge.get_isolation_scope().tags) == {}
    bridge.set_tag("left", "behind")
    with bridge.start_span("root"):
        async def below(name):
            with bridge.start_span(name):
                await asyncio.sleep(0)
        await asyncio.gather(below("a"), below("b"))
    assert bridge_capture.tree() == ["root", ["a", "b"]]
    bridge.start_span("left active").__enter__()

@MARK
async def test_without():
    assert bridge.get_current_span() is None
    assert not bridge.is_initialized()

@MARK
async def test_in_a_block():
    with bridge.testing.capture() as captured:
        with bridge.start_span("root"):
            await asyncio.sleep(0)
        assert captured.tree() == ["root"]
"""


def test_pytest_asyncio(pytester: pytest.Pytester) -> None:
    """Async tests that share an event loop for a module share nothing else."""
    need("pytest_asyncio")
    options = "asyncio_mode = auto\nasyncio_default_fixture_loop_scope = module\n"
    pytester.makefile(".ini", pytest=INI + options)
    mark = 'pytest.mark.asyncio(loop_scope="module")'
    pytester.makepyfile("import bridge.testing\n" + ASYNC.replace("MARK", mark))
    run(pytester, without=("randomly",)).assert_outcomes(passed=5)


def test_anyio(pytester: pytest.Pytester) -> None:
    """The same under anyio's plugin, which runs all tests of a module in one task."""
    need("anyio")
    backend = """
import bridge.testing
import pytest

@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"
"""
    pytester.makepyfile(backend + ASYNC.replace("MARK", "pytest.mark.anyio"))
    run(pytester).assert_outcomes(passed=5)


def test_unittest(pytester: pytest.Pytester) -> None:
    """A `TestCase` captures with `capture` as a context manager, or with the fixture that it uses."""
    pytester.makepyfile("""
import unittest
import bridge
import pytest
from bridge.testing import capture

class TestShop(unittest.TestCase):
    def setUp(self):
        entered = capture()
        self.captured = entered.__enter__()
        self.addCleanup(entered.__exit__, None, None, None)

    def test_one(self):
        with bridge.start_span("one"):
            pass
        self.assertEqual(self.captured.tree(), ["one"])

@pytest.mark.usefixtures("bridge_capture")
class TestWithFixture(unittest.TestCase):
    def test_live(self):
        self.assertTrue(bridge.is_initialized())

def test_nothing_is_left():
    assert not bridge.is_initialized()
""")
    run(pytester).assert_outcomes(passed=3)


def test_an_application_that_is_set_up_at_import(pytester: pytest.Pytester) -> None:
    """An application that calls `init` when it is imported is captured; it sends to its own again afterwards."""
    pytester.makepyfile(
        app="sent = []\nimport bridge\n"
        "client = bridge.init(environment='staging', traces_sample_rate=1.0, transport=sent.append)\n" + APP,
        test_shop="""
import app
import bridge
import pytest

@pytest.mark.parametrize("n", range(2))
def test_captured(bridge_capture, n):
    app.checkout()
    assert bridge_capture.tree() == ["checkout", ["load cart", "pay"]]
    assert app.sent == []
    assert bridge.get_client() is not app.client

def test_not_captured():
    app.checkout()
    bridge.flush()
    assert len(app.sent) == 1
    assert bridge.get_client() is app.client
""",
    )
    run(pytester).assert_outcomes(passed=3)


def test_an_application_with_a_factory(pytester: pytest.Pytester) -> None:
    """A factory that sets a provider and calls `init` works in each test, as in a process of its own."""
    pytester.makepyfile(
        app="""
import bridge
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

native = trace.get_tracer("module level")

def make_app(exporter):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    bridge.init("https://key@example.com/1", traces_sample_rate=0.1)
    return provider

def handle():
    with native.start_as_current_span("handle"), bridge.start_span("work"):
        pass
""",
        test_shop="""
import pytest
from app import handle, make_app
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

@pytest.mark.parametrize("n", range(3))
def test_factory(bridge_capture, n):
    exporter = InMemorySpanExporter()
    provider = make_app(exporter)
    assert trace.get_tracer_provider() is provider
    handle()
    assert bridge_capture.tree() == ["handle", ["work"]]
    assert [s.name for s in exporter.get_finished_spans()] == ["work", "handle"]
""",
    )
    run(pytester).assert_outcomes(passed=3)


def test_beside_an_exporter_of_the_suites(pytester: pytest.Pytester) -> None:
    """A suite's own in-memory exporter gets what it got before; the capture sees the same spans, with Sentry's."""
    pytester.makeconftest("""
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

@pytest.fixture(scope="session")
def session_exporter():
    provider = TracerProvider()
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter

@pytest.fixture
def exporter(session_exporter):
    session_exporter.clear()
    return session_exporter
""")
    pytester.makepyfile("""
import bridge
import pytest
from opentelemetry import trace
native = trace.get_tracer("native")

def names(exporter):
    return [s.name for s in exporter.get_finished_spans()]

@pytest.mark.parametrize("n", range(2))
def test_both(exporter, bridge_capture, n):
    with native.start_as_current_span("handle"), bridge.start_span("work"):
        bridge.capture_message("hello")
    assert names(exporter) == ["work", "handle"]
    assert bridge_capture.outline() == "handle\\n  work\\n    ! info: hello"
    assert [s["span_id"][-1] for s in bridge_capture.spans] == ["1", "2"]

def test_theirs_alone(exporter):
    with native.start_as_current_span("alone"):
        pass
    assert names(exporter) == ["alone"]
    assert exporter.get_finished_spans()[0].context.span_id > 1000
""")
    run(pytester).assert_outcomes(passed=3)


def test_an_error_says_when_another_provider_took_over(pytester: pytest.Pytester) -> None:
    """Spans of a provider that became global during a capture are not sent; the error of a missing span says so."""
    pytester.makepyfile("""
import bridge
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

def test_late(bridge_capture):
    trace.set_tracer_provider(TracerProvider())
    with trace.get_tracer("native").start_as_current_span("handle"):
        pass
    with pytest.raises(AssertionError, match="another tracer provider was made global"):
        bridge_capture.span("handle")
""")
    run(pytester).assert_outcomes(passed=1)


HEAVY = ("opentelemetry", "httpx", "wrapt", "contextvars_extras", "asyncio", "bridge._internal.api", "bridge.testing")


@pytest.mark.parametrize("module", ["bridge", "bridge.pytest_plugin"])
def test_nothing_heavy_is_imported(module: str) -> None:
    """Neither `import bridge` nor the plugin loads anything of OpenTelemetry's, httpx or our own rooms."""
    program = f"import sys, pytest\nbefore = set(sys.modules)\nimport {module}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = done.stdout.split()
    assert [name for name in loaded if name.startswith(HEAVY)] == []
    assert sorted(name for name in loaded if name.startswith("bridge")) == sorted(
        {"bridge", "bridge._internal", "bridge._internal.version", module}
    )


PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def test_what_the_page_shows_passes(pytester: pytest.Pytester) -> None:
    """The tests of docs/testing.md pass, as a user's would."""
    shown = [block for block in BLOCKS if "def test_" in block]
    pytester.makepyfile(**{f"test_shown_{number}": block for number, block in enumerate(shown)})
    run(pytester).assert_outcomes(passed=4)


def test_pytest_does_not_warn_of_what_was_imported_before_it(pytester: pytest.Pytester) -> None:
    """Where `opentelemetry-instrument` has imported the bridge, a suite that fails on warnings does not fail."""
    pytester.makepyfile("def test_nothing():\n    pass\n")
    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    program = f"import bridge, pytest, sys\nsys.exit(pytest.main({arguments}))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=pytester.path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_session_that_does_not_use_it_loads_nothing(pytester: pytest.Pytester) -> None:
    """A whole run without the fixture imports nothing of the bridge but the plugin itself."""
    pytester.makepyfile("""
import sys

def test_nothing():
    assert "bridge.pytest_plugin" in sys.modules
    heavy = ("opentelemetry", "httpx", "wrapt", "bridge._internal.api", "bridge.testing")
    assert [name for name in sys.modules if name.startswith(heavy)] == []
""")
    run(pytester).assert_outcomes(passed=1)
