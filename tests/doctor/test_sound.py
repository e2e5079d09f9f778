"""A set-up that is sound gets an empty list, however it was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doctor.programs import DSN, INIT, diagnosed

pytestmark = pytest.mark.programs

SDK_PROVIDER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
"""
USE = """
from opentelemetry import trace
with bridge.start_span("a"), trace.get_tracer("t").start_as_current_span("b"):
    pass
"""

SOUND = {
    "one call": INIT,
    "one call, and spans": INIT + USE,
    "a second init": INIT + USE + INIT + USE,
    "init after close": INIT + "bridge.close()\n" + INIT + USE,
    "a tracer from before": 'from opentelemetry import trace\nt = trace.get_tracer("t")\n' + INIT + USE,
    "an SDK provider that is global before": SDK_PROVIDER + "trace.set_tracer_provider(provider)\n" + INIT + USE,
    "an SDK provider that is given": SDK_PROVIDER
    + f'import bridge\nbridge.init("{DSN}", traces_sample_rate=1.0, tracer_provider=provider)\n'
    + USE,
    "an SDK provider, twice": SDK_PROVIDER + "trace.set_tracer_provider(provider)\n" + (INIT + USE) * 2,
    "processors that are given": SDK_PROVIDER + f'import bridge\nbridge.init("{DSN}", traces_sample_rate=1.0, '
    "span_processors=[BatchSpanProcessor(InMemorySpanExporter())])\nprovider.shutdown()\n" + USE,
    "a provider whose sampler decides alone": f"""
import bridge
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
bridge.init("{DSN}", traces_sample_rate=1.0, tracer_provider=TracerProvider(sampler=ParentBasedTraceIdRatio(0.25)))
"""
    + USE,
    "a provider with our sampler": f"""
import bridge
from bridge.otel import SentrySampler
from opentelemetry.sdk.trace import TracerProvider
bridge.init("{DSN}", traces_sample_rate=0.25, tracer_provider=TracerProvider(sampler=SentrySampler(0.25)))
"""
    + USE,
    "a sampler of OpenTelemetry's": f"""
import bridge
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
bridge.init("{DSN}", sampler=TraceIdRatioBased(0.5), traces_sample_rate=0.1)
"""
    + USE,
    "errors only": f'import bridge\nbridge.init("{DSN}")\n',
    "a transport": "import bridge\nbridge.init(traces_sample_rate=1.0, transport=lambda envelope: None)\n" + USE,
    "no DSN, another exporter": SDK_PROVIDER + "trace.set_tracer_provider(provider)\n"
    "import bridge\nbridge.init(traces_sample_rate=1.0)\n" + USE,
    "spans by OTLP, the rest by us": SDK_PROVIDER + "trace.set_tracer_provider(provider)\n"
    f'import bridge\nbridge.init("{DSN}", traces_sample_rate=1.0, trace_lifecycle="none")\n' + USE,
    "streamed spans": f'import bridge\nbridge.init("{DSN}", traces_sample_rate=1.0, trace_lifecycle="stream")\n',
    "a propagator that is set before": "from opentelemetry import propagate\n"
    "from opentelemetry.propagators.composite import CompositePropagator\n"
    "from bridge.otel import SentryPropagator\n"
    "propagate.set_global_textmap(CompositePropagator([SentryPropagator(), propagate.get_global_textmap()]))\n"
    + INIT
    + USE,
    "a propagator around ours": INIT + "from opentelemetry import propagate\n"
    "from opentelemetry.propagators.composite import CompositePropagator\n"
    "from opentelemetry.propagators.textmap import TextMapPropagator\n"
    "class Other(TextMapPropagator):\n"
    "    fields = {'x'}\n"
    "    def inject(self, carrier, context=None, setter=None): pass\n"
    "    def extract(self, carrier, context=None, getter=None): return context\n"
    "propagate.set_global_textmap(CompositePropagator([propagate.get_global_textmap(), Other()]))\n" + USE,
    "sentry-sdk that is imported only": "import sentry_sdk\n" + INIT,
    "sentry-sdk without a DSN": "import sentry_sdk\nsentry_sdk.init(traces_sample_rate=1.0)\n" + INIT,
    "sentry-sdk for errors, without headers": f'import sentry_sdk\nsentry_sdk.init("{DSN}", '
    "default_integrations=False, trace_propagation_targets=[])\n" + INIT,
    "a wrapper around a thread's start": INIT
    + "import threading, functools\nstart = threading.Thread.start\n"
    + "threading.Thread.start = functools.wraps(start)(lambda self: start(self))\n",
    "a working directory of the checkout": INIT + f"import os\nos.chdir({str(Path(__file__).parents[2])!r})\n",
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_set_up_has_no_problems(name: str, tmp_path: Path) -> None:
    """check_setup returns an empty list, and changes nothing: asking twice gives the same."""
    if "sentry-sdk" in name:
        pytest.importorskip("sentry_sdk")
    assert diagnosed(SOUND[name] + "bridge.check_setup()\n", tmp_path)[0] == []


@pytest.mark.parametrize(
    "variables",
    [
        {"SENTRY_DSN": DSN, "SENTRY_TRACES_SAMPLE_RATE": "0.5", "SENTRY_ENVIRONMENT": "staging"},
        {"SENTRY_DSN": DSN, "OTEL_PROPAGATORS": "tracecontext,baggage,bridge", "OTEL_PYTHON_CONTEXT": "bridge"},
        {"SENTRY_DSN": DSN, "OTEL_PROPAGATORS": "tracecontext, baggage"},
        {"SENTRY_DSN": DSN, "OTEL_PYTHON_CONTEXT": "contextvars_context", "OTEL_SDK_DISABLED": "false"},
        {"SENTRY_DSN": DSN, "SENTRY_AUTH_TOKEN": "x", "SENTRY_ORG": "x", "SENTRY_TRACE": ""},
    ],
    ids=" ".join,
)
def test_a_sound_environment_has_no_problems(variables: dict[str, str], tmp_path: Path) -> None:
    """Entry points and variables set it up, in any order of propagators."""
    assert diagnosed("import bridge\nbridge.init()\n", tmp_path, **variables)[0] == []


def test_looking_changes_nothing(tmp_path: Path) -> None:
    """Neither provider, propagator, scopes nor the context are touched, before init or after it."""
    program = """
import threading
import bridge
from opentelemetry import context, propagate, trace
import opentelemetry.trace as t
import opentelemetry.context as c
def state():
    return [t._TRACER_PROVIDER, propagate.get_global_textmap(), c._RUNTIME_CONTEXT, dict(context.get_current()),
            threading.enumerate(), threading.Thread.start]
bridge.check_setup()
before = state()
bridge.check_setup()
assert state() == before
assert before[0] is None
bridge.init(transport=lambda envelope: None, traces_sample_rate=1.0)
with bridge.start_span("a"):
    before = state()
    bridge.check_setup()
    assert all(one is other or one == other for one, other in zip(state(), before))
"""
    assert diagnosed(program, tmp_path)[0] == []
