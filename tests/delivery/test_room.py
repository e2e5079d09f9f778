"""The room itself."""

from __future__ import annotations

import ast
from pathlib import Path

import bridge._internal.delivery

ALLOWED = {
    "bridge._internal.dsn",
    "bridge._internal.forking",
    "bridge._internal.guard",
    "bridge._internal.version",
    "bridge._internal.local",
    "bridge._internal.options",
    "bridge._internal.timestamps",
}


def test_delivery_leans_on_no_other_room():
    """The arrows point here, not from here: the room imports itself and the ground it stands on."""
    room = Path(next(iter(bridge._internal.delivery.__path__)))
    imported = {
        node.module
        for file in room.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "bridge"
    }
    assert {name for name in imported if not name.startswith("bridge._internal.delivery")} <= ALLOWED
