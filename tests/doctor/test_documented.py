"""docs/doctor.md lists what there is."""

from __future__ import annotations

from pathlib import Path

from bridge._internal.doctor.report import table

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"


def test_the_table_is_that_of_the_checks() -> None:
    """The document's table is `python -c "from bridge._internal.doctor.report import table; print(table())"`."""
    assert PAGE.read_text().endswith("\n" + table())
