"""A Redis of our own, workers of Celery on it, and what became of the tasks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import redis

from tests.frameworks.harness import ROOT, eventually
from tests.interop.neighbours import absent, free_port

FINAL = ("SUCCESS", "FAILURE")


class Broker:
    """A Redis: the queue of tasks, and the results."""

    def __init__(self, port: int) -> None:
        self.url = f"redis://127.0.0.1:{port}/0"
        self._client = redis.Redis(port=port, decode_responses=True)

    def messages(self) -> dict[str, dict[str, Any]]:
        """Return the headers of each message that waits, by the id of its task."""
        waiting: Any = self._client.lrange("celery", 0, -1)
        found = [json.loads(message)["headers"] for message in waiting]
        return {headers["id"]: headers for headers in found}

    def results(self) -> dict[str, dict[str, Any]]:
        """Return what is known of each task that ended, by its id."""
        keys: Any = self._client.keys("celery-task-meta-*")
        values: Any = self._client.mget(keys) if keys else []
        found = [json.loads(value) for value in values if value]
        return {result["task_id"]: result for result in found if result["status"] in FINAL}

    def clear(self) -> None:
        """Forget everything."""
        self._client.flushall()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


@contextmanager
def redis_server(folder: Path) -> Iterator[Broker]:
    """Run a Redis that keeps nothing on disk, for a block."""
    command = shutil.which("redis-server")
    if command is None:
        absent("redis-server is not installed")
    port = free_port()
    arguments = [str(command), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with _process(arguments, folder / "redis.log", {}):
        eventually(lambda: _listens(port), "redis-server did not become ready")
        broker = Broker(port)
        yield broker
        broker.close()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Worker:
    """A worker of Celery."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text(errors="replace")

    def stop(self, wait_s: float = 30) -> None:
        """End it as whoever deploys does: what runs is finished, and what was recorded is sent."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(wait_s) == 0


@contextmanager
def worker(app: str, broker: Broker, dsn: str, folder: Path, *options: str, **environment: str) -> Iterator[Worker]:
    """Run `celery -A APP worker` with more options, for a block."""
    settings = {
        **{name: "" for name in os.environ if name.startswith(("SENTRY_", "OTEL_"))},
        "PYTHONPATH": str(ROOT),
        "CELERY_BROKER_URL": broker.url,
        "SENTRY_DSN": dsn,
        "C_FORCE_ROOT": "1",
        **environment,
    }
    command = [sys.executable, "-m", "celery", "-A", app, "worker", "--without-mingle", "--without-gossip", *options]
    log = folder / "worker.log"
    with _process(command, log, settings) as process:
        yield Worker(process, log)


def enqueue(program: str, broker: Broker, first: int, last: int) -> subprocess.Popen[bytes]:
    """Start a program of `enqueuers` that enqueues the jobs of these orders."""
    command = [sys.executable, "-m", f"tests.frameworks.enqueuers.{program}", broker.url, str(first), str(last)]
    return subprocess.Popen(command, cwd=ROOT, env=_environment({}), stdin=subprocess.DEVNULL)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SENTRY_", "OTEL_"))}
    return {**kept, **more}


@contextmanager
def _process(command: list[str], log: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env=_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
