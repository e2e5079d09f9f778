"""What the documents show runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import bridge
from bridge.testing import CapturingTransport

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:)([^)#]+)")


def _blocks() -> list[object]:
    found = []
    for page in PAGES:
        for number, block in enumerate(BLOCK.findall(page.read_text())):
            found.append(pytest.param(block, id=f"{page.name}-{number}"))
    return found


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")  # aiohttp's, of its instrumentation
@pytest.mark.parametrize("block", _blocks())
def test_a_block_of_python_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block of Python is a whole program, beside a client that is set up."""
    if "sentry_sdk" in block:  # which patches the process for good
        _run_alone(block, tmp_path)
        return
    (tmp_path / "child.py").write_text("import bridge, os\nwith bridge.continue_trace(os.environ):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    bridge.init(traces_sample_rate=1.0, transport=CapturingTransport())
    try:
        exec(compile(block, "block", "exec"), {"__name__": "__main__"})
    except ModuleNotFoundError as missing:
        pytest.skip(f"{missing.name} is not installed")


def _run_alone(block: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file that is there."""
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target
