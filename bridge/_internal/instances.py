"""The living instances of a class."""

from __future__ import annotations

import gc
from typing import TypeVar

T = TypeVar("T")


def instances_of(cls: type[T]) -> list[T]:
    """Return the living instances of a class and of those below it, found by what refers to a class."""
    classes = [cls]
    for known in classes:
        classes.extend(known.__subclasses__())
    # Not isinstance, which reads `__class__`: that would make a lazy object create what it stands for.
    return [found for found in gc.get_referrers(*classes) if cls in type(found).__mro__]
