"""Scrubbing of texts: passwords and secret parameters in URLs, connection strings and messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from bridge._internal.secret_names import FILTERED

if TYPE_CHECKING:
    from collections.abc import Callable

# What stands before the host; the second form is a password with a slash in it.
_USER_INFORMATION = re.compile(
    r"(?<=://)(?:[^\s/?#\"<>]*@|[^\s/@\"<>]*:[^\s@/\"<>]*[^\d\s@/\"<>][^\s@\"<>]*@)",
)
# A value that is a placeholder of a statement is none.
_PASSWORD = re.compile(
    r"(?i)(passw(?:or)?d|passphrase|(?<![a-z])pwd)(\s*=\s*)(?![%$?:])(\"[^\"]*\"|'[^']*'|[^\s&;,\"'#]+)"
)
_PARAMETER = re.compile(r"([?&;#]|^)([^\s=?&;#/\"'<>]+)=([^\s&;#\"'<>]+)")


def without_passwords(text: str) -> str:
    """Return a text without the passwords in its URLs; nothing else changes."""
    if "://" not in text:
        return text
    text = _USER_INFORMATION.sub("", text)
    return without_password_parameters(text) if "=" in text else text


def without_password_parameters(text: str) -> str:
    """Return a text with `[Filtered]` for the value of each `password=`, as connection strings have it."""
    lower = text.lower()
    if "pass" not in lower and "pwd" not in lower:
        return text
    return _PASSWORD.sub(rf"\1\2{FILTERED}", text)


def without_secret_parameters(text: str, is_secret: Callable[[str], bool]) -> str:
    """Return a URL or its query with `[Filtered]` for the value of each parameter whose name is that of a secret."""

    def scrub(found: re.Match[str]) -> str:
        before, name, _ = found.groups()
        return f"{before}{name}={FILTERED}" if is_secret(unquote_plus(name)) else found.group()

    return _PARAMETER.sub(scrub, text)
