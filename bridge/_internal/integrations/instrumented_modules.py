"""Which modules an instrumentor instruments, by metadata: nothing is imported to find out."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Extras in which a distribution names what it instruments: all of the first, or any of the second.
_EXTRAS = ("instruments", "instruments-any")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")
_NAME = re.compile(r"[\w.-]+")
_MODULE_FILE = re.compile(r"(\w+)(\.[\w-]+)*\.(?:py|so|pyd)")
# The module that the standard library's instrumentors patch, where it is not the one that they are named after.
_STANDARD_LIBRARY_MODULES = {"urllib": "urllib.request"}


def instrumented_modules(entry_point: metadata.EntryPoint) -> tuple[str, ...]:
    """Return the modules whose import makes an instrumentor of use; none if nothing tells."""
    names = [_normalized(name) for name in _instrumented_distributions(entry_point)]
    if not names:
        if entry_point.name in sys.stdlib_module_names:
            return (_STANDARD_LIBRARY_MODULES.get(entry_point.name, entry_point.name),)
        return ()
    # One distribution may hold instrumentors of several libraries, each entry point named after one of them.
    own = _normalized(entry_point.name)
    same = modules_of(own) if own in names else ()
    return same or tuple(dict.fromkeys(module for name in names for module in modules_of(name)))


def _instrumented_distributions(entry_point: metadata.EntryPoint) -> Iterator[str]:
    """Give the names of the distributions that an instrumentor's own distribution says it instruments."""
    requirements = entry_point.dist.requires if entry_point.dist is not None else None
    for requirement in requirements or ():
        extra, name = _EXTRA.search(requirement), _NAME.match(requirement)
        if extra is not None and name is not None and extra.group(1) in _EXTRAS:
            yield name.group()


def modules_of(name: str) -> tuple[str, ...]:
    """Return the public modules that an installed distribution has at its top; none if it is not installed.

    Below a namespace package, the packages in it: those are what a program imports.
    """
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return ()
    wanted = _normalized(name)
    found = _modules_among_files(distribution) or (distribution.read_text("top_level.txt") or wanted).split()
    same = [module for module in found if _normalized(module) == wanted]
    return tuple(same or [module for module in found if not module.startswith("_")])


def _modules_among_files(distribution: metadata.Distribution) -> list[str]:
    packages: set[tuple[str, ...]] = set()
    modules: set[str] = set()
    for path in distribution.files or ():
        *folder, file = path.parts
        if not all(part.isidentifier() for part in folder):
            continue
        if file == "__init__.py":
            packages.add(tuple(folder))
        elif not folder and (module := _MODULE_FILE.fullmatch(file)):
            modules.add(module.group(1))
    tops = {".".join(package) for package in packages if package[:-1] not in packages}
    return sorted(modules | tops - {""})


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()
