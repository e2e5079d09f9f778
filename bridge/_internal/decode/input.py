"""Headers as people have them at hand: arguments, a paste of a request, JSON, a page's meta tags, an environment."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from bridge._internal.wire.baggage import BAGGAGE, SENTRY_PREFIX
from bridge._internal.wire.carrier import TRACEPARENT, as_mapping, read_headers
from bridge._internal.wire.sentry_trace import SENTRY_TRACE
from bridge._internal.wire.tracestate import OTEL_MEMBER, SENTRY_MEMBER, TRACESTATE, parse_tracestate

if TYPE_CHECKING:
    from collections.abc import Sequence

# `> name: value` of `curl -v`, `-H 'name: value' \`, `export NAME="value"`, `"name": "value",`.
_NAMED = re.compile(
    r"""\s* (?:[<>*|]\s+ | -H\s* | --header[\s=]+ | export\s+ | \$?env:)* ['"]? (?P<name>[A-Za-z][\w-]*) ['"]?
        \s* [:=] \s* (?P<value>.*)""",
    re.VERBOSE | re.DOTALL,
)
_TRAILING = re.compile(r"""(?:['"]?\s*\\|['"],|['"]?;|['"])?\s*$""")
_LIKE_SENTRY_TRACE = re.compile(r"[0-9A-Za-z]{20,40}-[0-9A-Za-z]{8,24}(?:-.{0,4})?")
_LIKE_TRACEPARENT = re.compile(r"[0-9A-Za-z]{2}-[0-9A-Za-z]{20,40}-[0-9A-Za-z]{8,24}-.{1,40}")


class UnreadableError(ValueError):
    """There is nothing in it that could be a trace header."""


@dataclass(slots=True)
class Given:
    """The headers that were found, several of one name joined as HTTP has it, and what had to be guessed."""

    headers: dict[str, str] = field(default_factory=dict)
    guesses: list[str] = field(default_factory=list)

    def add(self, name: str, value: str) -> None:
        """Take a header."""
        known = self.headers.get(name)
        self.headers[name] = value if known is None else f"{known},{value}"


def read_arguments(arguments: Sequence[str]) -> Given:
    """Read what was given on the command line; `UnreadableError` names what cannot be told."""
    given = Given()
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if waiting and _is_name(argument.removesuffix(":")) and argument.endswith(":"):
            argument += " " + waiting.pop(0)  # somebody forgot the quotes
        if not (_take_named(argument, given) or _take_document(argument, given) or _take_bare(argument, given)):
            raise UnreadableError(
                f"cannot tell which header {argument[:80]!r} is; give it a name, as in 'sentry-trace: {argument[:20]}'"
            )
    return given


def read_text(text: str) -> Given:
    """Read a paste, of which most may be other things; `UnreadableError` where nothing in it is a trace header."""
    given = Given()
    if _take_document(text, given):
        return given
    lines = text.splitlines()
    named = [_take_named(line, given) for line in lines]
    if not any(named):
        for line in lines:
            _take_bare(line, given)
    if not given.headers:
        raise UnreadableError("there is no sentry-trace, baggage, traceparent or tracestate in it")
    return given


def _is_name(text: str) -> bool:
    return bool(read_headers({text: "x"}))


def _take_named(line: str, given: Given) -> bool:
    match = _NAMED.fullmatch(line)
    if match is None or not _is_name(match["name"]):
        return False
    value = match["value"]
    if value[:1] in ("'", '"') or line.lstrip()[:1] in ("'", '"') or re.match(r"\s*(-H|--header|export)", line):
        value = _TRAILING.sub("", value.lstrip("'\""))
    for name, text in read_headers({match["name"]: value.strip()}).items():
        given.add(name, text)
    return True


def _take_document(text: str, given: Given) -> bool:
    """Read JSON, what Python prints of a dict, or a page."""
    stripped = text.strip()
    if stripped[:1] in ("{", "[", "("):
        found = _headers_in(_loaded(stripped))
    elif "<meta" in stripped.lower():
        found = _in_page(stripped)
    else:
        return False
    for name, value in found.items():
        given.add(name, value)
    return bool(found)


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _headers_in(loaded: Any) -> dict[str, str]:
    """Return the headers of an object, or of its member `headers`; pairs as lists do as well."""
    if isinstance(loaded, list | tuple):
        loaded = [tuple(pair) if isinstance(pair, list) else pair for pair in loaded]
    found = read_headers(loaded)
    inner = as_mapping(loaded).get("headers")
    return found if found or inner is None else _headers_in(inner)


def _in_page(text: str) -> dict[str, str]:
    found: dict[str, str] = {}

    class Page(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            told = dict(attributes)
            if tag == "meta" and told.get("name") and told.get("content"):
                found.update(read_headers({told["name"]: told["content"]}))

    Page().feed(text)
    return found


def _take_bare(text: str, given: Given) -> bool:
    value = text.strip().strip("'\"")
    name = _name_by_shape(value)
    if name is None:
        return False
    if "=" in value and name == BAGGAGE and SENTRY_PREFIX not in value:
        given.guesses.append(f"{value[:40]!r} was taken for baggage; if it is not, write 'tracestate: ...'")
    given.add(name, value)
    return True


def _name_by_shape(value: str) -> str | None:
    if _LIKE_TRACEPARENT.fullmatch(value):
        return TRACEPARENT
    if _LIKE_SENTRY_TRACE.fullmatch(value):
        return SENTRY_TRACE
    keys = [key for key, _ in parse_tracestate(value)]
    if any(key.startswith(SENTRY_PREFIX) for key in keys):
        return BAGGAGE
    if any(key in (SENTRY_MEMBER, OTEL_MEMBER) or "@" in key for key in keys):
        return TRACESTATE
    return BAGGAGE if keys else None
