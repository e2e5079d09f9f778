"""A tap on every transport: what leaves the library in a test is kept for the judges."""

from __future__ import annotations

import importlib.util
import threading
from typing import Any

import pytest

from bridge._internal.delivery.custom import CustomTransport
from bridge._internal.delivery.envelope import Envelope
from bridge._internal.delivery.transport import HttpTransport
from tests.judges.parsers import Sink, cli_complaints, find_sentry_cli, sdk_complaints
from tests.judges.relay import relay_complaints
from tests.judges.spans import container_complaints

JUDGED_TYPES = {"event", "transaction"}
UNKNOWN_TO_CLI = {"span", "client_report"}  # containers of spans have a judge of their own


class Tap:
    """Keeps the bytes of every envelope that a client's transport is given."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # protects _taken
        self._taken: list[bytes] = []

    def put_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Tap the transports for the time of a test."""
        for transport in (HttpTransport, CustomTransport):
            monkeypatch.setattr(transport, "send", self._tapped(transport.send))

    def _tapped(self, send: Any) -> Any:
        def tapped(transport: Any, envelope: Envelope) -> None:
            data = envelope.serialize()
            with self._lock:
                self._taken.append(data)
            send(transport, envelope)

        return tapped

    def complaints(self, sink: Sink) -> list[str]:
        """Return what the judges say of everything that was taken."""
        with self._lock:
            taken = list(self._taken)
        return complaints(taken, sink)


def complaints(taken: list[bytes], sink: Sink) -> list[str]:
    """Return what the judges say of envelopes."""
    found: list[str] = []
    if taken and importlib.util.find_spec("sentry_sdk") is not None:
        for data in taken:
            found += sdk_complaints(data)
    envelopes = [Envelope.parse(data) for data in taken]
    known = [envelope.serialize() for envelope in map(_known_to_cli, envelopes) if envelope.items]
    if known and (sentry_cli := find_sentry_cli()) is not None:
        found += cli_complaints(known, sentry_cli, sink)
    items = [item for envelope in envelopes for item in envelope.items]
    for item in items:
        if item.type == "span":
            found += container_complaints(item)
    if importlib.util.find_spec("sentry_relay") is not None:
        for item in items:
            if item.type in JUDGED_TYPES and isinstance(item.payload, dict):
                found += relay_complaints(item.payload)
    return found


def _known_to_cli(envelope: Envelope) -> Envelope:
    return Envelope(envelope.headers, [item for item in envelope.items if item.type not in UNKNOWN_TO_CLI])
