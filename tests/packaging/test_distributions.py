"""What users install: built once, looked over, installed alone and used outside the source tree."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import NamedTuple

import pytest

import bridge
from tests.interop.neighbours import absent
from tests.test_docs import BLOCK, LINK, ROOT

pytestmark = pytest.mark.neighbour

INFO = f"sentry_otel_bridge-{bridge.__version__}.dist-info"


class Distributions(NamedTuple):
    """The two that are published."""

    sdist: Path
    wheel: Path


def _run(*command: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> str:
    """Run a command, return what it printed, and show all of it if it fails."""
    # The tests' own process must not lend its source tree to the ones that it starts.
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**inherited, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """The source distribution of the tree, and the wheel that was built from that."""
    for module in ("build", "twine"):
        if importlib.util.find_spec(module) is None:
            absent(f"{module} is not installed")
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Distributions(sdist, wheel)


@pytest.fixture(scope="module")
def installed(distributions: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the wheel and what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    _run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    _run(python, "-m", "pip", "install", "--quiet", distributions.wheel, cwd=folder)
    return python


@pytest.fixture(scope="module")
def metadata(distributions: Distributions) -> Message:
    """The wheel's metadata."""
    with zipfile.ZipFile(distributions.wheel) as wheel:
        return Parser().parsestr(wheel.read(f"{INFO}/METADATA").decode())


def test_an_index_would_take_them(distributions: Distributions, tmp_path: Path) -> None:
    """twine finds nothing to warn of in either."""
    _run(sys.executable, "-m", "twine", "check", "--strict", *distributions, cwd=tmp_path)


def test_the_wheel_has_the_package_and_nothing_else(distributions: Distributions) -> None:
    """Every module, the marker for type checkers, licence and entry points; no tests, no documents."""
    with zipfile.ZipFile(distributions.wheel) as wheel:
        names = set(wheel.namelist())
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "bridge").rglob("*.py")}
    facts = {f"{INFO}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    assert names == sources | {"bridge/py.typed"} | facts


def test_the_metadata_says_what_it_is(metadata: Message) -> None:
    """Version, Pythons, licence and types are told, and what is optional is named."""
    assert metadata["Version"] == bridge.__version__
    assert metadata["Requires-Python"] == ">=3.10"
    assert (metadata["License-Expression"], metadata["License-File"]) == ("Apache-2.0", "LICENSE")
    assert metadata["Description-Content-Type"] == "text/markdown"
    classifiers = metadata.get_all("Classifier") or []
    pythons = {c.rpartition(" ")[2] for c in classifiers if re.search(r"Python :: 3\.\d+$", c)}
    assert pythons == {"3.10", "3.11", "3.12", "3.13"}
    assert "Typing :: Typed" in classifiers
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for extra in metadata.get_all("Provides-Extra") or []:
        assert f"[{extra}]" in readme, f"the README says nothing of the extra {extra}"


def test_the_readme_on_an_index_has_no_link_that_leads_nowhere(metadata: Message) -> None:
    """Links into the source, which is not there, are names of files; the rest of the README is as it is."""
    shown = str(metadata.get_payload())
    assert not LINK.findall(shown)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert BLOCK.findall(shown) == BLOCK.findall(readme)
    assert len(shown.strip().splitlines()) == len(readme.strip().splitlines())


def test_the_source_distribution_has_its_tests(distributions: Distributions, tmp_path: Path) -> None:
    """The same tests can be collected from it as from the tree that it was made of."""
    with tarfile.open(distributions.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"]

    def collected(folder: Path) -> list[str]:
        return [line for line in _run(*collect, cwd=folder).splitlines() if "::" in line]

    assert collected(unpacked) == collected(ROOT)


def test_everything_that_is_kept_is_in_the_source_distribution(distributions: Distributions) -> None:
    """What git knows of, the source distribution has."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is no checkout, or there is no git")
    listed = _run("git", "-c", "safe.directory=*", "ls-files", cwd=ROOT).splitlines()
    kept = {name for name in listed if (ROOT / name).exists()}
    with tarfile.open(distributions.sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert kept <= packed


def test_what_is_installed_is_the_wheel(installed: Path, tmp_path: Path) -> None:
    """Outside the source tree it is the installed package that is imported, and it knows its version."""
    where = _run(installed, "-c", "import bridge; print(bridge.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(installed.parents[1])
    assert _run(installed, "-m", "bridge", "--version", cwd=tmp_path).split()[-1] == bridge.__version__


def test_every_entry_point_loads(installed: Path, tmp_path: Path) -> None:
    """What OpenTelemetry looks up by name is there."""
    program = """
from importlib.metadata import distribution
points = [point for point in distribution("sentry-otel-bridge").entry_points if point.group != "pytest11"]
for point in points:
    assert point.load() is not None
print(*sorted({point.group for point in points}))
"""
    groups = _run(installed, "-W", "error", "-c", program, cwd=tmp_path).split()
    assert {"opentelemetry_context", "opentelemetry_propagator"} <= set(groups)


def test_the_variables_name_the_entry_points(installed: Path, tmp_path: Path) -> None:
    """OTEL_PYTHON_CONTEXT and OTEL_PROPAGATORS put ours in force, without a line of code."""
    program = """
from opentelemetry import context, propagate
context.get_current()
print(type(context._RUNTIME_CONTEXT).__name__, sorted(propagate.get_global_textmap().fields))
"""
    variables = {"OTEL_PYTHON_CONTEXT": "bridge", "OTEL_PROPAGATORS": "bridge"}
    printed = _run(installed, "-c", program, cwd=tmp_path, environment=variables)
    assert printed.strip() == "SentryRuntimeContext ['baggage', 'sentry-trace', 'traceparent', 'tracestate']"


def test_the_demo_runs(installed: Path, tmp_path: Path) -> None:
    """`python -m bridge demo` needs nothing but the wheel."""
    assert "apply discount" in _run(installed, "-m", "bridge", "demo", cwd=tmp_path)


def test_the_first_example_runs(installed: Path, tmp_path: Path) -> None:
    """What the README shows first prints headers."""
    block = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))[0]
    assert "sentry-trace" in _run(installed, "-W", "error", "-c", block, cwd=tmp_path)


def test_type_checkers_see_its_types(installed: Path, tmp_path: Path) -> None:
    """mypy --strict takes a user's program, and knows what is wrong with another."""
    program = (ROOT / "tests" / "typing" / "api.py").read_text(encoding="utf-8")
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(installed), "--cache-dir", ".cache"]
    _run(*mypy, "program.py", cwd=tmp_path)
    (tmp_path / "wrong.py").write_text('import bridge\nbridge.start_span("a").trace_id + 1\n', encoding="utf-8")
    with pytest.raises(AssertionError, match='Unsupported operand types for \\+ \\("str" and "int"\\)'):
        _run(*mypy, "wrong.py", cwd=tmp_path)


def test_the_extras_can_be_had(installed: Path, distributions: Distributions, tmp_path: Path) -> None:
    """What is optional can be installed beside it, and is used."""
    _run(installed, "-m", "pip", "install", "--quiet", f"{distributions.wheel}[fast,otlp]", cwd=tmp_path)
    program = """
from bridge._internal.delivery.json_text import IS_FAST
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
print(IS_FAST)
"""
    assert _run(installed, "-c", program, cwd=tmp_path).strip() == "True"


def test_pytest_finds_the_plugin(installed: Path, tmp_path: Path) -> None:
    """With pytest beside it, `bridge_capture` is there without an import."""
    _run(installed, "-m", "pip", "install", "--quiet", "pytest", cwd=tmp_path)
    (tmp_path / "test_shop.py").write_text(
        "import bridge\n\n\ndef test_checkout(bridge_capture):\n"
        "    with bridge.start_span('checkout'):\n        pass\n"
        "    assert bridge_capture.tree() == ['checkout']\n"
    )
    assert "1 passed" in _run(installed, "-m", "pytest", "-q", "-W", "error", cwd=tmp_path)
