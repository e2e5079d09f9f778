"""The shop that `SHOP` names, in a process whose tracer provider is OpenTelemetry's own, set before the bridge."""

from __future__ import annotations

import importlib
import os

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

trace.set_tracer_provider(TracerProvider())
_module, _, _name = os.environ["SHOP"].partition(":")
app = getattr(importlib.import_module(_module), _name)
