"""The end of the line where there is no Sentry behind: what was shown on this machine has arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge._internal.delivery.envelope import Envelope
    from bridge._internal.delivery.outcomes import Outcomes


class ShownOnly:
    """Counts each envelope as delivered, so that the account balances without a DSN too."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes

    def send(self, envelope: Envelope) -> None:
        """Count what is in an envelope."""
        for category, quantity in envelope.losses().items():
            self._outcomes.delivered(category, quantity)

    def flush(self, timeout: float | None) -> bool:
        """Nothing waits here."""
        return True

    def close(self, timeout: float | None) -> None:
        """Nothing is held."""
