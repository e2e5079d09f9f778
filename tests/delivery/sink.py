"""A server on the loopback interface that does, request by request, what a script says, and counts what it took."""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import threading
from collections import Counter, deque
from dataclasses import dataclass, field

from bridge._internal.delivery.envelope import Envelope
from bridge._internal.dsn import Dsn

RESET_IN_REQUEST = "reset while the request comes in"
CLOSE_UNANSWERED = "close without an answer"
HANG = "take the request, never answer"


@dataclass(frozen=True)
class Answer:
    """A response; with `cut`, its body breaks off; with `dripping`, it comes byte by byte."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    dripping: bool = False

    def render(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Scripted", *(f"{k}: {v}" for k, v in self.headers.items())]
        lines.append(f"Content-Length: {50 if self.cut else 2}")
        return "\r\n".join([*lines, "", "{}"]).encode()


FAULTS = [
    Answer(500),
    Answer(503, cut=True),
    Answer(413),
    Answer(400),
    Answer(200, cut=True),
    Answer(200, dripping=True),
    Answer(200, {"X-Sentry-Rate-Limits": "0.02:transaction:key"}),
    Answer(200, {"X-Sentry-Rate-Limits": "0.02:error;attachment:key,0.01:span:organization:why:and:more"}),
    Answer(429, {"X-Sentry-Rate-Limits": "0.02:transaction;span:organization:why"}),
    Answer(429, {"X-Sentry-Rate-Limits": "nonsense, -1:error, 0.01:span"}),
    Answer(429, {"Retry-After": "0.02"}),
    Answer(429, {"X-Sentry-Rate-Limits": "0.01::organization"}),
    RESET_IN_REQUEST,
    CLOSE_UNANSWERED,
]


class Sink:
    """Plays `script` in the order of requests, then answers 200; what it answered with 2xx counts as taken."""

    def __init__(self) -> None:
        self.script: deque[Answer | str] = deque()
        self.envelopes: list[Envelope] = []
        self.request_headers: list[dict[str, str]] = []
        self.taken: Counter[str] = Counter()
        self.rate_limited: Counter[str] = Counter()
        self.reported: Counter[tuple[str, str]] = Counter()
        self.requests = 0
        self.connections = 0
        self.hanging = threading.Event()
        self.answered = threading.Event()
        self._lock = threading.Lock()  # protects everything above
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._thread = threading.Thread(target=self._accept, name="sink", daemon=True)

    @property
    def dsn(self) -> Dsn:
        return Dsn.parse(f"http://public@127.0.0.1:{self._listener.getsockname()[1]}/1")

    @property
    def event_ids(self) -> list[str]:
        return [envelope.headers["event_id"] for envelope in self.envelopes if "event_id" in envelope.headers]

    def reported_of(self, category: str) -> dict[str, int]:
        return {reason: n for (reason, of), n in self.reported.items() if of == category}

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        _shut(self._listener)
        self._thread.join()
        with self._lock:
            for connection in self._open:
                _shut(connection)

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError):
            while self._serve_one(connection, stream):
                pass

    def _serve_one(self, connection, stream) -> bool:
        headers = _read_head(stream)
        if headers is None:
            return False
        with self._lock:
            self.requests += 1
            self.request_headers.append(headers)
            step = self.script.popleft() if self.script else Answer()
        length = int(headers["content-length"])
        if step == RESET_IN_REQUEST:
            stream.read(min(length, 10))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        body = stream.read(length)
        if step == CLOSE_UNANSWERED:
            return False
        if step == HANG:
            self.hanging.set()
            self._over.wait(30)
            return False
        return self._answer(connection, step, body, headers)

    def _answer(self, connection: socket.socket, answer: Answer, body: bytes, headers: dict[str, str]) -> bool:
        data = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        with self._lock:
            self._count(answer, Envelope.parse(data))
        rendered = answer.render()
        for part in [rendered[i : i + 1] for i in range(len(rendered))] if answer.dripping else [rendered]:
            connection.sendall(part)
        self.answered.set()
        return not answer.cut

    def _count(self, answer: Answer, envelope: Envelope) -> None:
        if answer.status == 429:
            self.rate_limited.update(envelope.losses())
        if not 200 <= answer.status < 300:
            return
        self.envelopes.append(envelope)
        self.taken.update(envelope.losses())
        for item in envelope.items:
            if item.type == "client_report":
                for entry in item.payload["discarded_events"]:
                    self.reported[entry["reason"], entry["category"]] += entry["quantity"]


def _read_head(stream) -> dict[str, str] | None:
    if not stream.readline():
        return None
    headers = {}
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
