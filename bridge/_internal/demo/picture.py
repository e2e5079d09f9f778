"""What the demo prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal.console.rendering import duration, rows, table
from bridge._internal.console.tree import in_order, spans_of, with_events
from bridge._internal.wire.baggage import parse_dsc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge._internal.console.terminal import Piece
    from bridge._internal.console.tree import SentSpan


def picture(
    answer: Mapping[str, Any],
    transactions: Sequence[Mapping[str, Any]],
    errors: Sequence[Mapping[str, Any]],
) -> str:
    """Return the headers that crossed, the tree with the error at its span, and the decision."""
    lines = ["The headers that crossed from shop to stock:"]
    lines += [f"  {name}: {value}" for name, value in answer["crossed"].items()]
    spans = in_order(span for transaction in transactions for span in spans_of(transaction))
    for root in with_events(spans, errors)[0]:
        lines += ["", f"Trace {root.span.trace_id}, put together from {_of_transactions(transactions)}:", ""]
        lines += ["  " + "".join(text for text, _ in line) for line in table(rows(root), _columns)]
    lines += ["", f"Sampling decision: {_decision(answer)}", ""]
    return "\n".join(lines)


def _columns(span: SentSpan) -> Sequence[Piece]:
    return [(span.op or "-", "op"), (duration(span.duration_ms), ""), (span.made_by, ""), (span.service, "")]


def _of_transactions(transactions: Sequence[Mapping[str, Any]]) -> str:
    return f"{len(transactions)} transaction{'s' if len(transactions) != 1 else ''}"


def _decision(answer: Mapping[str, Any]) -> str:
    dsc = parse_dsc(answer["crossed"].get("baggage", ""))
    sampled = {"true": "sampled", "false": "not sampled"}.get(dsc.get("sampled", ""), "deferred")
    numbers = f"sample_rand {dsc.get('sample_rand')} < sample_rate {dsc.get('sample_rate')}"
    return f"{sampled}, because {numbers}; both services act on it"
