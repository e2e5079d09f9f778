"""A transport that the user brought: an object, or a plain callable that takes an envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal.delivery import outcomes as reasons
from bridge._internal.delivery.transport import Transport
from bridge._internal.guard import report_fault

if TYPE_CHECKING:
    from bridge._internal.delivery.envelope import Envelope
    from bridge._internal.delivery.outcomes import Outcomes


class CustomTransport(Transport):
    """Calls the user's transport and keeps the account of it; what it raises is counted as `send_error`."""

    def __init__(self, inner: Any, outcomes: Outcomes) -> None:
        self.inner = inner
        self._send = getattr(inner, "send", inner)
        self._outcomes = outcomes

    def send(self, envelope: Envelope) -> None:
        """Hand an envelope to the user's transport."""
        quantities = envelope.losses()
        try:
            self._send(envelope)
        except Exception as error:  # a user's callback
            report_fault("delivery", "the transport given to init raised", error)
            for category, quantity in quantities.items():
                self._outcomes.lost(reasons.SEND_ERROR, category, quantity)
            return
        for category, quantity in quantities.items():
            self._outcomes.delivered(category, quantity)

    def flush(self, timeout: float | None) -> bool:
        """Flush the user's transport, if it can."""
        return self._call("flush", timeout) is not False

    def close(self, timeout: float | None) -> None:
        """Close the user's transport, if it can."""
        self._call("close", timeout)

    def _call(self, method: str, timeout: float | None) -> object:
        function = getattr(self.inner, method, None)
        if function is None:
            return None
        try:
            return function(timeout)
        except Exception as error:  # a user's callback
            report_fault("delivery", f"the transport given to init raised in {method}()", error)
            return False


class CountingTransport(Transport):
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
