"""Distributions made in a folder: a library, and an instrumentor of it, as contrib's are made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

LIBRARY = """
def read():
    return "book"
"""
RARE = """
def read():
    return "rare book"
"""
INSTRUMENTOR = """
import sys
from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
import shelf
import wrapt

print("loaded", file=sys.stderr)

class ShelfInstrumentor(BaseInstrumentor):
    def instrumentation_dependencies(self):
        return ["shelf-library >= 1.0"]

    def _instrument(self, **kwargs):
        tracer = trace.get_tracer("shelf_otel", tracer_provider=kwargs["tracer_provider"])

        def traced(wrapped, instance, args, kwargs):
            with tracer.start_as_current_span("read"):
                return wrapped(*args, **kwargs)

        print("instrumented", file=sys.stderr)
        wrapt.wrap_function_wrapper(shelf, "read", traced)

    def _uninstrument(self, **kwargs):
        print("uninstrumented", file=sys.stderr)
        shelf.read = shelf.read.__wrapped__
"""
START = """
import bridge, sys
from bridge.testing import CapturingTransport

def start(instrumentations="auto", **options):
    global client
    client = bridge.init(
        traces_sample_rate=1.0, transport=CapturingTransport(), instrumentations=instrumentations, **options
    )

def state(name="shelf"):
    return [i.state for i in client.instrumentations() if i.name == name]

def reason(name="shelf"):
    return [i.reason for i in client.instrumentations() if i.name == name][0]

def names():
    return [t["transaction"] for t in client.transport.transactions]

def is_loaded():
    return "shelf_otel" in sys.modules
"""


def make_distribution(
    folder: Path,
    name: str,
    files: Mapping[str, str],
    *,
    version: str = "1.0",
    requires: Sequence[str] = (),
    entry_points: Mapping[str, str] | None = None,
) -> None:
    """Install a distribution into a folder: its files, and what an installer writes of it."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", "Provides-Extra: instruments"]
    (info / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {r}" for r in requires)]) + "\n")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in files))
    if entry_points:
        declared = [f"{key} = {value}" for key, value in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[opentelemetry_instrumentor]", *declared]) + "\n")


def make_library(folder: Path, version: str = "1.0", source: str = LIBRARY) -> None:
    """Install the library that is instrumented; its module is not called as the distribution is."""
    files = {"shelf/__init__.py": source, "shelf/rare.py": RARE}
    make_distribution(folder, "shelf-library", files, version=version)


def make_instrumentor(folder: Path, source: str = INSTRUMENTOR) -> None:
    """Install its instrumentor."""
    make_distribution(
        folder,
        "opentelemetry-instrumentation-shelf",
        {"shelf_otel.py": source},
        requires=["shelf-library>=1.0; extra == 'instruments'"],
        entry_points={"shelf": "shelf_otel:ShelfInstrumentor"},
    )


def run(program: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program that can import what was installed into a folder, and `start()` the bridge."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("SENTRY_", "OTEL_", "BRIDGE_I"))
    }
    if folder is not None:
        environ["PYTHONPATH"] = str(folder)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", START + program],
        env={**environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
