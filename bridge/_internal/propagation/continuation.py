"""Whether an incoming trace is continued: not across organisations."""

from __future__ import annotations


def may_continue(baggage_org_id: str | None, own_org_id: str | None, strict: bool) -> bool:
    """Compare the organisation in the baggage with our own; `strict` also wants both or neither to be known."""
    if baggage_org_id and own_org_id:
        return baggage_org_id == own_org_id
    return not strict or not (baggage_org_id or own_org_id)
