"""Only type-checked, never run: what is no public name is an error on its line."""

import bridge
from bridge import get_cliemt  # type: ignore[attr-defined]
from bridge.otel import SentrySamler  # type: ignore[attr-defined]

bridge.set_tagg("a", "b")  # type: ignore[attr-defined]
bridge.start_transaction(name="x")  # type: ignore[attr-defined]
bridge.testing.capturing()  # type: ignore[attr-defined]
print(bridge.importlib, get_cliemt, SentrySamler)  # type: ignore[attr-defined]
