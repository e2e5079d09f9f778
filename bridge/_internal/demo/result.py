"""The text that the demo prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal.console.rendering import format_duration, tree_lines, tree_rows
from bridge._internal.console.tree import build_trees, sorted_spans, transaction_spans
from bridge._internal.wire.baggage import parse_dsc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge._internal.console.terminal import Piece
    from bridge._internal.console.tree import SentSpan


def result_text(
    answer: Mapping[str, Any],
    transactions: Sequence[Mapping[str, Any]],
    errors: Sequence[Mapping[str, Any]],
) -> str:
    """Return the propagated headers, the tree with the error at its span, and the sampling decision."""
    lines = ["Headers propagated from shop to stock:"]
    lines += [f"  {name}: {value}" for name, value in answer["crossed"].items()]
    spans = sorted_spans(span for transaction in transactions for span in transaction_spans(transaction))
    for root in build_trees(spans, errors)[0]:
        lines += ["", f"Trace {root.span.trace_id}, built from {_transaction_count(transactions)}:", ""]
        lines += ["  " + "".join(text for text, _ in line) for line in tree_lines(tree_rows(root), _columns)]
    lines += ["", f"Sampling decision: {_decision(answer)}", ""]
    return "\n".join(lines)


def _columns(span: SentSpan) -> Sequence[Piece]:
    return [(span.op or "-", "op"), (format_duration(span.duration_ms), ""), (span.made_by, ""), (span.service, "")]


def _transaction_count(transactions: Sequence[Mapping[str, Any]]) -> str:
    return f"{len(transactions)} transaction{'s' if len(transactions) != 1 else ''}"


def _decision(answer: Mapping[str, Any]) -> str:
    dsc = parse_dsc(answer["crossed"].get("baggage", ""))
    sampled = {"true": "sampled", "false": "not sampled"}.get(dsc.get("sampled", ""), "deferred")
    numbers = f"sample_rand {dsc.get('sample_rand')} < sample_rate {dsc.get('sample_rate')}"
    return f"{sampled}, because {numbers}; both services use it"
