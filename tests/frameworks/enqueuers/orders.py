"""The jobs that each program enqueues: what is done with which order."""

from __future__ import annotations

SHIP, CHARGE, REFUSE, PACK = "shop.ship", "shop.charge", "shop.refuse", "shop.pack"


def job(order: int) -> str:
    """Return the task for an order: of ten, one each to ship, to charge and to refuse, the others to pack."""
    return {0: SHIP, 1: CHARGE, 2: REFUSE}.get(order % 10, PACK)
