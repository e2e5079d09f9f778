"""The types of JSON that is sent, and of what users give to be sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Payload: TypeAlias = dict[str, Any]
"""A JSON object: an event, a span, headers."""
Data: TypeAlias = Mapping[str, Any]
"""Named values of any kind, which are only read."""
