"""What the demo prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.demo.tree import Node, trees

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def picture(
    answer: Mapping[str, Any],
    transactions: Sequence[Mapping[str, Any]],
    errors: Sequence[Mapping[str, Any]],
) -> str:
    """Return the headers that crossed, the tree with the error at its span, and the decision."""
    lines = ["The headers that crossed from shop to stock:"]
    lines += [f"  {name}: {value}" for name, value in answer["crossed"].items()]
    for root in trees(transactions):
        lines += ["", f"Trace {root.trace_id}, put together from {len(transactions)} transactions:", ""]
        rows = list(_rows(root, errors))
        width = max(len(label) for label, _ in rows)
        lines += [f"  {label:<{width}}  {facts}".rstrip() for label, facts in rows]
    lines += ["", f"Sampling decision: {_decision(answer)}", ""]
    return "\n".join(lines)


def _rows(
    node: Node, errors: Sequence[Mapping[str, Any]], prefix: str = "", branch: str = ""
) -> Iterator[tuple[str, str]]:
    facts = f"{node.op or '-':<11} {node.duration_ms:8.2f} ms  {node.made_by:<13}  {node.service}"
    yield prefix + branch + node.name, facts
    below = prefix + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
    for error in errors:
        if error["contexts"]["trace"]["span_id"] == node.span_id:
            value = error["exception"]["values"][-1]
            stem = "│  " if node.children else "   "
            yield f"{below}{stem}! {value['type']}: {value['value']}", "the error"
    for number, child in enumerate(node.children, 1):
        last = number == len(node.children)
        yield from _rows(child, errors, below, "└─ " if last else "├─ ")


def _decision(answer: Mapping[str, Any]) -> str:
    dsc = dict(
        member.split("=", 1)
        for member in answer["crossed"].get("baggage", "").split(",")
        if member.startswith("sentry-") and "=" in member
    )
    sampled = {"true": "sampled", "false": "not sampled"}.get(dsc.get("sentry-sampled", ""), "deferred")
    return (
        f"{sampled}, because sample_rand {dsc.get('sentry-sample_rand')} "
        f"< sample_rate {dsc.get('sentry-sample_rate')}; both services act on it"
    )
