"""Other libraries in the same process, the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doctor.programs import DSN, INIT, codes, diagnosed
from tests.interop.neighbours import pip_install

PROVOKES = (
    "sentry-sdk-too",
    "sentry-sdk-propagator",
    "sentry-sdk-headers",
    "ddtrace-headers",
    "logfire-apart",
    "monkey-patched-late",
    "sentry-sdk-conflict",
    "sentry-sdk-world",
    "sentry-sdk-linked",
    "seam-lost",
    "external-context",
    "apm-headers",
)
VERSIONS = {"elastic-apm": "6.26.2", "logfire": "5.4.0", "ddtrace": "4.16.0", "gevent": "26.9.0", "eventlet": "0.41.3"}
ROOT = Path(__file__).parents[2]
QUIET = {
    "DD_TRACE_STARTUP_LOGS": "0",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "0",
    "DD_REMOTE_CONFIGURATION_ENABLED": "0",
}
APART = f"import bridge\nbridge.init({DSN!r}, traces_sample_rate=1.0, sentry_sdk=False)\n"
LOGFIRE = "import logfire\nlogfire.configure(send_to_logfire=False, console=False)\n"
USE = 'from opentelemetry import trace\nwith trace.get_tracer("t").start_as_current_span("a"):\n    pass\n'


def sentry_sdk(**options: str) -> str:
    """Return a program that sets sentry-sdk up."""
    given = ", ".join(f"{name}={value}" for name, value in options.items())
    return f'import sentry_sdk\nsentry_sdk.init("{DSN}", default_integrations=False, {given})\n'


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (sentry_sdk(traces_sample_rate="1.0") + INIT, []),
        (INIT + sentry_sdk(traces_sampler="lambda context: 1"), ["sentry-sdk-conflict"]),
        (sentry_sdk(traces_sample_rate="1.0") + APART, ["sentry-sdk-too"]),
        (INIT + sentry_sdk(instrumenter='"otel"', traces_sample_rate="1.0"), ["sentry-sdk-too"]),
        (sentry_sdk() + INIT, []),
        (sentry_sdk() + APART, ["sentry-sdk-headers"]),
        (
            INIT + "from opentelemetry import propagate\n"
            "from opentelemetry.propagators.composite import CompositePropagator\n"
            "from sentry_sdk.integrations.opentelemetry import SentryPropagator\n"
            "ours = propagate.get_global_textmap()\n"
            "propagate.set_global_textmap(CompositePropagator([ours, SentryPropagator()]))\n",
            ["sentry-sdk-propagator"],
        ),
        (
            sentry_sdk(instrumenter='"otel"')
            + "from opentelemetry import trace\nfrom opentelemetry.sdk.trace import TracerProvider\n"
            "from sentry_sdk.integrations.opentelemetry import SentrySpanProcessor\n"
            "provider = TracerProvider()\nprovider.add_span_processor(SentrySpanProcessor())\n"
            "trace.set_tracer_provider(provider)\n" + INIT,
            ["sentry-sdk-too"],
        ),
    ],
)
def test_sentry_sdk(program: str, expected: list[str], tmp_path: Path) -> None:
    """One world, or linked without a rate; apart, it sends all twice, or writes headers of its own."""
    pytest.importorskip("sentry_sdk")
    checked, _ = diagnosed(program, tmp_path)
    assert codes(checked) == expected
    assert not expected or "sentry-sdk" in checked[0][4] or "sentry_sdk" in checked[0][4]


@pytest.mark.parametrize(
    ("program", "expected", "says"),
    [
        (sentry_sdk(traces_sample_rate="1.0") + INIT, "sentry-sdk-world", "are one world"),
        (sentry_sdk() + INIT, "sentry-sdk-linked", "neither traces_sample_rate nor traces_sampler"),
        (
            sentry_sdk(traces_sample_rate="1.0") + INIT + "sentry_sdk.Scope.start_span = lambda self, **given: None\n",
            "seam-lost",
            "Scope.start_span",
        ),
        (
            sentry_sdk() + "from sentry_sdk.scope import register_external_propagation_context\n"
            "register_external_propagation_context(lambda: None)\n" + INIT,
            "external-context",
            "called by other code",
        ),
    ],
    ids=["world", "linked", "a seam that other code took", "a link of other code"],
)
def test_how_sentry_sdk_and_the_bridge_live_together(program: str, expected: str, says: str, tmp_path: Path) -> None:
    """The diagnosis names the mode, and what keeps the two SDKs apart in it."""
    pytest.importorskip("sentry_sdk")
    (found,) = [problem for problem in diagnosed(program, tmp_path)[1] if problem[1] == expected]
    assert says in " ".join(found)


def test_the_otlp_integration_of_sentry_sdk(tmp_path: Path) -> None:
    """It exports the spans to Sentry, and puts its propagator in the place of ours."""
    pytest.importorskip("sentry_sdk")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    program = "from sentry_sdk.integrations.otlp import OTLPIntegration\n" + sentry_sdk(
        integrations="[OTLPIntegration()]"
    )
    after = codes(diagnosed(INIT + program, tmp_path)[0])
    assert after == ["propagator-replaced", "spans-sent-twice", "sentry-sdk-too"]
    before = codes(diagnosed(program + INIT, tmp_path)[0])
    assert before == ["spans-sent-twice", "sentry-sdk-too", "sentry-sdk-propagator"]


def neighbour(name: str) -> Path:
    """Return a Python that has a neighbour and the bridge."""
    return pip_install(f"doctor-{name}", f"--editable {ROOT}\n{name}=={VERSIONS[name]}\n") / "bin" / "python"


@pytest.mark.neighbour
@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (LOGFIRE + INIT + USE, []),
        (LOGFIRE + INIT + INIT + USE, []),
        ("import logfire\n" + INIT + USE, []),
        (INIT + LOGFIRE + USE, ["logfire-apart"]),
        (LOGFIRE + INIT + LOGFIRE + USE, ["processor-missing"]),
        (LOGFIRE + INIT + LOGFIRE + INIT + USE, []),
    ],
    ids=["adopted", "adopted twice", "imported only", "too late", "configured again", "mended"],
)
def test_logfire(program: str, expected: list[str], tmp_path: Path) -> None:
    """Configured first, its provider is adopted; afterwards, its spans are apart; again, ours is thrown out."""
    checked, _ = diagnosed("import logging\nlogging.disable()\n" + program, tmp_path, python=neighbour("logfire"))
    assert codes(checked) == expected
    assert all("after logfire.configure()" in fix or "logfire.configure() first" in fix for *_, fix in checked)


@pytest.mark.neighbour
def test_ddtrace(tmp_path: Path) -> None:
    """Its patches write a traceparent of their own; its OpenTelemetry provider cannot be adopted."""
    python, patch = neighbour("ddtrace"), "import ddtrace\nddtrace.patch(httpx=True)\n"
    assert codes(diagnosed("import ddtrace\n" + INIT, tmp_path, python=python, **QUIET)[0]) == []
    assert codes(diagnosed(patch + INIT, tmp_path, python=python, **QUIET)[0]) == ["ddtrace-headers"]
    styles = {"DD_TRACE_PROPAGATION_STYLE": "datadog"}
    assert codes(diagnosed(patch + INIT, tmp_path, python=python, **QUIET, **styles)[0]) == []
    program = "import ddtrace.auto\nimport bridge\ntry:\n    bridge.init()\nexcept ValueError:\n    pass\n"
    checked, _ = diagnosed(program, tmp_path, python=python, **QUIET, DD_TRACE_OTEL_ENABLED="true")
    assert codes(checked) == ["provider-takes-no-processors"]
    assert "DD_TRACE_OTEL_ENABLED" in checked[0][4]


@pytest.mark.neighbour
@pytest.mark.parametrize(("instruments", "expected"), [(True, ["apm-headers"]), (False, [])])
def test_elastic_apm(instruments: bool, expected: list[str], tmp_path: Path) -> None:
    """An agent that instruments libraries writes its own traceparent; a client alone does not."""
    client = "import elasticapm\nelasticapm.Client(disable_send=True, instrument=False, central_config=False)\n"
    program = client + "elasticapm.instrument()\n" * instruments + INIT
    assert codes(diagnosed(program, tmp_path, python=neighbour("elastic-apm"))[0]) == expected


@pytest.mark.neighbour
@pytest.mark.parametrize(
    ("name", "patch"),
    [
        ("gevent", "from gevent import monkey\nmonkey.patch_all()\n"),
        ("eventlet", "import warnings\nwarnings.simplefilter('ignore')\nimport eventlet\neventlet.monkey_patch()\n"),
    ],
)
def test_green_threads(name: str, patch: str, tmp_path: Path) -> None:
    """Patched first, all is well; after init, the worker waits where no green thread gets its turn."""
    python = neighbour(name)
    assert codes(diagnosed(patch + INIT, tmp_path, python=python)[0]) == []
    checked, _ = diagnosed(INIT + patch, tmp_path, python=python)
    assert codes(checked) == ["monkey-patched-late"]
    assert name in checked[0][2]
