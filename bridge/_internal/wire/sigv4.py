"""Requests that are signed already: a header that an AWS signature covers must not change."""

from __future__ import annotations

import re

_SIGNED = re.compile(r"SignedHeaders=([^,\s]+)")


def signed_headers(authorization: str) -> frozenset[str]:
    """Return the lower-case names that an `AWS4-...` authorization signs; empty where there is none."""
    if not authorization.startswith("AWS4-"):
        return frozenset()
    match = _SIGNED.search(authorization)
    return frozenset(match[1].lower().split(";")) if match else frozenset()
