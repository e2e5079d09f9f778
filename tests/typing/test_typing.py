"""Types are part of the face: a decorated function has the type that it had."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_mypy_sees_what_a_user_means(tmp_path: Path) -> None:
    """mypy --strict finds nothing in a user's program, and every expected type is the one it sees."""
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")
    program = Path(__file__).with_name("api.py")
    output, errors, code = api.run(["--strict", "--cache-dir", str(tmp_path), str(program)])
    assert (code, errors) == (0, ""), output
