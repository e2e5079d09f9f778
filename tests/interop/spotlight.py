"""Spotlight: Sentry's local user interface, from npm."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop.neighbours import free_port, npm_install, running

# A newer hono makes every request of this Spotlight a 500.
PACKAGE = json.dumps(
    {"dependencies": {"@spotlightjs/spotlight": "4.11.8"}, "overrides": {"hono": "4.12.25"}, "private": True}
)
# It listens on every interface: this makes it loopback.
LOOPBACK_ONLY = """
const net = require("node:net");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...args) {
  if (args[0] !== null && typeof args[0] === "object" && args[0].port !== undefined) args[0].host = "127.0.0.1";
  else if (typeof args[0] === "number") args = [args[0], "127.0.0.1", ...args.filter((a) => typeof a === "function")];
  return listen.apply(this, args);
};
"""


@dataclass(frozen=True, slots=True)
class Spotlight:
    """A running Spotlight: its address, and what it shows."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def dsn(self) -> str:
        """The DSN that sends to it as to Sentry."""
        return f"http://spotlight@127.0.0.1:{self.port}/1"

    def tail_traces(self, form: str, until: set[str], wait_s: float = 20) -> str:
        """Return what `spotlight tail traces` shows (`md`, `json`), read until all these texts were in it."""
        command = _command(self.folder, "tail", "traces", "-f", form, "-p", str(self.port))
        with (self.folder / "tail.log").open("w+b") as output:
            tail = subprocess.Popen(
                command, cwd=self.folder, env=_environment(self.folder), stdout=output, stderr=subprocess.STDOUT
            )
            try:
                deadline = time.monotonic() + wait_s
                while time.monotonic() < deadline:
                    text = (self.folder / "tail.log").read_text(errors="replace")
                    if all(wanted in text for wanted in until):
                        return text
                    time.sleep(0.05)
                return (self.folder / "tail.log").read_text(errors="replace")
            finally:
                tail.kill()
                tail.wait()


def _command(folder: Path, *arguments: str) -> list[str]:
    return ["node", str(folder / "node_modules/@spotlightjs/spotlight/dist/run.js"), *arguments]


def _environment(folder: Path) -> dict[str, Any]:
    preload = folder / "loopback-only.cjs"
    preload.write_text(LOOPBACK_ONLY)
    return {**os.environ, "NODE_OPTIONS": f"--require {preload}", "SENTRY_DSN": "", "SPOTLIGHT_TELEMETRY_DISABLED": "1"}


@contextmanager
def start_spotlight() -> Iterator[Spotlight]:
    """Install and start it for a block."""
    folder = npm_install("spotlight", PACKAGE)
    port = free_port()
    command = _command(folder, "server", "-p", str(port))
    with running(command, f"http://127.0.0.1:{port}/health", folder, _environment(folder)):
        yield Spotlight(folder, port)
