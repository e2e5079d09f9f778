"""Verification of the demo's result; each mismatch is a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal.console.tree import build_trees, sorted_spans, transaction_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge._internal.console.tree import Node
    from bridge._internal.delivery.envelope import Envelope

ERROR_BELONGS_TO = "SELECT pieces FROM stock"


def _expected(stock_url: str) -> tuple[Any, ...]:
    """Return the expected tree: span name, API, service, children."""
    return (
        "GET /checkout",
        "start_span()",
        "shop",
        (
            ("load cart", "native tracer", "shop", (("apply discount", "start_span()", "shop", ()),)),
            (
                f"GET {stock_url}",
                "native tracer",
                "shop",
                (
                    (
                        "GET /stock",
                        "native tracer",
                        "stock",
                        (
                            (
                                "SELECT pieces FROM stock",
                                "start_span()",
                                "stock",
                                (("parse row", "native tracer", "stock", ()),),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    )


def _shape(node: Node) -> tuple[Any, ...]:
    return (node.span.name, node.span.made_by, node.span.service, tuple(_shape(child) for child in node.children))


def mismatches(answer: dict[str, Any], envelopes: Sequence[Envelope]) -> list[str]:
    """Compare propagated headers and received envelopes with the expected result; return the mismatches."""
    items = [(envelope, item.payload) for envelope in envelopes for item in envelope.items]
    transactions = [p for _, p in items if isinstance(p, dict) and p.get("type") == "transaction"]
    errors = [p for _, p in items if isinstance(p, dict) and "exception" in p]
    spans = sorted_spans(span for transaction in transactions for span in transaction_spans(transaction))
    roots, _ = build_trees(spans, errors)
    if len(roots) != 1:
        return [f"Expected one tree across both services, got {len(roots)}."]
    return [
        *_tree(roots[0], _expected(answer["stock_url"])),
        *_error(roots[0], errors),
        *_headers(answer, transactions),
        *_decision(envelopes),
    ]


def _tree(root: Node, expected: tuple[Any, ...]) -> list[str]:
    if _shape(root) == expected:
        return []
    return [f"Expected the tree {expected}, got {_shape(root)}."]


def _error(root: Node, errors: Sequence[dict[str, Any]]) -> list[str]:
    if len(errors) != 1:
        return [f"Expected one error, got {len(errors)}."]
    trace = errors[0]["contexts"]["trace"]
    owner = next((node for node in root.walk() if node.events == errors), None)
    found = []
    if trace["trace_id"] != root.span.trace_id:
        found.append("The error and the spans have different trace ids.")
    if owner is None or owner.span.name != ERROR_BELONGS_TO:
        found.append(f"The error should belong to {ERROR_BELONGS_TO!r}.")
    if errors[0].get("tags", {}).get("warehouse") != "north":
        found.append("The error lacks the tag that was set on its request.")
    return found


def _headers(answer: dict[str, Any], transactions: Sequence[dict[str, Any]]) -> list[str]:
    crossed, arrived = answer["crossed"], answer["stock"]["arrived"]
    found = []
    if crossed != arrived:
        found.append(f"The shop sent {crossed}, but the stock service received {arrived}.")
    missing = {"sentry-trace", "baggage", "traceparent", "tracestate"} - crossed.keys()
    if missing:
        return [*found, f"These headers were not propagated: {', '.join(sorted(missing))}."]
    trace_id, span_id, flag = crossed["sentry-trace"].split("-")
    if not crossed["traceparent"].startswith(f"00-{trace_id}-{span_id}-"):
        found.append("sentry-trace and traceparent name different ids.")
    if f"sentry-trace_id={trace_id}" not in crossed["baggage"]:
        found.append("baggage and sentry-trace name different traces.")
    if flag != "1":
        found.append(f"Expected the propagated decision 1 (sampled), got {flag}.")
    traces = {t["contexts"]["trace"]["trace_id"] for t in transactions}
    if traces != {trace_id}:
        found.append(f"The transactions are in {sorted(traces)}, the headers in {trace_id}.")
    stock = [t for t in transactions if t["contexts"]["trace"].get("parent_span_id") == span_id]
    if len(stock) != 1:
        found.append("The stock service's transaction is not a child of the propagated span.")
    return found


def _decision(envelopes: Sequence[Envelope]) -> list[str]:
    contexts = [envelope.headers.get("trace") or {} for envelope in envelopes if not _is_report(envelope)]
    facts = {(c.get("trace_id"), c.get("sampled"), c.get("sample_rate"), c.get("sample_rand")) for c in contexts}
    if len(facts) != 1:
        return [f"Expected one sampling decision in all envelopes, got {sorted(map(str, facts))}."]
    _, sampled, rate, rand = next(iter(facts))
    if rate is None or rand is None or (float(rand) < float(rate)) is not (sampled == "true"):
        return [f"The decision {sampled!r} does not follow from sample_rand {rand!r} and sample_rate {rate!r}."]
    return []


def _is_report(envelope: Envelope) -> bool:
    return all(item.type == "client_report" for item in envelope.items)
