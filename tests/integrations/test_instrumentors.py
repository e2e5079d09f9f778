"""`instrumentations=`: what is installed is active once it is needed, once, and never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

import bridge
from tests.integrations.distributions import (
    INSTRUMENTOR,
    LIBRARY,
    make_distribution,
    make_instrumentor,
    make_library,
    run,
)

pytest.importorskip("opentelemetry.instrumentation", reason="OpenTelemetry's instrumentations are not installed")


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with a library and its instrumentor."""
    make_library(tmp_path)
    make_instrumentor(tmp_path)
    return tmp_path


def output(program: str, folder: Path | None = None, **environment: str) -> tuple[list[str], list[str]]:
    """Run a program to its end; returns the lines of its output and of its log."""
    done = run(program, folder, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr.splitlines()


def test_it_waits_until_the_library_is_imported(shelf: Path) -> None:
    """With "auto" nothing of an instrumentor is loaded until the program imports the library; from then on it works."""
    printed, log = output(
        """
start()
print(state(), is_loaded(), "shelf" in sys.modules, [i.modules for i in client.instrumentations() if i.name == "shelf"])
import shelf
print(state(), shelf.read(), names())
""",
        shelf,
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="none of them",
    )
    assert printed == ["['pending'] False False [('shelf',)]", "['active'] book ['read']"]
    assert log == ["loaded", "instrumented", "uninstrumented"]


@pytest.mark.parametrize(
    "program",
    [
        "start()\nimport shelf",
        "import shelf\nstart()",
        "import shelf, shelf_otel\nstart()",
        "import shelf_otel\nstart()\nimport shelf",
        "start()\nfrom shelf_otel import ShelfInstrumentor\nimport shelf",
        "start()\nimport shelf.rare as rare\nimport shelf",
        "start()\nimport importlib\nshelf = importlib.import_module('shelf')",
    ],
)
def test_no_order_of_imports_is_wrong(shelf: Path, program: str) -> None:
    """Library, instrumentor and bridge may be imported in any order."""
    printed, _ = output(program + "\nshelf.read()\nprint(names())", shelf)
    assert printed == ["['read']"]


def test_a_second_init_does_not_double_and_close_takes_off(shelf: Path) -> None:
    """One span a call after init was called twice; none after close; one again after another init."""
    printed, log = output(
        """
import shelf
start()
start()
shelf.read()
print(names())
bridge.close()
print(shelf.read(), client.instrumentations())
start()
shelf.read()
print(names(), state())
""",
        shelf,
    )
    assert printed == ["['read']", "book ()", "['read'] ['active']"]
    assert log == ["loaded", *["instrumented", "uninstrumented"] * 3]


def test_close_cancels_what_waits(shelf: Path) -> None:
    """After close an import activates nothing, and loads no instrumentor; init after that does."""
    printed, log = output(
        """
start()
bridge.close()
import shelf
print(is_loaded())
start()
print(state(), shelf.read(), names())
""",
        shelf,
    )
    assert printed == ["False", "['active'] book ['read']"]
    assert log == ["loaded", "instrumented", "uninstrumented"]


def test_what_somebody_else_activated_is_left_to_them(shelf: Path) -> None:
    """An instrumentor that the program, or opentelemetry-instrument, activated before is not doubled nor taken off."""
    printed, log = output(
        """
import shelf
from shelf_otel import ShelfInstrumentor
from opentelemetry import trace
ShelfInstrumentor().instrument(tracer_provider=trace.get_tracer_provider())
start()
shelf.read()
print(state(), names())
bridge.close()
print(ShelfInstrumentor().is_instrumented_by_opentelemetry)
""",
        shelf,
    )
    assert printed == ["['foreign'] ['read']", "True"]
    assert log == ["loaded", "instrumented"]


def test_what_somebody_else_took_off_stays_off(shelf: Path) -> None:
    """close does not complain of an instrumentor that the program took off itself."""
    _, log = output("import shelf\nstart()\nfrom shelf_otel import *\nShelfInstrumentor().uninstrument()", shelf)
    assert log == ["loaded", "instrumented", "uninstrumented"]


@pytest.mark.parametrize(
    "given", ["[ShelfInstrumentor()]", "[ShelfInstrumentor(), 'auto']", "['auto', ShelfInstrumentor()]"]
)
def test_instances_and_auto_go_together(shelf: Path, given: str) -> None:
    """An instance is activated at once and once, beside "auto" as well."""
    printed, log = output(
        f"""
from shelf_otel import ShelfInstrumentor
start({given})
import shelf
shelf.read()
print(names(), {{i.state for i in client.instrumentations() if "helf" in i.name}})
""",
        shelf,
    )
    assert printed == ["['read'] {'active'}"]
    assert log == ["loaded", "instrumented", "uninstrumented"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("raise RuntimeError('no good')", "it failed: RuntimeError: no good"),
        ("import a_module_that_is_missing", "it failed: ModuleNotFoundError: No module named"),
        (
            INSTRUMENTOR.replace('print("instrumented"', '1 / 0\n        print("instrumented"'),
            "it failed: ZeroDivision",
        ),
        ("class ShelfInstrumentor: pass", "it failed: AttributeError"),
        ("", "it failed: AttributeError"),
    ],
)
@pytest.mark.parametrize("order", ["start()\nimport shelf", "import shelf\nstart()"])
def test_one_that_fails_breaks_nothing(tmp_path: Path, source: str, says: str, order: str) -> None:
    """Neither init nor the import of the library fails with an instrumentor; the reason is told, and logged once."""
    make_library(tmp_path)
    make_instrumentor(tmp_path, source)
    printed, log = output(order + "\nprint(shelf.read(), state(), reason())", tmp_path)
    assert printed[0].startswith("book ['refused'] " + says)
    assert [line for line in log if "instrumentation shelf" in line] == [
        "instrumentation shelf is not activated: it failed"
    ]


def test_a_version_that_is_not_supported_is_refused(tmp_path: Path) -> None:
    """The instrumentor of a library of another version is not loaded; the log says once what fits and what is there."""
    make_library(tmp_path, version="0.9")
    make_instrumentor(tmp_path)
    printed, log = output(
        "start()\nimport shelf\nprint(state(), is_loaded(), 'shelf-library 0.9' in reason())", tmp_path
    )
    assert printed == ["['refused'] False True"]
    assert len(log) == 1
    assert log[0].startswith("instrumentation shelf is not activated: ")
    assert "0.9" in log[0]


def test_metadata_that_cannot_be_read(tmp_path: Path) -> None:
    """An instrumentor whose requirements are no requirements is refused, and the others are not."""
    make_library(tmp_path)
    make_instrumentor(tmp_path)
    make_distribution(
        tmp_path,
        "opentelemetry-instrumentation-broken",
        {"broken_otel.py": ""},
        requires=["shelf-library is the one; extra == 'instruments'"],
        entry_points={"broken": "broken_otel:Instrumentor"},
    )
    printed, _ = output("start()\nimport shelf\nprint(state(), state('broken'), reason('broken'))", tmp_path)
    assert printed[0].startswith("['active'] ['refused'] its metadata cannot be read: InvalidRequirement")


def test_a_library_that_is_not_installed_is_no_news(tmp_path: Path) -> None:
    """Instrumentors of libraries that are absent are neither loaded nor logged."""
    make_instrumentor(tmp_path)
    printed, log = output("start()\nprint(state(), is_loaded())", tmp_path)
    assert (printed, log) == (["['absent'] False"], [])


@pytest.mark.parametrize("disabled", ["shelf", "requests , shelf", "*"])
def test_the_environment_disables(shelf: Path, disabled: str) -> None:
    """OTEL_PYTHON_DISABLED_INSTRUMENTATIONS keeps the named ones, or all, from being loaded."""
    program = "start()\nimport shelf\nshelf.read()\nprint(state(), is_loaded(), names())"
    printed, _ = output(program, shelf, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled)
    assert printed == ["['disabled'] False []"]


@pytest.mark.parametrize(("value", "states"), [("auto", "['active']"), ("", "[]")])
def test_a_variable_stands_in_for_the_option(shelf: Path, value: str, states: str) -> None:
    """BRIDGE_INSTRUMENTATIONS=auto is `instrumentations="auto"`, where init does not say otherwise."""
    program = "import shelf\nstart(None)\nprint(state())\nstart([])\nprint(state())"
    printed, _ = output(program, shelf, BRIDGE_INSTRUMENTATIONS=value)
    assert printed == [states, "[]"]


@pytest.mark.parametrize("inside", ["", "instrumentations='auto'"])
def test_a_capture_in_between(shelf: Path, inside: str) -> None:
    """In a capture of `bridge.testing`, and after it, the program's instrumentations are in force."""
    printed, _ = output(
        f"""
from bridge.testing import capture
start()
with capture(traces_sample_rate=1.0, {inside}) as sent:
    import shelf
    shelf.read()
    print(sent.tree())
shelf.read()
print(state(), names())
""",
        shelf,
    )
    assert printed == ["['read']", "['active'] ['read']"]


def test_a_library_that_calls_init_while_it_is_imported(tmp_path: Path) -> None:
    """A module that is half imported when init is called is instrumented when it is whole."""
    make_library(tmp_path, source="import __main__\n__main__.start()\nprint(__main__.state())\n" + LIBRARY)
    make_instrumentor(tmp_path)
    printed, log = output(
        """
import time
import shelf
deadline = time.monotonic() + 20
while state() != ["active"] and time.monotonic() < deadline:
    time.sleep(0.001)
shelf.read()
print(state(), names())
""",
        tmp_path,
    )
    assert printed == ["['pending']", "['active'] ['read']"]
    assert log == ["loaded", "instrumented", "uninstrumented"]


def test_a_library_whose_import_fails(tmp_path: Path) -> None:
    """An import that fails fails as it would, and the next one that does not activates."""
    make_library(tmp_path, source="import os\nif 'FAIL' in os.environ: raise ImportError('not yet')\n" + LIBRARY)
    make_instrumentor(tmp_path)
    printed, _ = output(
        """
import os
os.environ["FAIL"] = "1"
start()
try:
    import shelf
except ImportError as error:
    print(error, state())
del os.environ["FAIL"]
import shelf
print(shelf.read(), names(), state())
""",
        tmp_path,
    )
    assert printed == ["not yet ['pending']", "book ['read'] ['active']"]


def test_threads_that_import_at_once(shelf: Path) -> None:
    """A library that many threads import at the same time is instrumented once, before any of them can use it."""
    printed, log = output(
        """
from threading import Barrier, Thread
start()
barrier = Barrier(8)
def work():
    barrier.wait()
    import shelf
    shelf.read()
threads = [Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(names() == ["read"] * 8)
""",
        shelf,
    )
    assert printed == ["True"]
    assert log == ["loaded", "instrumented", "uninstrumented"]


def test_close_while_one_is_being_activated(tmp_path: Path) -> None:
    """An instrumentor that another thread is activating when close is called is taken off when it is done."""
    make_library(tmp_path)
    slow = INSTRUMENTOR.replace('print("instrumented"', '__import__("__main__").wait()\n        print("instrumented"')
    make_instrumentor(tmp_path, slow)
    printed, log = output(
        """
from threading import Event, Thread
begun, closed = Event(), Event()
def wait():
    begun.set()
    closed.wait(20)
start()
importing = Thread(target=lambda: __import__("shelf"))
importing.start()
begun.wait(20)
bridge.close()
closed.set()
importing.join()
import shelf
print(shelf.read(), hasattr(shelf.read, "__wrapped__"))
""",
        tmp_path,
    )
    assert printed == ["book False"]
    assert log == ["loaded", "instrumented", "uninstrumented"]


def test_an_instrumentor_of_two_libraries(shelf: Path) -> None:
    """One that imports another instrumented library, whose instrumentor is in the same module, fails neither."""
    make_distribution(shelf, "rack", {"rack.py": LIBRARY})
    both = "import rack\n" + INSTRUMENTOR + INSTRUMENTOR.replace("shelf", "rack").replace("Shelf", "Rack")
    make_distribution(
        shelf,
        "opentelemetry-instrumentation-both",
        {"both_otel.py": both.replace("rack-library >= 1.0", "rack")},
        requires=["shelf-library; extra == 'instruments-any'", "rack; extra == 'instruments-any'"],
        entry_points={"shelf-library": "both_otel:ShelfInstrumentor", "rack": "both_otel:RackInstrumentor"},
    )
    printed, _ = output(
        """
start()
import shelf, rack
rack.read(), shelf.read()
print(state("rack"), state("shelf-library"), len(names()))
""",
        shelf,
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="shelf",
    )
    assert printed == ["['active'] ['active'] 2"]


def test_a_forked_child_keeps_its_instrumentations(shelf: Path) -> None:
    """What is active stays active in a forked child, and what waits is activated there on its own."""
    printed, _ = output(
        """
import os
start()
pid = os.fork()
import shelf
shelf.read()
os.write(1, f"{state()} {names()}\\n".encode())
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
""",
        shelf,
    )
    assert printed == ["['active'] ['read']"] * 2


def test_a_package_below_a_namespace(tmp_path: Path) -> None:
    """A library in a namespace package is not taken to be imported when its neighbour is."""
    files = {"stacks/shelf/__init__.py": "", "stacks/shelf/_private.py": ""}
    make_distribution(tmp_path, "stacks-shelf", files)
    make_distribution(tmp_path, "stacks-other", {"stacks/other.py": ""})
    make_distribution(
        tmp_path,
        "opentelemetry-instrumentation-stacks",
        {"stacks_otel.py": "class Instrumentor:\n    def instrument(self, **_): pass\n    uninstrument = instrument"},
        requires=['stacks-shelf; extra == "instruments-any"', 'stacks-none; extra == "instruments-any"'],
        entry_points={"stacks": "stacks_otel:Instrumentor"},
    )
    printed, _ = output(
        """
start()
import stacks.other
print(state("stacks"), [i.modules for i in client.instrumentations() if i.name == "stacks"])
import stacks.shelf
print(state("stacks"))
""",
        tmp_path,
    )
    assert printed == ["['pending'] [('stacks.shelf',)]", "['active']"]


def test_before_init_there_are_none() -> None:
    """The client that does nothing has no instrumentations."""
    assert bridge.get_client().instrumentations() == ()


def contrib(*names: str) -> None:
    """Skip where one of contrib's instrumentations is not installed."""
    for name in names:
        pytest.importorskip(f"opentelemetry.instrumentation.{name}", reason=f"contrib's {name} is not installed")


def test_contribs_instrumentors_of_the_standard_library() -> None:
    """sqlite3 and urllib wait to be imported; asyncio and logging are imported already; threads are ours."""
    contrib("sqlite3", "urllib", "asyncio", "logging", "threading")
    printed, log = output(
        """
names_of_all = ("sqlite3", "urllib", "asyncio", "logging", "threading")
sys.modules.pop("urllib.request", None)
start()
print([state(name)[0] for name in names_of_all])
print(reason("threading"))
import sqlite3, urllib.request
print([state(name)[0] for name in names_of_all])
connection = sqlite3.connect(":memory:")
with bridge.start_span("job"):
    connection.cursor().execute("SELECT 1")
connection.close()
print([[s["description"] for s in t["spans"]] for t in client.transport.transactions])
start(patch_threads=False)
print(state("threading"))
bridge.close()
"""
    )
    assert printed == [
        "['pending', 'pending', 'active', 'active', 'refused']",
        "threads carry the context already (option patch_threads)",
        "['active', 'active', 'active', 'active', 'refused']",
        "[['SELECT ?']]",
        "['active']",
    ]
    assert log == []


def test_contribs_httpx_and_our_own_requests() -> None:
    """A program's httpx requests are traced with "auto", and carry one set of headers; the bridge's own are not."""
    contrib("httpx")
    printed, log = output(
        """
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from bridge._internal.demo.receiver import Receiver
import httpx
class Service(BaseHTTPRequestHandler):
    def do_GET(self):
        print([len(self.headers.get_all(name)) for name in ("sentry-trace", "traceparent", "baggage")])
        self.send_response(204)
        self.end_headers()
    def log_message(self, *args): pass
service = HTTPServer(("127.0.0.1", 0), Service)
Thread(target=service.handle_request).start()
with Receiver() as receiver:
    bridge.init(receiver.dsn, traces_sample_rate=1.0, instrumentations="auto")
    with bridge.start_span("job"):
        httpx.get(f"http://127.0.0.1:{service.server_port}/", trust_env=False)
    bridge.close(10)
service.server_close()
for envelope in receiver.envelopes:
    for item in envelope.items:
        print(item.type, [span["op"] for span in item.payload["spans"]])
"""
    )
    assert printed == ["[1, 1, 1]", "transaction ['http.client']"]
    assert log == []


@pytest.mark.parametrize(("variable", "handlers"), [("", "[]"), ("true", "['LoggingHandler']")])
def test_contribs_logging_leaves_a_program_its_log(variable: str, handlers: str) -> None:
    """Without logging set up, warnings still reach standard error: contrib's handler is put there only if asked for."""
    contrib("logging")
    program = "import logging\nstart()\nprint(state('logging'), [type(h).__name__ for h in logging.root.handlers])"
    printed, _ = output(program, OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION=variable)
    assert printed == [f"['active'] {handlers}"]


@pytest.mark.parametrize(
    "order",
    [
        "start()\nfrom flask import Flask",
        "from flask import Flask\nstart()",
        "import flask\nstart()\nFlask = flask.Flask",
        "from flask import Flask as F\nclass Flask(F): pass\nstart()",
        "from flask import Flask\nstart([FlaskInstrumentor()])",
    ],
)
def test_an_application_is_instrumented_whenever_its_class_was_taken(order: str) -> None:
    """`from flask import Flask` before init is no reason for an application to go without; close leaves it."""
    contrib("flask")
    printed, log = output(
        f"""
from opentelemetry.instrumentation.flask import FlaskInstrumentor
{order}
application = Flask("shop")
@application.get("/items/<number>")
def item(number):
    return number
print(application.test_client().get("/items/5").text, names())
bridge.close()
print(application.test_client().get("/items/5").text)
start()
print(application.test_client().get("/items/5").text)
print(Flask("another").test_client().get("/").status_code, names())
"""
    )
    assert printed[0] == "5 ['GET /items/<number>']"
    assert printed[1] == "5"
    assert printed[2] == "5"
    assert printed[3].startswith("404 ['GET /")
    assert log == []


def test_contribs_click_is_not_activated_by_itself() -> None:
    """A server that is started by a click command is not one trace that never ends; who wants it gives the instance."""
    contrib("click")
    pytest.importorskip("click", reason="click is not installed")
    printed, _ = output(
        """
import click
from click.testing import CliRunner
@click.command
def serve():
    with bridge.start_span("request"): pass
start()
CliRunner().invoke(serve)
print(state("click"), names())
from opentelemetry.instrumentation.click import ClickInstrumentor
start([ClickInstrumentor(), "auto"])
CliRunner().invoke(serve)
print(names())
"""
    )
    assert printed == ["['refused'] ['request']", "['serve']"]
