"""Requirements are understood as packaging understands them."""

from __future__ import annotations

from importlib import metadata

import pytest

from bridge._internal.doctor.checks.requirements import allows, installed_version, unmet_requirements

VERSIONS = ["0.9", "1.0", "1.40", "1.40.0", "1.45.2", "1.45.10", "2", "2.0b1", "2.0rc1", "0.66b2", "0.66b10", "2.0.1"]
SPECIFIERS = [
    ">=1.40,<2",
    "==1.45.2",
    "==0.66b2",
    "!=1.45.2",
    "~=1.40",
    "~=1.45.2",
    "==1.*",
    "!=1.45.*",
    ">1.40",
    "<=1.45.2",
    ">= 0.66b2, < 2",
    "",
]


@pytest.mark.parametrize("specifier", SPECIFIERS)
@pytest.mark.parametrize("version", VERSIONS)
def test_as_packaging_has_it(specifier: str, version: str) -> None:
    """Each of these versions is within each of these specifiers, or not, as packaging says."""
    specifiers = pytest.importorskip("packaging.specifiers")
    assert allows(specifier, version) is specifiers.SpecifierSet(specifier).contains(version, prereleases=True)


def test_everything_installed_here_is_understood() -> None:
    """No requirement of any distribution in this environment is unmet, as pip saw to it."""
    names = {found.metadata["Name"] for found in metadata.distributions()}
    assert [unmet for name in names for unmet in unmet_requirements(name)] == []


def test_what_is_not_there() -> None:
    """A distribution that is not installed has no version and no requirements."""
    assert installed_version("no-such-distribution") is None
    assert list(unmet_requirements("no-such-distribution")) == []
    assert allows("whatever", "1.0")
