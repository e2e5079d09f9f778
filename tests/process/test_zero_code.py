"""Set-up by environment alone, of programs that know nothing of the bridge."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.sampling import Sampler

from bridge._internal.demo.receiver import Receiver

pytestmark = pytest.mark.programs

ALL = {
    "OTEL_PYTHON_CONTEXT": "bridge",
    "OTEL_PROPAGATORS": "tracecontext,baggage,bridge",
    "OTEL_PYTHON_TRACER_PROVIDER": "bridge",
    "SENTRY_TRACES_SAMPLE_RATE": "1.0",
}
PROGRAM = """
import sqlite3
from opentelemetry import propagate, trace

tracer = trace.get_tracer("shop")
headers = {}
with tracer.start_as_current_span("work") as span:
    with tracer.start_as_current_span("step"):
        connection = sqlite3.connect(":memory:")
        connection.cursor().execute("SELECT 1")
        connection.close()
        propagate.inject(headers)
print(type(trace.get_tracer_provider()).__module__, sorted(headers))
"""
UNTOUCHED = """
import sys
from opentelemetry import propagate, trace

with trace.get_tracer("shop").start_as_current_span("work"):
    pass
OURS = ("bridge._internal.api", "bridge._internal.install")
print(type(trace.get_tracer_provider()).__name__, [module for module in OURS if module in sys.modules])
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """What the programs send to."""
    with Receiver() as receiver:
        yield receiver


def transactions(receiver: Receiver) -> list[tuple[str, set[str]]]:
    """Return the name of each transaction that came, and its spans'."""
    payloads = [item.payload for envelope in receiver.envelopes for item in envelope.items]
    return [
        (payload["transaction"], {span["description"] for span in payload["spans"]})
        for payload in payloads
        if isinstance(payload, dict) and payload.get("type") == "transaction"
    ]


def run(program: str, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program with these variables and no other of OpenTelemetry's or Sentry's."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("SENTRY_", "OTEL_", "BRIDGE_I"))
    }
    return subprocess.run(
        [*command, sys.executable, "-W", "error", "-c", program],
        env={**environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_variables_alone_set_a_program_up(receiver: Receiver) -> None:
    """A program that uses OpenTelemetry's API only: context, headers, spans and delivery are there."""
    done = run(PROGRAM, SENTRY_DSN=receiver.dsn, **ALL)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == (
        "bridge._internal.tracing.provider ['baggage', 'sentry-trace', 'traceparent', 'tracestate']"
    )
    assert transactions(receiver) == [("work", {"step"})]


@pytest.mark.parametrize("first", ["opentelemetry.trace", "opentelemetry.context", "opentelemetry.propagate", "bridge"])
def test_whatever_is_imported_first(receiver: Receiver, first: str) -> None:
    """Variables work in every order of imports."""
    done = run(f"import {first}\n{PROGRAM}", SENTRY_DSN=receiver.dsn, **ALL)
    assert (done.returncode, done.stderr) == (0, "")
    assert transactions(receiver) == [("work", {"step"})]


def test_instrumentations_by_a_variable(receiver: Receiver) -> None:
    """BRIDGE_INSTRUMENTATIONS=auto adds the installed instrumentations, once a tracer was asked for."""
    pytest.importorskip("opentelemetry.instrumentation.sqlite3", reason="contrib's sqlite3 is not installed")
    done = run(PROGRAM, SENTRY_DSN=receiver.dsn, BRIDGE_INSTRUMENTATIONS="auto", **ALL)
    assert (done.returncode, done.stderr) == (0, "")
    assert transactions(receiver) == [("work", {"step", "SELECT ?"})]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_PYTHON_CONTEXT": "bridge"},
        {"OTEL_PROPAGATORS": "tracecontext,baggage,bridge"},
        {"OTEL_TRACES_SAMPLER": "bridge"},
        {"BRIDGE_INSTRUMENTATIONS": "auto"},
    ],
)
def test_a_process_that_did_not_ask_is_left_as_it_is(receiver: Receiver, variables: dict[str, str]) -> None:
    """That bridge is installed, and Sentry's variables are set, changes nothing; each variable gives its piece only."""
    done = run(UNTOUCHED, SENTRY_DSN=receiver.dsn, SENTRY_TRACES_SAMPLE_RATE="1.0", **variables)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "ProxyTracerProvider []"
    assert receiver.envelopes == []


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"SENTRY_DSN": "https://example.com/1"}, ["SENTRY_DSN"]),
        ({"SENTRY_DSN": "nonsense", "SENTRY_TRACES_SAMPLE_RATE": "7"}, ["SENTRY_DSN", "SENTRY_TRACES_SAMPLE_RATE"]),
        ({"SENTRY_SPOTLIGHT": "ftp://example.com"}, ["SENTRY_SPOTLIGHT"]),
        ({"BRIDGE_INSTRUMENTATIONS": "all of them"}, ["BRIDGE_INSTRUMENTATIONS"]),
    ],
)
def test_a_wrong_variable_does_not_stop_the_program(variables: dict[str, str], says: list[str]) -> None:
    """The program runs as if it was not set, and the log has a line that names it; init() in code raises."""
    done = run(PROGRAM, **{**ALL, **variables})
    assert done.returncode == 0
    assert done.stdout.startswith("bridge._internal.tracing.provider")
    lines = done.stderr.splitlines()
    assert len(lines) == len(says)
    for line, variable in zip(lines, says, strict=True):
        assert line.startswith("a variable of the environment is ignored: bridge.init: option ")
        assert variable in line
    done = run("import bridge\nbridge.init()", **{**ALL, **variables})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ValueError: bridge.init: option ")


def test_a_set_up_that_fails_does_not_stop_the_program() -> None:
    """Where OpenTelemetry itself refuses a variable, the program goes on, and the log says why."""
    program = 'from opentelemetry import trace\nwith trace.get_tracer("t").start_as_current_span("s"): print("ran")'
    done = run(program, **{**ALL, "OTEL_PROPAGATORS": "nothing"})
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "bridge could not be set up by environment; the program goes on without" in done.stderr


def test_init_in_code_has_the_last_word(receiver: Receiver) -> None:
    """A program with these variables that calls init as well has one client, and it is the program's own."""
    program = """
import bridge
from opentelemetry import trace
tracer = trace.get_tracer("early")
bridge.init(traces_sample_rate=1.0, environment="code")
with tracer.start_as_current_span("work"):
    pass
print(bridge.get_client().options.environment, bridge.get_client().tracer_provider is trace.get_tracer_provider())
"""
    done = run(program, SENTRY_DSN=receiver.dsn, **ALL)
    assert (done.stdout.strip(), done.stderr) == ("code True", "")
    assert transactions(receiver) == [("work", set())]


def test_threads_that_ask_for_the_first_tracer_at_once(receiver: Receiver) -> None:
    """However many threads ask first, the process is set up once."""
    program = """
import threading
from opentelemetry import trace
barrier = threading.Barrier(8)
def work():
    barrier.wait()
    with trace.get_tracer("shop").start_as_current_span("work"):
        pass
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
import bridge
print(bridge.get_client().accounting().started)
"""
    done = run(program, SENTRY_DSN=receiver.dsn, **ALL)
    assert (done.stdout.strip(), done.stderr) == ("8", "")
    assert len(transactions(receiver)) == 8


def test_a_module_that_asks_for_a_tracer_while_init_runs(tmp_path: Path) -> None:
    """A tracer that an instrumentor's module asks for amid init is the provider's that init makes global."""
    program = """
import bridge
from bridge.testing import CapturingTransport
from opentelemetry import propagate, trace
class Instrumentor:
    def instrument(self, **kwargs):
        self.tracer = trace.get_tracer("early")
    def uninstrument(self):
        pass
get = propagate.get_global_textmap
def get_global_textmap():
    trace.get_tracer("earlier still")
    return get()
propagate.get_global_textmap = get_global_textmap
early = Instrumentor()
client = bridge.init(traces_sample_rate=1.0, transport=CapturingTransport(), instrumentations=[early])
with early.tracer.start_as_current_span("work"):
    pass
print([t["transaction"] for t in client.transport.transactions], client.tracer_provider is trace.get_tracer_provider())
"""
    done = run(program, OTEL_PYTHON_TRACER_PROVIDER="bridge")
    assert (done.stdout.strip(), done.stderr) == ("['work'] True", "")


SAMPLING = """
from opentelemetry import trace
with trace.get_tracer("shop").start_as_current_span("work") as span:
    print(span.get_span_context().trace_flags.sampled)
"""


@pytest.mark.parametrize(
    ("variables", "flag", "is_sent"),
    [
        ({"OTEL_TRACES_SAMPLER": "bridge", "OTEL_TRACES_SAMPLER_ARG": "1.0"}, "True", True),
        ({"OTEL_TRACES_SAMPLER": "bridge", "OTEL_TRACES_SAMPLER_ARG": "0.0"}, "False", False),
        (
            {"OTEL_TRACES_SAMPLER": "bridge", "OTEL_TRACES_SAMPLER_ARG": "0.0", "SENTRY_TRACES_SAMPLE_RATE": "1.0"},
            "True",
            True,
        ),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, "True", True),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, "False", False),
        ({"OTEL_TRACES_SAMPLER": "always_off", "SENTRY_TRACES_SAMPLE_RATE": "1.0"}, "False", True),
        ({}, "False", False),
    ],
)
def test_the_sampler_of_the_environment(
    receiver: Receiver, variables: dict[str, str], flag: str, is_sent: bool
) -> None:
    """OTEL_TRACES_SAMPLER decides: ours at its argument or Sentry's rate, or OpenTelemetry's beside Sentry's."""
    done = run(SAMPLING, SENTRY_DSN=receiver.dsn, OTEL_PYTHON_TRACER_PROVIDER="bridge", **variables)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, flag, "")
    assert bool(transactions(receiver)) is is_sent


@pytest.mark.parametrize(
    ("variables", "argument", "rate"),
    [
        ({}, None, None),
        ({"OTEL_TRACES_SAMPLER": "bridge", "OTEL_TRACES_SAMPLER_ARG": "0.5"}, "0.5", 0.5),
        ({"SENTRY_TRACES_SAMPLE_RATE": "0.25", "OTEL_TRACES_SAMPLER_ARG": "0.5"}, "0.5", 0.25),
    ],
)
def test_the_sampler_that_the_sdk_asks_for(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], argument: str | None, rate: float | None
) -> None:
    """The entry point is a factory of one argument, as the SDK's configurator calls it."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (entry_point,) = entry_points(group="opentelemetry_traces_sampler", name="bridge")
    sampler = entry_point.load()(argument)
    assert isinstance(sampler, Sampler)
    assert sampler.traces_sample_rate == rate


WITH_DISTRO: dict[str, str] = {}
WITHOUT_DISTRO = {"OTEL_PYTHON_DISTRO": "none", "OTEL_PYTHON_CONFIGURATOR": "none"}
NO_OTHER_EXPORTER = {f"OTEL_{kind}_EXPORTER": "none" for kind in ("TRACES", "METRICS", "LOGS")}


def opentelemetry_instrument(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program by contrib's command."""
    command = Path(sys.executable).with_name("opentelemetry-instrument")
    for module in ("distro", "instrumentation.sqlite3"):
        if importlib.util.find_spec("opentelemetry") is None or not importlib.util.find_spec(f"opentelemetry.{module}"):
            pytest.skip(f"opentelemetry.{module} is not installed")
    # aiohttp warns of a class that this one makes, and warnings are errors here.
    disabled = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "aiohttp-server"}
    return run(program, str(command), **NO_OTHER_EXPORTER, **disabled, **variables)


@pytest.mark.parametrize("distro", [WITH_DISTRO, WITHOUT_DISTRO], ids=["with distro", "without distro"])
@pytest.mark.parametrize("sampler", [{}, {"OTEL_TRACES_SAMPLER": "bridge"}], ids=["no sampler", "our sampler"])
@pytest.mark.parametrize("rate", ["1.0", "0.0"])
def test_opentelemetry_instrument(
    receiver: Receiver, distro: dict[str, str], sampler: dict[str, str], rate: str
) -> None:
    """With and without OpenTelemetry's distro: instrumentations, all headers, and Sentry's rate decides."""
    variables = {**ALL, **distro, **sampler, "SENTRY_TRACES_SAMPLE_RATE": rate}
    done = opentelemetry_instrument(PROGRAM, SENTRY_DSN=receiver.dsn, **variables)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    provider, _, headers = done.stdout.strip().partition(" ")
    assert provider == ("bridge._internal.tracing.provider" if distro else "opentelemetry.sdk.trace")
    assert headers == "['baggage', 'sentry-trace', 'traceparent', 'tracestate']"
    assert transactions(receiver) == ([("work", {"step", "SELECT ?"})] if rate == "1.0" else [])


@pytest.mark.parametrize("sampler", ["always_on", "always_off"])
@pytest.mark.parametrize("rate", ["1.0", ""])
def test_a_sampler_that_the_distro_was_told(receiver: Receiver, sampler: str, rate: str) -> None:
    """OpenTelemetry's sampler decides for the provider that its distro makes; Sentry follows."""
    variables = {**ALL, "OTEL_TRACES_SAMPLER": sampler, "SENTRY_TRACES_SAMPLE_RATE": rate}
    done = opentelemetry_instrument(SAMPLING, SENTRY_DSN=receiver.dsn, **variables)
    assert done.stdout.strip() == str(sampler == "always_on")
    assert len(transactions(receiver)) == (sampler == "always_on")


@pytest.mark.parametrize("distro", [WITH_DISTRO, WITHOUT_DISTRO], ids=["with distro", "without distro"])
def test_opentelemetry_instrument_alone_does_not_ask(receiver: Receiver, distro: dict[str, str]) -> None:
    """A process of opentelemetry-instrument that does not name bridge is left as it is."""
    done = opentelemetry_instrument(UNTOUCHED, SENTRY_DSN=receiver.dsn, SENTRY_TRACES_SAMPLE_RATE="1.0", **distro)
    assert done.stdout.strip() == ("ProxyTracerProvider []" if distro else "TracerProvider []")
    assert receiver.envelopes == []
