"""What the recipes in docs/ show is what is tested: the programs of `examples/`."""

from __future__ import annotations

import re

import pytest

from tests.frameworks.harness import ROOT

# A block of `py` is not run by itself: Django is set up once for a process, from a module that can be imported.
BLOCK = re.compile(r"^```py(?:thon)?\n# (examples/\w+\.py)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = sorted((ROOT / "docs").glob("recipes*.md"))
BLOCKS = [found for page in PAGES for found in BLOCK.findall(page.read_text())]


@pytest.mark.parametrize(("program", "block"), BLOCKS, ids=[program for program, _ in BLOCKS])
def test_a_recipe_is_taken_from_the_program(program: str, block: str) -> None:
    """Each line of a recipe, but imports, stands in the program, in the same order."""
    left = iter((ROOT / program).read_text().splitlines())
    shown = [line for line in block.splitlines() if not line.startswith(("import ", "from "))]
    assert [line for line in shown if line and line not in left] == []


def test_every_program_has_a_recipe() -> None:
    """And the other way round."""
    programs = {f"examples/{path.name}" for path in (ROOT / "examples").glob("*.py")}
    assert {program for program, _ in BLOCKS} == programs
