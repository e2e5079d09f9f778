"""Real neighbours: how each is installed and started, and what to do where it is absent."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

FOLDER = Path(__file__).parents[2] / ".neighbours"


def absent(reason: str) -> None:
    """Skip with the reason; in CI, where everything that can be installed is there, fail."""
    if os.environ.get("BRIDGE_REQUIRE_NEIGHBOURS"):
        pytest.fail(reason)
    pytest.skip(reason)


def npm_install(name: str, package_json: str) -> Path:
    """Install npm packages into a folder of their own, once; returns the folder."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        absent(f"{name} needs node and npm")
    folder = FOLDER / name
    manifest = folder / "package.json"
    if not (folder / ".installed").exists() or manifest.read_text() != package_json:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        manifest.write_text(package_json)
        done = subprocess.run(
            [str(npm), "install", "--no-audit", "--no-fund", "--silent"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if done.returncode:
            absent(f"{name} could not be installed: {done.stderr.strip()[-300:]}")
        (folder / ".installed").touch()
    return folder


def pip_install(name: str, requirements: str, wait_s: float = 240) -> Path:
    """Install packages of Python into a virtual environment of their own, once; returns the environment."""
    folder = FOLDER / name
    listed = folder / "requirements.txt"
    if not (folder / ".installed").exists() or listed.read_text() != requirements:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        listed.write_text(requirements)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, "--requirement", str(listed)]):
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=wait_s, check=False)
            if done.returncode:
                absent(f"{name} could not be installed: {(done.stderr or done.stdout).strip()[-300:]}")
        (folder / ".installed").touch()
    return folder


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], ready_url: str, cwd: Path, environment: Mapping[str, str] | None = None, wait_s: float = 30
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in a process group of its own until it answers, and end the whole group afterwards."""
    log = cwd / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, ready_url, log, wait_s)
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(url, timeout=1, trust_env=False).status_code < 500:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    pytest.fail(f"{process.args!r} did not become ready: {log.read_text(errors='replace')[-2000:]}")
