"""Test helpers: a client that keeps what it would send, span trees to compare, sequential ids and a manual clock.

With pytest, the fixture `bridge_capture` is available without an import (`bridge.pytest_plugin`).
"""

from bridge.testing.clock import ManualClock
from bridge.testing.ids import SequentialIds
from bridge.testing.session import BridgeCapture, capture
from bridge.testing.transport import CapturingTransport

__all__ = ["BridgeCapture", "CapturingTransport", "ManualClock", "SequentialIds", "capture"]
