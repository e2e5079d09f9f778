"""The site names everything that is public, and shows every page."""

from __future__ import annotations

import re

import pytest

import bridge
import bridge.otel
import bridge.testing
from tests.test_docs import PAGES, ROOT

REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
NAV = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
PUBLIC = [f"{module.__name__}.{name}" for module in (bridge, bridge.otel, bridge.testing) for name in module.__all__]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_on_the_reference_page(name: str) -> None:
    """The page has each name of the three modules once; that its docstring is found is the build's own check."""
    assert len(re.findall(rf"^::: {re.escape(name)}$", REFERENCE, re.MULTILINE)) == 1


def test_the_reference_page_names_nothing_else() -> None:
    """What is not exported is not documented."""
    assert set(re.findall(r"^::: (\S+)$", REFERENCE, re.MULTILINE)) == set(PUBLIC)


def test_every_page_is_in_the_navigation() -> None:
    """A page that is written is shown."""
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in PAGES if (ROOT / "docs") in page.parents}
    assert set(re.findall(r": (\S+\.md)$", NAV, re.MULTILINE)) == pages
