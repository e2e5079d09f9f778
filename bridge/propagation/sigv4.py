"""Requests that are signed already: a header that an AWS signature covers must not change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bridge.propagation.carrier import read_header

if TYPE_CHECKING:
    from collections.abc import Mapping

_SIGNED = re.compile(r"SignedHeaders=([^,\s]+)")


def signed_headers(headers: Mapping[Any, Any]) -> frozenset[str]:
    """Return the lower-case names that an `AWS4-...` authorization signs; empty where there is none."""
    if not headers:
        return frozenset()
    authorization = read_header(headers, "authorization") or ""
    if not authorization.startswith("AWS4-"):
        return frozenset()
    match = _SIGNED.search(authorization)
    return frozenset(match[1].lower().split(";")) if match else frozenset()
