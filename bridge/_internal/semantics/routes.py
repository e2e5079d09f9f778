"""Routes of web frameworks, in the form that Sentry groups requests by."""

from __future__ import annotations

import re
from functools import lru_cache

_CONVERTER = re.compile(r"<(?:[^<>:]+:)?([^<>:]+)>")
_ANCHORS = re.compile(r"(?<!\\)[\^$]|\\[AZbB]")
_OPTIONAL = re.compile(r"(?<=[^\\{}])\?")
_ESCAPED = re.compile(r"\\(.)")
_GROUP_NAME = re.compile(r"\?P<(\w+)>")


def of_method(method: str, route: str) -> str:
    """Return `METHOD route`; a route that starts with the method does not get it twice."""
    return f"{method} {readable_route(route.removeprefix(f'{method} '))}"


@lru_cache(maxsize=1024)
def readable_route(route: str) -> str:
    """Return a route of Django or Django REST framework as `/api/orders/{pk}/price/`; any other one as it is.

    Only Django's routes start without a slash or are regular expressions.
    """
    if route.startswith(("/", "http://", "https://", "*")) and "(?P<" not in route and not route.startswith("/^"):
        return route
    plain = _without_groups(_CONVERTER.sub(r"{\1}", route) if "(?P<" not in route else route)
    plain = _ESCAPED.sub(r"\1", _OPTIONAL.sub("", _ANCHORS.sub("", plain)))
    plain = _CONVERTER.sub(r"{\1}", plain)
    return plain if plain.startswith("/") else f"/{plain}"


def _without_groups(pattern: str) -> str:
    """Return a regular expression with each outermost group as `{name}`, `{var}` where it has none."""
    made: list[str] = []
    depth, start, in_class, position = 0, 0, False, 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            made.append(pattern[position : position + 2] if depth == 0 else "")
            position += 2
            continue
        if depth and character == "[":
            in_class = True
        elif depth and character == "]":
            in_class = False
        elif character == "(" and not in_class:
            start = position + 1 if depth == 0 else start
            depth += 1
        elif character == ")" and depth and not in_class:
            depth -= 1
            if depth == 0:
                made.append(_placeholder(pattern[start:position]))
        elif depth == 0:
            made.append(character)
        position += 1
    return "".join(made)


def _placeholder(group: str) -> str:
    if group.startswith(("?:", "?=", "?!", "?<=", "?<!", "?#")):
        return _without_groups(group[2:]) if group.startswith("?:") and "(" in group[2:] else ""
    named = _GROUP_NAME.match(group)
    return "{" + (named.group(1) if named else "var") + "}"
