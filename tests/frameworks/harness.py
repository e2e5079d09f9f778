"""A program of `examples/` as a server in a process of its own, and a Sentry on the loopback interface for it."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from bridge._internal.console.tree import Node, build_trees, sorted_spans, transaction_spans
from bridge._internal.delivery.envelope import Envelope
from bridge._internal.demo.receiver import Receiver
from tests.interop.neighbours import absent, free_port, running
from tests.judges.parsers import Sink
from tests.judges.tap import complaints

ROOT = Path(__file__).parents[2]
DSC = "sentry-trace_id={0},sentry-public_key=upstream,sentry-sampled=true,sentry-sample_rate=0.5,sentry-release=shop@7"
T = TypeVar("T")


def require(*modules: str) -> None:
    """Skip, or fail in CI, where a package that a program imports is not installed."""
    for module in modules:
        if not _is_installed(module):
            absent(f"{module} is not installed")


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # nor is its parent
        return False


def eventually(find: Callable[[], T | None], what: str, wait_s: float = 15) -> T:
    """Return what `find` gives as soon as it gives something."""
    deadline = time.monotonic() + wait_s
    while not (found := find()):
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
    return found


class HeldReceiver(Receiver):
    """A Sentry that answers nobody before it is released."""

    def __init__(self) -> None:
        super().__init__()
        self._released = threading.Event()

    def release(self) -> None:
        """Answer from now on."""
        self._released.set()

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        self._released.wait(30)
        return super()._take(path, headers, body)


class Arrived:
    """What a receiver was sent, by any number of processes."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    @property
    def envelopes(self) -> list[Envelope]:
        """What came until now, in order."""
        return list(self._receiver.envelopes)

    def payloads(self, kind: str, trace_id: str | None = None) -> list[dict[str, Any]]:
        """Return what came of a type of item until now; of one trace, if one is named."""
        found = [item.content() for envelope in self.envelopes for item in envelope.items if item.type == kind]
        return [p for p in found if trace_id is None or p["contexts"]["trace"]["trace_id"] == trace_id]

    def transactions(self, trace_id: str, number: int = 1) -> list[dict[str, Any]]:
        """Wait for so many transactions of a trace and return all that came, in the order of their start."""

        def find() -> list[dict[str, Any]] | None:
            found = self.payloads("transaction", trace_id)
            return found if len(found) >= number else None

        found = eventually(find, f"fewer than {number} transactions of {trace_id} came")
        return sorted(found, key=lambda transaction: str(transaction["start_timestamp"]))

    def transaction(self, trace_id: str) -> dict[str, Any]:
        """Wait for the transaction of a trace; it is the only one."""
        [found] = self.transactions(trace_id)
        return found

    def events(self, trace_id: str, number: int = 1) -> list[dict[str, Any]]:
        """Wait for so many errors and messages of a trace, and return all that came."""

        def find() -> list[dict[str, Any]] | None:
            found = self.payloads("event", trace_id)
            return found if len(found) >= number else None

        return eventually(find, f"fewer than {number} events of {trace_id} came")

    def dsc(self, trace_id: str) -> dict[str, Any]:
        """Return the trace header of the envelope that brought a trace's transaction."""
        self.transactions(trace_id)
        found = [e.headers["trace"] for e in self.envelopes if e.headers.get("trace", {}).get("trace_id") == trace_id]
        return dict(found[0])

    def expect_tree(self, trace_id: str, *expected: list[Any]) -> None:
        """Wait until what came of a trace is one of these trees: names, each followed by the list of those below it."""
        deadline = time.monotonic() + 15
        while (tree := _names(trees(self.payloads("transaction", trace_id)))) not in expected:
            assert time.monotonic() < deadline, tree
            time.sleep(0.01)

    def losses(self) -> list[dict[str, Any]]:
        """Return what processes said that they lost."""
        return [loss for report in self.payloads("client_report") for loss in report["discarded_events"]]

    def complaints(self, judge_sink: Sink) -> list[str]:
        """Return what the judges, and the receiver, have to say of everything that came."""
        refused = [f"refused: {what}" for what in self._receiver.refused]
        return refused + complaints([envelope.serialize() for envelope in self.envelopes], judge_sink)


def trees(transactions: Sequence[dict[str, Any]]) -> list[Node]:
    """Return the roots of what was sent, by any number of services, children in the order of their start."""
    spans = sorted_spans(span for transaction in transactions for span in transaction_spans(transaction))
    return build_trees(spans, [])[0]


def _names(nodes: Sequence[Node]) -> list[Any]:
    names: list[Any] = []
    for node in nodes:
        names.append(node.span.name)
        if node.children:
            names.append(_names(node.children))
    return names


class Service(Arrived):
    """A server that was started, and what it sent."""

    def __init__(
        self, url: str, client: httpx.Client, process: subprocess.Popen[bytes], log: Path, receiver: Receiver
    ) -> None:
        super().__init__(receiver)
        self.url = url
        self._client = client
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """What it wrote to its standard output and error."""
        return self._log.read_text(errors="replace")

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Send a request, from any thread, over a connection of its own: servers close theirs after an exception."""
        return self._client.get(self.url + path, headers=headers)

    def post(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Send a request with nothing in it."""
        return self._client.post(self.url + path, headers=headers)

    def tell_to_end(self) -> None:
        """Ask it to end, as whoever deploys does."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Ask it to end, and wait until it did; everything that it sent has come then."""
        self.tell_to_end()
        self.process.wait(30)


@contextmanager
def serving(
    command: Sequence[str],
    folder: Path,
    judge_sink: Sink,
    *,
    environment: Mapping[str, str] | None = None,
    receiver: Receiver | None = None,
) -> Iterator[Service]:
    """Run `python -m COMMAND`, in which `{port}` is a free port, as a server for a block.

    It sends to a receiver of its own unless one is given. What it sent is judged at the end, and its log must not know
    of a fault of ours.
    """
    if receiver is None:
        with Receiver() as own, serving(command, folder, judge_sink, environment=environment, receiver=own) as service:
            yield service
        assert not (found := service.complaints(judge_sink)), "\n".join(found)
        return
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        **{name: "" for name in os.environ if name.startswith(("SENTRY_", "OTEL_"))},
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),  # where gunicorn keeps its control socket
        "SENTRY_DSN": receiver.dsn,
        "OTEL_PYTHON_EXCLUDED_URLS": "health",
        "STOCK_URL": f"{url}/stock",
        **(environment or {}),
    }
    arguments = [argument.format(port=port) for argument in command]
    limits = httpx.Limits(max_keepalive_connections=0)
    with (
        httpx.Client(trust_env=False, timeout=30, limits=limits) as client,
        running([sys.executable, "-m", *arguments], f"{url}/health", folder, settings) as process,
    ):
        service = Service(url, client, process, folder / "server.log", receiver)
        yield service
    faults = re.findall(r".*(?:further occurrences are counted|Failed to detach context).*", service.log)
    assert not faults, service.log[-4000:]


@dataclass(frozen=True, slots=True)
class Upstream:
    """A service before ours, which decided about a trace: the headers that it sends."""

    trace_id: str
    span_id: str = "b7ad6b7169203331"
    sampled: bool = True

    @classmethod
    def new(cls, *, sampled: bool = True) -> Upstream:
        """Return one with a trace that nobody has used."""
        return cls(os.urandom(16).hex(), sampled=sampled)

    @property
    def sentry(self) -> dict[str, str]:
        """What a Sentry SDK sends."""
        return {
            "sentry-trace": f"{self.trace_id}-{self.span_id}-{int(self.sampled)}",
            "baggage": f"other=kept,{DSC.format(self.trace_id)}",
        }

    @property
    def w3c(self) -> dict[str, str]:
        """What OpenTelemetry sends."""
        return {"traceparent": f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"}
