"""`ignore_spans`: rules for spans that are not sent: by name, op, kind, attributes, and whether they are roots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias


class SpanFacts(NamedTuple):
    """What rules ask about a span that is about to be sent."""

    name: str | None
    op: str | None
    kind: str | None
    root: bool
    attributes: Mapping[str, Any]


if TYPE_CHECKING:
    FactsOf: TypeAlias = Callable[[dict[str, Any]], SpanFacts]


def facts_of_transaction(event: dict[str, Any]) -> SpanFacts:
    """Return what rules ask about the root of a transaction."""
    trace = event["contexts"]["trace"]
    return _facts(event["transaction"], trace, is_root=True)


def facts_of_child(span: dict[str, Any]) -> SpanFacts:
    """Return what rules ask about a span below a transaction's root."""
    return _facts(span.get("description"), span, is_root=False)


def _facts(name: str | None, payload: Mapping[str, Any], *, is_root: bool) -> SpanFacts:
    data = payload.get("data") or {}
    return SpanFacts(name, payload.get("op"), str(data.get("otel.kind", "")).lower(), is_root, data)


def facts_of_streamed(span: dict[str, Any]) -> SpanFacts:
    """Return what rules ask about a span that is sent by itself."""
    data = {key: attribute["value"] for key, attribute in span["attributes"].items()}
    return SpanFacts(span["name"], data.get("sentry.op"), data.get("sentry.kind"), span["is_segment"], data)


def is_ignored(span: SpanFacts, rules: Sequence[Any]) -> bool:
    """Whether one of the rules is met: a text in the name, a pattern found in it, or all that a mapping names.

    A mapping names `name` and `op`, each a text or a pattern; `kind`; `root`, whether the span is the root of its
    service; `attributes`, each with a text, a pattern or another value.
    """
    return any(_meets(span, rule) for rule in rules)


def _meets(span: SpanFacts, rule: Any) -> bool:
    if not isinstance(rule, Mapping):
        return _matches(span.name, rule)
    return bool(rule) and all(_MET[key](span, wanted) for key, wanted in rule.items())


_MET: Mapping[str, Callable[[SpanFacts, Any], bool]] = {
    "name": lambda span, wanted: _matches(span.name, wanted),
    "op": lambda span, wanted: _matches(span.op, wanted),
    "kind": lambda span, wanted: span.kind == wanted.lower(),
    "root": lambda span, wanted: span.root is wanted,
    "attributes": lambda span, wanted: all(_has(span.attributes, key, value) for key, value in wanted.items()),
}


def _has(attributes: Mapping[str, Any], key: str, wanted: Any) -> bool:
    if key not in attributes:
        return False
    value = attributes[key]
    if isinstance(value, list | tuple) and not isinstance(wanted, list | tuple):
        return any(_matches(item, wanted) or item == wanted for item in value)
    return _matches(value, wanted) or value == wanted


def _matches(text: Any, wanted: Any) -> bool:
    if not isinstance(text, str) or not isinstance(wanted, str | re.Pattern):
        return False
    return wanted in text if isinstance(wanted, str) else wanted.search(text) is not None


def without_ignored(spans: Sequence[dict[str, Any]], rules: Sequence[Any], facts_of: FactsOf) -> list[dict[str, Any]]:
    """Return the spans that are not ignored; the children of one that is become its parent's."""
    parents = {span["span_id"]: span.get("parent_span_id") for span in spans if is_ignored(facts_of(span), rules)}
    kept = []
    for span in spans:
        if span["span_id"] in parents:
            continue
        parent = span.get("parent_span_id")
        while parent in parents:
            parent = parents[parent]
        kept.append({**span, "parent_span_id": parent} if parent is not None else span)
    return kept
