"""Sentry's own table of attributes, and what is made of it."""

from __future__ import annotations

from tests.semantics import convention_table


def test_the_table_is_that_of_the_installed_distribution() -> None:
    """`python -m tests.semantics.convention_table` writes it anew."""
    assert convention_table.PLACE.read_text() == convention_table.text()
