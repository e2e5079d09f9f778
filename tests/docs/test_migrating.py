"""The page on migrating names what both sides have."""

from __future__ import annotations

import re

import pytest

import bridge
from bridge._internal.options import ROWS
from tests.test_docs import ROOT

sentry_sdk = pytest.importorskip("sentry_sdk", reason="sentry-sdk is not installed")

PAGE = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")


def _section(title: str) -> str:
    return re.split(r"\n##+ ", PAGE.partition(f"\n### {title}\n")[2])[0]


def _left_column(section: str) -> list[str]:
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| ") and "---" not in line]
    return [code for row in rows[1:] for code in CODE.findall(row)]


def test_names_that_stay_are_names_of_both() -> None:
    """What the page says stays is there in both, and nothing that both have is missing from it."""
    stays = CODE.findall(_section("Names that stay").partition("\n\n`start_span` takes")[0])
    assert set(stays) == set(sentry_sdk.__all__) & set(bridge.__all__) - {"Client", "Scope"}


def test_names_that_change_are_names_of_sentry_sdk() -> None:
    """What the page says is called otherwise is what sentry-sdk calls so, and every name of its face is spoken of."""
    from sentry_sdk.scope import Scope
    from sentry_sdk.tracing import Transaction

    found = set()
    for code in _left_column(_section("Names that change")):
        owner, _, name = code.partition("(")[0].replace(" = ...", "").rpartition(".")
        where = {"span": Transaction, "scope": Scope, "": sentry_sdk}[owner]
        assert hasattr(where, name) or name in getattr(where, "__all__", ()), code
        found.add(name)
    faces = set(sentry_sdk.__all__) - set(bridge.__all__)
    assert faces - found <= {"HttpTransport", "Transport", "VERSION", "integrations"}


def test_options_are_options() -> None:
    """Options that are said to be the same are options of both; the others are sentry-sdk's."""
    from sentry_sdk.consts import DEFAULT_OPTIONS

    section = _section("Options")
    same = CODE.findall(section.partition(" have the same name")[0])
    assert set(same) <= set(DEFAULT_OPTIONS) & set(ROWS)
    others = {re.split(r"[=(]", code)[0] for code in _left_column(section)} - {"profiles_*"}
    assert others <= set(DEFAULT_OPTIONS)
    assert set(DEFAULT_OPTIONS) & set(ROWS) == set(same) | (others & set(ROWS))
