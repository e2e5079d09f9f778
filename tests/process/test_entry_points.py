"""Set-up by environment, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

REPORT = """
import contextvars
import opentelemetry.context as c
import bridge
from opentelemetry import trace
bridge.init(traces_sample_rate=1.0)
token = c.attach(c.set_value("k", "v"))
with bridge.start_span("a") as span:
    assert trace.get_current_span() is span
contextvars.Context().run(c.detach, token)
c.detach(token)
print(type(c._RUNTIME_CONTEXT).__module__)
"""


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "first", ["import opentelemetry.context", "import opentelemetry.trace", "import bridge", "import bridge.otel"]
)
def test_the_runtime_context_loads_in_every_import_order(first: str) -> None:
    """OTEL_PYTHON_CONTEXT=bridge gives our runtime context whoever is imported first, and nothing is logged."""
    loaded = f"{first}\nimport opentelemetry.context as c\nprint(type(c._RUNTIME_CONTEXT).__name__)\n"
    done = run(loaded + REPORT, OTEL_PYTHON_CONTEXT="bridge")
    assert done.stderr == ""
    assert done.stdout.split() == ["SentryRuntimeContext", "bridge._internal.context.runtime"]


def test_init_makes_detach_tolerant_without_the_variable() -> None:
    """Without the variable init puts the same in place; a token of another context is no error."""
    done = run(REPORT)
    assert (done.stderr, done.stdout.split()) == ("", ["bridge._internal.context.runtime"])


@pytest.mark.parametrize(
    "order", ["bridge,tracecontext,baggage", "tracecontext,baggage,bridge", "baggage,bridge,tracecontext"]
)
def test_the_order_of_composed_propagators_does_not_matter(order: str) -> None:
    """OTEL_PROPAGATORS with ours in any place: all headers, the user's baggage, nothing twice."""
    program = """
import bridge
from opentelemetry import baggage, context, propagate
bridge.init(traces_sample_rate=1.0)
context.attach(baggage.set_baggage("mine", "v1"))
class Appends:
    def set(self, carrier, key, value):
        carrier.append((key, value))
with bridge.start_span("a"):
    written = []
    propagate.inject(written, setter=Appends())
print(sorted(key for key, _ in written), dict(written)["baggage"].count("mine=v1"))
"""
    done = run(program, OTEL_PROPAGATORS=order)
    assert done.stderr == ""
    assert done.stdout.strip() == "['baggage', 'sentry-trace', 'traceparent', 'tracestate'] 1"


def test_import_is_lazy() -> None:
    """`import bridge` loads neither the SDK nor httpx; a name that does not exist is an AttributeError."""
    program = """
import sys, bridge
print([m for m in ("opentelemetry.sdk.trace", "httpx", "wrapt", "bridge._internal.api") if m in sys.modules])
try:
    bridge.nothing
except AttributeError as error:
    print(error)
"""
    done = run(program)
    assert done.stdout.splitlines() == ["[]", "module 'bridge' has no attribute 'nothing'"]


def test_a_process_that_ends_sends_what_it_has() -> None:
    """Spans and errors of a program that just ends are sent at exit; a dead DSN does not hold it up."""
    program = """
import bridge
sent = []
bridge.init(traces_sample_rate=1.0, transport=lambda envelope: print(envelope.items[0].type))
with bridge.start_span("a"):
    bridge.capture_message("hello")
"""
    done = run(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["event", "transaction"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_sends_its_own() -> None:
    """After a fork the child has a worker of its own and the parent is unharmed; nothing is sent twice."""
    program = """
import os, sys
import bridge
def show(envelope):
    os.write(1, (envelope.items[0].payload["transaction"] + "\\n").encode())
bridge.init(traces_sample_rate=1.0, transport=show)
with bridge.start_span("before"):
    pass
bridge.flush()
pid = os.fork()
with bridge.start_span("child" if pid == 0 else "parent"):
    pass
bridge.flush()
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
"""
    done = run(program)
    assert done.returncode == 0
    assert sorted(done.stdout.split()) == ["before", "child", "parent"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_can_write_to_scopes_whatever_was_held() -> None:
    """A child that is forked while another thread writes to the same scope does not wait for that thread for ever."""
    program = """
import os, threading
import bridge
scope = bridge.get_isolation_scope()
over = threading.Event()
def write():
    while not over.is_set():
        scope.set_tag("a", 1)
writers = [threading.Thread(target=write) for _ in range(3)]
for writer in writers:
    writer.start()
for _ in range(100):
    pid = os.fork()
    if pid == 0:
        scope.set_tag("child", 1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
over.set()
print("done")
"""
    done = run("import warnings\nwarnings.simplefilter('ignore')\n" + program)
    assert done.stdout.strip() == "done", done.stderr
