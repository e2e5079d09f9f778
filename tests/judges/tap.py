"""A tap on every transport: what leaves the library in a test is kept for the judges."""

from __future__ import annotations

import importlib.util
import threading
from typing import Any

import pytest

from bridge.delivery.custom import CustomTransport
from bridge.delivery.envelope import Envelope
from bridge.delivery.transport import HttpTransport
from tests.judges.parsers import Sink, cli_complaints, find_sentry_cli, sdk_complaints
from tests.judges.relay import relay_complaints

JUDGED_TYPES = {"event", "transaction"}


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
        found: list[str] = []
        if taken and importlib.util.find_spec("sentry_sdk") is not None:
            for data in taken:
                found += sdk_complaints(data)
        if taken and (sentry_cli := find_sentry_cli()) is not None:
            found += cli_complaints(taken, sentry_cli, sink)
        if importlib.util.find_spec("sentry_relay") is not None:
            for data in taken:
                for item in Envelope.parse(data).items:
                    if item.type in JUDGED_TYPES and isinstance(item.payload, dict):
                        found += relay_complaints(item.payload)
        return found
