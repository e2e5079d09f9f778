"""The page on configuration says of every option what the code does."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

import bridge
from bridge._internal.options import ROWS
from tests.test_docs import ROOT


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("option_table", ROOT / "docs" / "_tools" / "option_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = _tool()


def test_the_page_is_up_to_date() -> None:
    """What the page says of the options is made from the code: `python docs/_tools/option_table.py` makes it."""
    before = TOOL.PAGE.read_text(encoding="utf-8")
    assert TOOL.page(before) == before


def test_every_option_is_explained() -> None:
    """No option is missing, and none is explained that does not exist."""
    assert set(TOOL.option_texts()) == set(ROWS)


@pytest.mark.parametrize("option", sorted(set(ROWS) - {"resource"}))  # which is not looked at
def test_what_an_option_takes_is_what_its_error_says(option: str) -> None:
    """A value that nothing takes is refused in the words of the page."""
    with pytest.raises(ValueError, match="it takes") as refused:
        bridge.init(**{option: object()})
    says = str(refused.value).partition("it takes ")[2]
    assert TOOL.option_texts()[option].takes.lower().startswith(says.lower().partition(" with ")[0])
