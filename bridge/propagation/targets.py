"""`trace_propagation_targets`: which URLs get Sentry's headers."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

_REMEMBERED_URLS = 256


class Targets:
    """Compiled once: a string matches as a substring, a pattern by `search`; `None` is every URL."""

    def __init__(self, targets: Sequence[str | re.Pattern[str]] | None) -> None:
        self._targets = None if targets is None else tuple(targets)
        self.matches = lru_cache(maxsize=_REMEMBERED_URLS)(self._matches)

    def _matches(self, url: str) -> bool:
        if self._targets is None:
            return True
        return any(t in url if isinstance(t, str) else t.search(url) is not None for t in self._targets)
