"""What users' tests import: a client that keeps what it would have sent, whole trees to compare, ids and a clock.

With pytest the fixture `bridge_capture` is there without an import (`bridge.pytest_plugin`).
"""

from bridge.testing.clock import ManualClock
from bridge.testing.ids import SequentialIds
from bridge.testing.session import BridgeCapture, capture
from bridge.testing.transport import CapturingTransport

__all__ = ["BridgeCapture", "CapturingTransport", "ManualClock", "SequentialIds", "capture"]
