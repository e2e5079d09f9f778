"""Types are part of the face: a decorated function has the type that it had."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize("program", ["api.py", "misspelt.py"])
def test_mypy_sees_what_a_user_means(program: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """mypy --strict finds nothing in a user's program but what it should: every type and every error is expected."""
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")
    cache = tmp_path_factory.getbasetemp() / "mypy"
    path = Path(__file__).with_name(program)
    output, errors, code = api.run(["--strict", "--cache-dir", str(cache), str(path)])
    assert (code, errors) == (0, ""), output
