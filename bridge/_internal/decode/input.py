"""Headers by their names: from arguments, from lines of text, or from a JSON object."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from bridge._internal.wire.carrier import read_headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# `name: value` and `NAME=value`; `curl -v` puts `> ` or `< ` in front.
_NAMED = re.compile(r"\s*(?:[<>]\s+)?(?P<name>[A-Za-z][\w-]*)\s*[:=]\s*(?P<value>.*)", re.DOTALL)


class UnreadableError(ValueError):
    """No trace header was found."""


def read_arguments(arguments: Sequence[str]) -> dict[str, str]:
    """Return the headers of `name: value` arguments; raises `UnreadableError` for an argument that is none."""
    for argument in arguments:
        if not _headers_in([argument]):
            raise UnreadableError(f"{argument[:80]!r} is no trace header; write its name, as in 'sentry-trace: VALUE'")
    return _headers_in(arguments)


def read_text(text: str) -> dict[str, str]:
    """Return the headers in lines of text, other lines ignored, or in a JSON object; raises `UnreadableError` if none.

    Headers that occur several times are joined by commas, as HTTP defines it.
    """
    headers = _headers_in_json(text) if text.lstrip().startswith("{") else _headers_in(text.splitlines())
    if not headers:
        raise UnreadableError("there is no sentry-trace, baggage, traceparent or tracestate in it")
    return headers


def _headers_in(lines: Iterable[str]) -> dict[str, str]:
    matches = filter(None, map(_NAMED.fullmatch, lines))
    return read_headers([(match["name"].lower(), match["value"].strip()) for match in matches])


def _headers_in_json(text: str) -> dict[str, str]:
    try:
        return read_headers(json.loads(text))
    except (ValueError, RecursionError):
        return {}
