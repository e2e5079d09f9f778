"""Services of every kind, started when they are first asked for."""

from __future__ import annotations

import http.client
import importlib.util
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.interop.neighbours import FOLDER, absent, free_port, npm_install, running

HERE = Path(__file__).parent / "services"
NPM = {
    "sentry-node-10": {"@sentry/node": "10.78.0"},
    "sentry-node-11": {"@sentry/node": "11.12.0"},
    "otel-js": {
        "@opentelemetry/api": "1.9.1",
        "@opentelemetry/sdk-trace-node": "2.12.0",
        "@opentelemetry/sdk-trace-base": "2.12.0",
    },
}
PYTHON = {"bridge": "bridge_service", "sentry-sdk": "sentry_service", "otel-python": "otel_service"}
SENTRY = ("sentry-node-10", "sentry-node-11", "sentry-sdk")
OTEL = ("otel-python", "otel-js")


@dataclass(frozen=True, slots=True)
class Hop:
    """What one service said of a request: what came, what it made of it, what it sent on."""

    received: dict[str, str]
    sent: dict[str, str]
    trace_id: str
    parent_span_id: str | None
    sending_span_id: str
    sampled: bool | None


class Fleet:
    """Sends requests through chains of services, named `kind` or `kind@rate`; rate 1 unless said."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._urls: dict[str, str] = {}

    def raw(self, name: str, headers: Sequence[tuple[str, str]]) -> Hop:
        """Return what one service says of headers that may be malformed or come several times."""
        connection = http.client.HTTPConnection("127.0.0.1", int(self._url(name).rpartition(":")[2]), timeout=30)
        with closing(connection):
            connection.putrequest("GET", "/")
            for key, value in headers:
                connection.putheader(key, value)
            connection.endheaders()
            answer = connection.getresponse()
            body = answer.read()
        assert answer.status == 200, body
        [report] = json.loads(body)
        return Hop(**{key: report[key] for key in Hop.__slots__})

    def through(self, *names: str, headers: dict[str, str] | None = None) -> list[Hop]:
        """Return what each service of the chain says."""
        urls = [self._url(name) for name in names]
        query = "&".join(f"next={quote(url, safe='')}" for url in urls[1:])
        answer = httpx.get(f"{urls[0]}/?{query}", headers=headers, timeout=30, trust_env=False)
        assert answer.status_code == 200, answer.text
        reports: list[dict[str, Any]] = answer.json()
        assert len(reports) == len(names)
        return [Hop(**{key: report[key] for key in Hop.__slots__}) for report in reports]

    def _url(self, name: str) -> str:
        if name not in self._urls:
            kind, _, rate = name.partition("@")
            port = free_port()
            folder = FOLDER / "services" / name
            folder.mkdir(parents=True, exist_ok=True)
            command = _command(kind, port, rate or "1")
            environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
            self._stack.enter_context(running(command, f"http://127.0.0.1:{port}/", folder, environment))
            self._urls[name] = f"http://127.0.0.1:{port}"
        return self._urls[name]


def _command(kind: str, port: int, rate: str) -> list[str]:
    if kind in PYTHON:
        if kind == "sentry-sdk" and importlib.util.find_spec("sentry_sdk") is None:
            absent("sentry-sdk is not installed")
        return [sys.executable, "-m", f"tests.interop.services.{PYTHON[kind]}", str(port), rate]
    packages = npm_install(kind, json.dumps({"dependencies": NPM[kind], "private": True}))
    program = "otel_service.cjs" if kind in OTEL else "sentry_service.cjs"
    return ["node", str(HERE / program), str(port), rate, str(packages)]


@contextmanager
def start_fleet() -> Iterator[Fleet]:
    """Start services as they are needed, and end them all with the block."""
    with ExitStack() as stack:
        yield Fleet(stack)
