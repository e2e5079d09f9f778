"""The public namespace is what the documents say, and it loads nothing until it is used."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bridge

REFERENCE = Path(__file__).parents[1] / "docs" / "reference.md"
DOCUMENTED = re.findall(r"^::: (bridge[\w.]*)\.(\w+)$", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
PUBLIC_MODULES = ["bridge", "bridge.otel", "bridge.testing"]


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_a_public_module_exports_what_is_documented(module: str) -> None:
    """What `from module import *` gives is what docs/reference.md has, and each name is there."""
    exported = importlib.import_module(module).__all__
    assert exported == sorted(name for where, name in DOCUMENTED if where == module)
    starred: dict[str, object] = {}
    exec(f"from {module} import *", starred)
    assert starred.keys() - {"__builtins__"} == set(exported)


def test_no_other_module_is_documented() -> None:
    """The reference names nothing outside the public modules."""
    assert {where for where, _ in DOCUMENTED} == set(PUBLIC_MODULES)


def test_names_are_listed_before_they_are_used() -> None:
    """`dir()` lists every public name, for whoever completes one at a prompt."""
    assert set(bridge.__all__) <= set(dir(bridge))
    with pytest.raises(AttributeError, match="module 'bridge' has no attribute 'set_tagg'"):
        bridge.set_tagg  # type: ignore[attr-defined]  # noqa: B018 - no such name, to mypy as well


@pytest.mark.parametrize(("where", "name"), DOCUMENTED)
def test_everything_public_is_documented(where: str, name: str) -> None:
    """Each public function and class says what it does."""
    value = getattr(importlib.import_module(where), name)
    if inspect.isfunction(value) or inspect.isclass(value):
        assert value.__doc__


@pytest.mark.parametrize(
    "use",
    [
        "bridge.otel.SentrySampler",
        "bridge.testing.capture",
        "bridge.init",
        "bridge.Scope",
        "bridge.check_setup",
        "bridge.Problem",
    ],
)
def test_a_name_is_loaded_when_it_is_used(use: str) -> None:
    """`import bridge` alone loads nothing but the version; after it any public name or module can be used."""
    program = f"""
import sys
import bridge
loaded = sorted(name for name in sys.modules if name.partition(".")[0] in ("bridge", "opentelemetry", "httpx"))
assert loaded == ["bridge", "bridge._internal", "bridge._internal.version"], loaded
assert {use} is {use}
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_wrong_can_be_asked_without_opentelemetry(tmp_path: Path) -> None:
    """`bridge.check_setup()` answers where OpenTelemetry cannot be imported, which it says."""
    broken = tmp_path / "opentelemetry"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('it is broken')\n")
    program = "import bridge\nassert any('it is broken' in problem.what for problem in bridge.check_setup())"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{program}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
