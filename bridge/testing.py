"""What users' tests import: a transport that keeps what would have been sent, and whole trees to compare."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bridge import api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.client import Client
    from bridge.delivery.envelope import Envelope

__all__ = ["BridgeCapture", "CapturingTransport", "capture"]


class CapturingTransport:
    """Keeps every envelope. Reading anything flushes the active client first, so nothing is missed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # protects _envelopes
        self._envelopes: list[Envelope] = []

    def send(self, envelope: Envelope) -> None:
        """Keep an envelope."""
        with self._lock:
            self._envelopes.append(envelope)

    def flush(self, timeout: float | None) -> bool:
        """Nothing waits here."""
        return True

    def close(self, timeout: float | None) -> None:
        """Nothing is held."""

    @property
    def envelopes(self) -> list[Envelope]:
        """What was sent, in order."""
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
        """Every span that was sent, the roots included, each with its `description` and ids, in order of start."""
        spans = [span for transaction in self.transactions for span in _spans(transaction)]
        spans += [span for container in self._payloads("span") for span in container["items"]]
        return sorted(spans, key=lambda span: str(span["start_timestamp"]))


def _spans(transaction: dict[str, Any]) -> Iterator[dict[str, Any]]:
    root = {**transaction["contexts"]["trace"], "description": transaction["transaction"]}
    for key in ("start_timestamp", "timestamp", "tags", "measurements"):
        if key in transaction:
            root[key] = transaction[key]
    yield root
    yield from transaction["spans"]


class BridgeCapture:
    """What the fixture `bridge_capture` gives: a client of its own and all that it sends."""

    def __init__(self, client: Client, transport: CapturingTransport) -> None:
        self.client = client
        self.transport = transport

    @property
    def envelopes(self) -> list[Envelope]:
        """What was sent, in order."""
        return self.transport.envelopes

    @property
    def transactions(self) -> list[dict[str, Any]]:
        """The transactions' payloads."""
        return self.transport.transactions

    @property
    def events(self) -> list[dict[str, Any]]:
        """The errors' and messages' payloads."""
        return self.transport.events

    @property
    def spans(self) -> list[dict[str, Any]]:
        """Every span that was sent, the roots included."""
        return self.transport.spans

    def tree(self) -> list[Any]:
        """Return the names of everything sent, each followed by the list of what is below it, if anything is.

        `["checkout", ["load cart", "pay", ["charge card"]]]` is a root with two children, the second with one.
        """
        spans = self.spans
        known = {span["span_id"] for span in spans}

        def below(parent: str | None) -> list[Any]:
            names: list[Any] = []
            for span in spans:
                above = span.get("parent_span_id")
                if (above if above in known else None) == parent:
                    names.append(span.get("description") or span.get("name"))
                    children = below(span["span_id"])
                    if children:
                        names.append(children)
            return names

        return below(None)

    def headers(self) -> dict[str, str]:
        """Return what would be injected now."""
        return api.trace_headers()


@contextmanager
def capture(**options: Any) -> Iterator[BridgeCapture]:
    """Initialise a client that keeps what it sends, with every trace sampled unless told otherwise, for a block."""
    transport = CapturingTransport()
    settings: dict[str, Any] = {
        "dsn": "http://public@127.0.0.1:9/1",
        "traces_sample_rate": 1.0,
        "transport": transport,
        **options,
    }
    client = api.init(**settings)
    try:
        yield BridgeCapture(client, transport)
    finally:
        api.close()
