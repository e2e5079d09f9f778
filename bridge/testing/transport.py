"""A transport that keeps every envelope."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from bridge._internal import api
from bridge._internal.console.tree import span_payloads

if TYPE_CHECKING:
    from bridge._internal.delivery.envelope import Envelope


class CapturingTransport:
    """Keeps every envelope. Each property flushes the active client first, so it is complete."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # protects _envelopes
        self._envelopes: list[Envelope] = []

    def send(self, envelope: Envelope) -> None:
        """Keep an envelope."""
        with self._lock:
            self._envelopes.append(envelope)

    def flush(self, timeout: float | None) -> bool:
        """Return `True`: nothing is buffered."""
        return True

    def close(self, timeout: float | None) -> None:
        """Do nothing: the transport holds no resources."""

    def clear(self) -> None:
        """Discard everything sent so far."""
        api.flush(10.0)
        with self._lock:
            self._envelopes.clear()

    @property
    def envelopes(self) -> list[Envelope]:
        """The sent envelopes, in order."""
        api.flush(10.0)
        with self._lock:
            return list(self._envelopes)

    def _payloads(self, type: str) -> list[dict[str, Any]]:  # noqa: A002 - the protocol's word
        items = [item for envelope in self.envelopes for item in envelope.items]
        return [item.content() for item in items if item.type == type]

    @property
    def transactions(self) -> list[dict[str, Any]]:
        """The transactions' payloads."""
        return self._payloads("transaction")

    @property
    def events(self) -> list[dict[str, Any]]:
        """The errors' and messages' payloads."""
        return self._payloads("event")

    @property
    def client_reports(self) -> list[dict[str, Any]]:
        """The client reports' payloads."""
        return self._payloads("client_report")

    @property
    def spans(self) -> list[dict[str, Any]]:
        """All sent spans, roots included, each with its `description` and ids, in order of start."""
        spans = [span for transaction in self.transactions for span in span_payloads(transaction)]
        spans += [span for container in self._payloads("span") for span in container["items"]]
        return sorted(spans, key=lambda span: str(span["start_timestamp"]))
