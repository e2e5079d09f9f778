"""Each wrong set-up is reported, in a process that is set up that way."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from opentelemetry.sdk.trace import TracerProvider

from bridge._internal import otel_private
from bridge._internal.doctor.checks import all_checks
from tests.doctor import test_neighbours, test_probe
from tests.doctor.programs import DSN, INIT, codes, diagnosed

pytestmark = pytest.mark.programs

SDK = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased
"""
PROPAGATE = """
from opentelemetry import propagate
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
"""


def init(**options: str) -> str:
    """Return a program that sets the bridge up with options, given as source."""
    given = {"dsn": repr(DSN), "traces_sample_rate": "1.0", **options}
    return f"import bridge\nbridge.init({', '.join(f'{name}={value}' for name, value in given.items())})\n"


class Fault(NamedTuple):
    """A program and the problem that it has; `says` is part of what is wrong, why or the fix."""

    code: str
    severity: str
    program: str
    says: str = ""
    variables: dict[str, str] = {}  # noqa: RUF012 - never changed


FAULTS = [
    Fault("not-initialised", "error", "import bridge\n", "Call bridge.init()"),
    Fault("not-initialised", "error", INIT + "bridge.close()\n"),
    Fault(
        "not-initialised",
        "error",
        SDK + "from bridge.otel import SentryPropagator, SentrySpanProcessor\nfrom opentelemetry import propagate\n"
        "provider = TracerProvider()\nprovider.add_span_processor(SentrySpanProcessor())\n"
        "trace.set_tracer_provider(provider)\npropagate.set_global_textmap(SentryPropagator())\n",
        "pieces of the bridge (SentrySpanProcessor, SentryPropagator)",
    ),
    Fault("client-closed", "error", INIT + "bridge.get_client().close()\n"),
    Fault(
        "provider-takes-no-processors",
        "error",
        "from opentelemetry import trace\nclass Vendor(trace.NoOpTracerProvider):\n    pass\n"
        "trace.set_tracer_provider(Vendor())\nimport bridge\ntry:\n    bridge.init()\nexcept ValueError:\n    pass\n",
        "Vendor",
    ),
    Fault(
        "provider-not-global",
        "error",
        SDK + "trace.set_tracer_provider(TracerProvider())\n" + init(tracer_provider="TracerProvider()"),
        "not global",
    ),
    Fault(
        "provider-idle",
        "warning",
        INIT + SDK + "provider = TracerProvider()\n"
        "provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))\n"
        "import logging\nlogging.disable()\ntrace.set_tracer_provider(provider)\n",
        "BatchSpanProcessor",
    ),
    Fault("sdk-disabled", "error", INIT, variables={"OTEL_SDK_DISABLED": "True"}),
    Fault(
        "processor-missing",
        "error",
        SDK
        + "provider = TracerProvider()\n"
        + init(tracer_provider="provider")
        + "from bridge._internal import otel_private\n"
        "otel_private.remove_span_processor(provider, otel_private.span_processors(provider)[0])\n",
    ),
    Fault(
        "processor-twice",
        "warning",
        SDK
        + "from bridge.otel import SentrySpanProcessor\nprovider = TracerProvider()\n"
        + init(tracer_provider="provider")
        + "provider.add_span_processor(SentrySpanProcessor())\n",
        "sent once",
    ),
    Fault(
        "propagator-replaced",
        "error",
        INIT + PROPAGATE + "propagate.set_global_textmap(TraceContextTextMapPropagator())\n",
        "TraceContextTextMapPropagator",
    ),
    Fault(
        "propagator-doubled",
        "warning",
        INIT + PROPAGATE + "ours = propagate.get_global_textmap()\n"
        "propagate.set_global_textmap(CompositePropagator([ours, TraceContextTextMapPropagator()]))\n",
        "overwrites",
    ),
    Fault(
        "propagator-doubled",
        "warning",
        INIT + PROPAGATE + "ours = propagate.get_global_textmap()\n"
        "propagate.set_global_textmap(CompositePropagator([TraceContextTextMapPropagator(), ours]))\n",
        "twice",
    ),
    Fault(
        "context-replaced",
        "error",
        "from opentelemetry.context.context import Context\nfrom opentelemetry.context import context\n"
        "import opentelemetry.context as api\n"
        "class Vendor(context._RuntimeContext):\n"
        "    def attach(self, context): ...\n"
        "    def get_current(self): return Context()\n"
        "    def detach(self, token): ...\n" + INIT + "api._RUNTIME_CONTEXT = Vendor()\n",
        "Vendor",
    ),
    Fault("tracing-off", "info", init(traces_sample_rate="None")),
    Fault(
        "tracing-off-but-wanted",
        "warning",
        SDK + "trace.set_tracer_provider(TracerProvider())\n" + init(traces_sample_rate="None"),
        "an adopted tracer provider",
    ),
    Fault(
        "tracing-off-but-wanted",
        "warning",
        init(traces_sample_rate="None", before_send_transaction="lambda event, hint: event"),
        "before_send_transaction",
    ),
    Fault("rate-zero", "info", init(traces_sample_rate="0.0")),
    Fault("errors-off", "info", init(sample_rate="0.0")),
    Fault(
        "rate-not-in-force",
        "warning",
        SDK + init(tracer_provider="TracerProvider(sampler=TraceIdRatioBased(0.5))", traces_sample_rate="0.25"),
        "a share of the 50 % of the traces",
    ),
    Fault(
        "rate-not-in-force",
        "warning",
        SDK + init(tracer_provider="TracerProvider(sampler=ALWAYS_OFF)"),
        "a share of the 0 % of the traces",
    ),
    Fault(
        "rate-not-in-force",
        "warning",
        SDK + "from bridge.otel import SentrySampler\n"
        "provider = TracerProvider(sampler=ParentBased(SentrySampler(0.5)))\n"
        + init(tracer_provider="provider", traces_sample_rate="0.25"),
        "traces_sample_rate=0.25 is never asked",
    ),
    Fault(
        "rate-not-in-force",
        "warning",
        SDK + "class Limited(type(ALWAYS_ON)):\n    def __init__(self): super().__init__(ALWAYS_ON._decision)\n"
        "    def get_description(self): return 'Limited'\n"
        + init(tracer_provider="TracerProvider(sampler=Limited())", traces_sample_rate="1.0"),
        "what another sampler records",
    ),
    Fault(
        "rate-not-in-force",
        "warning",
        SDK + init(tracer_provider="TracerProvider()", sampler="TraceIdRatioBased(0.5)"),
        "sampler is never asked",
    ),
    Fault(
        "provider-apart",
        "info",
        INIT + SDK + "provider = TracerProvider()\n"
        "provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))\n"
        "tracer = provider.get_tracer('vendor')\n",
    ),
    Fault("otel-sampler-ignored", "warning", INIT, "always_off", {"OTEL_TRACES_SAMPLER": "always_off"}),
    Fault("nothing-is-sent", "warning", init(dsn="None")),
    Fault("spans-go-nowhere", "warning", init(trace_lifecycle='"none"')),
    Fault("exporter-not-read", "warning", INIT, variables={"OTEL_TRACES_EXPORTER": "otlp"}),
    Fault(
        "faults",
        "warning",
        init(traces_sampler="lambda context: 1 / 0") + "import logging\nlogging.disable()\n"
        'with bridge.start_span("a"):\n    pass\n',
        "traces_sampler raised",
    ),
    Fault(
        "uwsgi-without-threads",
        "error",
        "import sys, types\nuwsgi = sys.modules['uwsgi'] = types.ModuleType('uwsgi')\n"
        "uwsgi.opt, uwsgi.version = {'http': b':8000'}, b'2.0.28'\n" + INIT,
        "--enable-threads",
    ),
    Fault("variable-misspelt", "warning", INIT, "SENTRY_TRACES_SAMPLE_RATE", {"SENTRY_TRACE_SAMPLE_RATE": "1.0"}),
    Fault("variable-misspelt", "warning", INIT, "BRIDGE_INSTRUMENTATIONS", {"BRIDGE_INSTRUMENTATION": "auto"}),
    Fault(
        "bridge-shadowed",
        "error",
        INIT + "import pathlib, sys\nfolder = pathlib.Path('other')\nfolder.mkdir()\n"
        "(folder / 'bridge.py').touch()\nsys.path.insert(0, str(folder))\n",
        "bridge.py",
    ),
    Fault(
        "bridge-shadowed",
        "error",
        INIT + "import pathlib\nfolder = pathlib.Path('cards-1.0.dist-info')\nfolder.mkdir()\n"
        "(folder / 'METADATA').write_text('Metadata-Version: 2.1\\nName: cards\\nVersion: 1.0\\n')\n"
        "(folder / 'top_level.txt').write_text('bridge\\n')\n",
        "pip uninstall cards",
    ),
    Fault(
        "bridge-shadowed-here",
        "error",
        INIT + "import os, pathlib\nfolder = pathlib.Path('other', 'bridge')\nfolder.mkdir(parents=True)\n"
        "(folder / '__init__.py').touch()\nos.chdir('other')\n",
        "working directory",
    ),
    Fault(
        "versions-mixed",
        "warning",
        INIT + "import pathlib\nfolder = pathlib.Path('opentelemetry_instrumentation_x-0.40b0.dist-info')\n"
        "folder.mkdir()\n(folder / 'METADATA').write_text('Metadata-Version: 2.1\\nVersion: 0.40b0\\n'\n"
        "'Name: opentelemetry-instrumentation-x\\nRequires-Dist: opentelemetry-semantic-conventions==0.40b0\\n')\n",
        "does not go with opentelemetry-instrumentation-x: 0.40b0 is needed",
    ),
]


def needs_list_of_tracers() -> None:
    """Skip on an OpenTelemetry before 1.42, whose providers do not know their tracers."""
    if otel_private.tracers(TracerProvider(shutdown_on_exit=False)) is None:
        pytest.skip("this OpenTelemetry keeps no list of tracers")


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{fault.code}-{n}" for n, fault in enumerate(FAULTS)])
def test_a_wrong_set_up_is_reported(fault: Fault, tmp_path: Path) -> None:
    """A problem says what is wrong, why, and how to fix it; check_setup leaves notes out."""
    if fault.code == "provider-idle":
        needs_list_of_tracers()
    checked, everything = diagnosed(fault.program, tmp_path, **fault.variables)
    found = [problem for problem in everything if problem[1] == fault.code]
    assert [problem[0] for problem in found] == [fault.severity], everything
    assert all(found[0][2:])
    assert fault.says in " ".join(found[0])
    assert (fault.code in codes(checked)) is (fault.severity != "info")
    # Each cause is reported once.
    others = [problem[1] for problem in checked if problem[1] != fault.code]
    assert others == [] or fault.code in ("not-initialised", "sdk-disabled", "faults")


def test_every_check_is_provoked() -> None:
    """No check is without a set-up that it fires on, and no two have the same code."""
    every = [check.code for check in all_checks()]
    assert len(every) == len(set(every))
    provoked = {fault.code for fault in FAULTS} | {*test_probe.PROVOKES, *test_neighbours.PROVOKES}
    assert provoked == set(every)
