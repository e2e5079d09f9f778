"""`ignore_spans`: spans that nobody wants to see, by their name or op."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from bridge._internal.init_options import Rule
    from bridge._internal.payload import Payload

    NameAndOp: TypeAlias = tuple[str | None, str | None]


def is_ignored(name: str | None, op: str | None, rules: Sequence[Rule]) -> bool:
    """Whether one of the rules is met: a text in the name, a pattern found in it, or a mapping of both keys.

    A mapping names `name`, `op` or both, each a text or a pattern, and all that it names must be met.
    """
    return any(_meets(name, op, rule) for rule in rules)


def _meets(name: str | None, op: str | None, rule: Rule) -> bool:
    if isinstance(rule, Mapping):
        named = {"name": name, "op": op}
        return bool(rule) and all(_matches(named.get(key), wanted) for key, wanted in rule.items())
    return _matches(name, rule)


def _matches(text: object, wanted: str | re.Pattern[str]) -> bool:
    if not isinstance(text, str):
        return False
    return wanted in text if isinstance(wanted, str) else wanted.search(text) is not None


def without_ignored(
    spans: Sequence[Payload], rules: Sequence[Rule], name_and_op: Callable[[Payload], NameAndOp]
) -> list[Payload]:
    """Return the spans that are not ignored; the children of one that is become its parent's."""
    parents = {span["span_id"]: span.get("parent_span_id") for span in spans if is_ignored(*name_and_op(span), rules)}
    kept = []
    for span in spans:
        if span["span_id"] in parents:
            continue
        parent = span.get("parent_span_id")
        while parent in parents:
            parent = parents[parent]
        kept.append({**span, "parent_span_id": parent} if parent is not None else span)
    return kept
