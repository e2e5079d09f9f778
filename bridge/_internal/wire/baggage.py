"""The `baggage` header: Sentry's members (the DSC, dynamic sampling context) among those of others."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BAGGAGE = "baggage"
SENTRY_PREFIX = "sentry-"
MAX_BYTES = 8192
MAX_MEMBERS = 64
_SPACE = " \t\r\n"
_SENTRY_MEMBER = re.compile(r"(?:^|,)[ \t\r\n]*sentry-([^=,]+)=([^,;]*)")
_IS_SAFE = re.compile(r"[A-Za-z0-9_.~-]*", re.ASCII).fullmatch
_IS_CANONICAL = re.compile(r"[A-Za-z0-9_.~%=,-]*", re.ASCII).fullmatch
"""Whether a DSC's members stand as we write them: no white space, no properties, everything else encoded."""
_REMEMBERED_TEXTS = 256
_decoded = lru_cache(_REMEMBERED_TEXTS)(unquote)  # releases and transactions come again with every request


def _members(header: str) -> Iterator[tuple[str, str]]:
    """Go through the members that have a key: the key, and the whole member as it stands."""
    for part in header.split(","):
        member = part.strip(_SPACE)
        key, separator, _ = member.partition("=")
        if separator and (key := key.strip(_SPACE)):
            yield key, member


def split_baggage(header: str) -> tuple[Dsc, list[str]]:
    """Return the DSC, decoded, and the members of others as they stand, with their properties."""
    found = _SENTRY_MEMBER.findall(header)  # one pass in C
    if " " in header or "\t" in header or "\n" in header or "\r" in header:
        found = [(key, value.strip(_SPACE)) for name, value in found if (key := name.strip(_SPACE))]
    if "%" in header:  # unquote takes its time to find that there is nothing to do
        found = [
            (_decoded(name) if "%" in name else name, _decoded(value) if "%" in value else value)
            for name, value in found
        ]
    dsc = Dsc(found)
    if header.count(",") + 1 == len(found):
        if len(dsc) == len(found) and _IS_CANONICAL(header):
            dsc._text = header  # it is passed on, so it need not be written again
        return dsc, []
    others = [member for key, member in _members(header) if not key.startswith(SENTRY_PREFIX)]
    return dsc, others


def split_reencoded(header: str) -> tuple[Dsc, list[str]]:
    """Return the same of a header that may have gone through OpenTelemetry for Python.

    That writes a space as `+`, and a plus as `%2B`.
    """
    dsc, others = split_baggage(header)
    return split_baggage(header.replace("+", "%20"))[0] if "+" in header else dsc, others


def parse_dsc(header: str) -> dict[str, str]:
    """Return Sentry's members alone; of a name that comes twice the last."""
    return split_baggage(header)[0] if SENTRY_PREFIX in header else {}


class Dsc(dict[str, str]):
    """A frozen DSC, which keeps its text once it was written."""

    __slots__ = ("_text",)

    @property
    def text(self) -> str:
        """The members of a header."""
        try:
            return self._text
        except AttributeError:
            self._text: str = render_dsc(self)
            return self._text


def render_dsc(dsc: Mapping[str, str]) -> str:
    """Write a DSC as members of a header."""
    return ",".join(f"{SENTRY_PREFIX}{_encoded(key)}={_encoded(value)}" for key, value in dsc.items())


def _encoded(value: str) -> str:
    # Most values have nothing to encode; quote() takes three times as long to find that.
    return value if _IS_SAFE(value) else quote(value, safe="", errors="replace")


def merge_baggage(dsc_text: str, *others: str) -> str:
    """Write one header: Sentry's members first, whole or not at all, then those of others that still fit.

    Old members of Sentry's in `others` are replaced by the new ones; of a key that comes twice the first stays.
    """
    if not any(others):
        return dsc_text if len(dsc_text) <= MAX_BYTES and dsc_text.count(",") < MAX_MEMBERS else ""
    parts: list[str] = []
    used = 0
    if dsc_text and len(dsc_text) <= MAX_BYTES and (count := dsc_text.count(",") + 1) <= MAX_MEMBERS:
        parts.append(dsc_text)
        used = count
    length = len(dsc_text) if parts else -1
    seen: set[str] = set()
    for header in others:
        for key, member in _members(header):
            if key in seen or key.startswith(SENTRY_PREFIX):
                continue
            needed = length + 1 + len(member.encode("utf-8", "replace"))
            if used >= MAX_MEMBERS or needed > MAX_BYTES:
                continue
            seen.add(key)
            parts.append(member)
            used += 1
            length = needed
    return ",".join(parts)
