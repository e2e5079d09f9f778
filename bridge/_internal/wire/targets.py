"""`trace_propagation_targets`: which URLs get Sentry's headers."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_REMEMBERED_URLS = 256
_USERINFO = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/?#]*@", re.IGNORECASE)


class Targets:
    """Compiled once: a string matches as a substring, a pattern by `search`; `None` is every URL.

    What `refuses` says yes to is none in any case: requests to our own DSN.
    """

    def __init__(
        self,
        targets: Sequence[str | re.Pattern[str]] | None,
        refuses: Callable[[str], bool] | None = None,
    ) -> None:
        self._targets = None if targets is None else tuple(targets)
        self._refuses = refuses
        self.matches = lru_cache(maxsize=_REMEMBERED_URLS)(self._matches)

    @property
    def any(self) -> bool:
        """Whether there are any targets at all, for what has no URL."""
        return self._targets is None or bool(self._targets)

    def _matches(self, url: str) -> bool:
        url = _USERINFO.sub(r"\1", url, count=1)  # which may look like a host
        if self._refuses is not None and self._refuses(url):
            return False
        if self._targets is None:
            return True
        return any(t in url if isinstance(t, str) else t.search(url) is not None for t in self._targets)
