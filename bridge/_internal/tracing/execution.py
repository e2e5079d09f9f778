"""Execution: which thread and which asyncio task runs."""

from __future__ import annotations

import asyncio
import threading
from typing import Any


def execution() -> tuple[int, Any]:
    """Return which thread and asyncio task runs: writes of others to the current scope are not a block's own."""
    loop = asyncio._get_running_loop()
    return threading.get_ident(), None if loop is None else asyncio.current_task(loop)


def note_thread(span: Any) -> None:
    """Note on a span the thread that runs; a span of another provider is told by our name for it."""
    span._bridge_thread = threading.get_ident(), threading.current_thread().name
