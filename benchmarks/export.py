"""Claim: the bridge exports 3 times as many spans per CPU-second as sentry-sdk, 1.5 times as many as OpenTelemetry.

`python benchmarks/export.py [ROUNDS]`, with the dependency group `bench`. Transactions of the same spans go to a
sink on the loopback, which is a process of its own, as each neighbour is in each round. The sink must have received as
many as were made.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
import urllib.request
import zlib
from typing import TYPE_CHECKING, Any

from harness import clean_environment, in_own_process, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Request = Callable[[int, int], None]
    Flush = Callable[[], object]

ROUNDS = 9
# Children of a root -> transactions; flushed after each hundred, since queues are bounded.
SIZES = {99: 200, 9: 1000}
FLUSH_EVERY = 100
WARM_UP = 20
TIMEOUT_S = 60.0
NEIGHBOURS = ("bridge", "sentry-sdk", "OpenTelemetry")
GOALS = {"sentry-sdk": 3.0, "OpenTelemetry": 1.5}
# How far a span gets: made and dropped, handed to a transport that does nothing, received by the sink.
STAGES = ("made", "no-op", "sent")
# What of the CPU of sending is looked at: all, or what is left without the CPU of another stage.
SHARES = {"all": None, "after end()": "made", "transport": "no-op"}


def attributes(number: int) -> dict[str, str | int]:
    """Return the four attributes of a span."""
    return {
        "db.system.name": "postgresql",
        "db.query.text": f"SELECT * FROM orders WHERE id = {number}",
        "server.address": "db.shop.example",
        "shop.order": number,
    }


# The sink.


async def serve(bodies: dict[str, list[tuple[str, bytes]]]) -> None:
    """Answer 200 to every request and keep the bodies, by the run that the path names; `GET /RUN` counts its spans."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            method, path, _ = head[0].split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            answer = b"{}"
            if method == "GET":
                answer = json.dumps(sum(count_spans(*kept) for kept in bodies.pop(path.strip("/"), []))).encode()
            else:
                run = next(part for part in path.split("/") if part.isdigit())
                bodies.setdefault(run, []).append((headers.get("content-encoding", ""), body))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def count_spans(encoding: str, body: bytes) -> int:
    """Return how many spans a body has, an envelope's or an OTLP request's."""
    if encoding not in ("", "gzip"):
        raise ValueError(f"a body is encoded as {encoding}")
    data = zlib.decompress(body, 16 + zlib.MAX_WBITS) if encoding == "gzip" else body
    if data.startswith(b"{"):
        return sum(1 + len(transaction["spans"]) for transaction in transactions(data))
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest.FromString(data)
    return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)


def transactions(envelope: bytes) -> Iterator[dict[str, Any]]:
    """Yield the transactions in an envelope."""
    at = envelope.index(b"\n") + 1
    while at < len(envelope):
        line_end = envelope.index(b"\n", at)
        headers = json.loads(envelope[at:line_end])
        at = line_end + 1
        payload, at = envelope[at : at + headers["length"]], at + headers["length"] + 1
        if headers["type"] == "transaction":
            yield json.loads(payload)


# The neighbours: each returns how it makes a transaction, and how it flushes.


def bridge_neighbour(stage: str, port: str, run: str) -> tuple[Request, Flush]:
    """Set up the bridge."""
    import bridge

    client = bridge.init(
        f"http://{'b' * 32}@127.0.0.1:{port}/{run}",
        traces_sample_rate=1.0,
        trace_lifecycle="none" if stage == "made" else "static",
        transport=(lambda envelope: None) if stage == "no-op" else None,
    )
    return of_tracer(client.tracer), lambda: bridge.flush(TIMEOUT_S)


def otel_neighbour(stage: str, port: str, run: str) -> tuple[Request, Flush]:
    """Set up the SDK of OpenTelemetry with its exporter."""
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class NoOpExporter(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider(shutdown_on_exit=False)
    if stage != "made":
        endpoint = f"http://127.0.0.1:{port}/{run}/v1/traces"
        exporter = NoOpExporter() if stage == "no-op" else OTLPSpanExporter(endpoint, compression=Compression.Gzip)
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=1 << 20))
    return of_tracer(provider.get_tracer("bench")), lambda: provider.force_flush(int(TIMEOUT_S * 1000))


def of_tracer(tracer: Any) -> Request:
    """Return how a transaction is made with OpenTelemetry's API."""

    def request(number: int, children: int) -> None:
        with tracer.start_as_current_span("checkout", attributes=attributes(number)):
            for child in range(children):
                with tracer.start_as_current_span("query", attributes=attributes(child)):
                    pass

    return request


def sentry_neighbour(stage: str, port: str, run: str) -> tuple[Request, Flush]:
    """Set up sentry-sdk."""
    import sentry_sdk
    from sentry_sdk.transport import Transport

    class NoOpTransport(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            pass

    sentry_sdk.init(
        f"http://{'b' * 32}@127.0.0.1:{port}/{run}",
        traces_sample_rate=1.0,
        transport=None if stage == "sent" else NoOpTransport,
        transport_queue_size=1000,
    )

    def request(number: int, children: int) -> None:
        with sentry_sdk.start_transaction(op="task", name="checkout") as transaction:
            for key, value in attributes(number).items():
                transaction.set_data(key, value)
            for child in range(children):
                with sentry_sdk.start_span(op="db", name="query") as span:
                    for key, value in attributes(child).items():
                        span.set_data(key, value)
            if stage == "made":
                transaction.sampled = False  # all spans are there by now; the transaction is dropped as it ends

    return request, lambda: sentry_sdk.flush(TIMEOUT_S)


def measure(neighbour: str, stage: str, port: str, run: str) -> dict[str, float]:
    """Return the CPU of all threads, in microseconds a span, by the number of children."""
    set_up = {"bridge": bridge_neighbour, "OpenTelemetry": otel_neighbour, "sentry-sdk": sentry_neighbour}[neighbour]
    request, flush = set_up(stage, port, run)
    microseconds = {}
    for children, count in SIZES.items():
        for number in range(WARM_UP):
            request(number, children)
        flush()
        gc.collect()
        began = time.process_time()
        for number in range(1, count + 1):
            request(number, children)
            if number % FLUSH_EVERY == 0:
                flush()
        microseconds[str(children)] = (time.process_time() - began) * 1e6 / (count * (1 + children))
    return microseconds


def measure_all(rounds: int, port: str) -> dict[tuple[str, str, int], list[float]]:
    """Return microseconds a span by neighbour, stage and number of children, a value a round."""
    found: dict[tuple[str, str, int], list[float]] = {}
    runs = [(neighbour, stage) for stage in STAGES for neighbour in NEIGHBOURS]
    expected = sum((WARM_UP + count) * (1 + children) for children, count in SIZES.items())
    for round_number in range(rounds):
        turn = round_number % len(runs)
        for index, (neighbour, stage) in enumerate(runs[turn:] + runs[:turn]):
            run = str(1 + round_number * len(runs) + index)
            measured = in_own_process(__file__, neighbour, stage, port, run)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{run}") as answer:
                received = json.load(answer)
            if received != (expected if stage == "sent" else 0):
                raise SystemExit(f"{neighbour}, {stage}: {expected} spans were made, the sink has {received}")
            for children in SIZES:
                found.setdefault((neighbour, stage, children), []).append(measured[str(children)])
    return found


def share_of(found: dict[tuple[str, str, int], list[float]], neighbour: str, share: str, children: int) -> list[float]:
    """Return microseconds a span of one share of the CPU, a value a round."""
    sent, less = found[neighbour, "sent", children], SHARES[share]
    if less is None:
        return sent
    return [whole - part for whole, part in zip(sent, found[neighbour, less, children], strict=True)]


def report(found: dict[tuple[str, str, int], list[float]]) -> None:
    """Print the tables."""
    print("CPU, median us a span (spans per CPU-second)")
    print(f"{'':26}" + "".join(f"{neighbour:>20}" for neighbour in NEIGHBOURS))
    ratios: dict[str, dict[str, list[float]]] = {}
    for children in SIZES:
        for share in SHARES:
            row = f"1 + {children} spans, {share}"
            costs = {neighbour: share_of(found, neighbour, share, children) for neighbour in NEIGHBOURS}
            medians = map(statistics.median, costs.values())
            print(f"{row:26}" + "".join(f"{median:10.1f} {f'({1e6 / median:.0f})':>9}" for median in medians))
            ratios[row] = {
                f"to {neighbour}": [
                    theirs / ours for theirs, ours in zip(costs[neighbour], costs["bridge"], strict=True)
                ]
                for neighbour in GOALS
            }
    goals = {f"{row}: to {neighbour}": goal for row in ratios for neighbour, goal in GOALS.items()}
    print(table("\nthe bridge's spans per CPU-second, ratio to a neighbour's", ratios, goals, at_least=True))
    print(
        "all: from the start of spans to the sink; after end(): less spans that are made and dropped;"
        "\ntransport: less spans that go to a no-op transport (of sentry-sdk and the bridge: as finished payloads)"
    )


def main(rounds: int) -> None:
    """Measure against a sink and print the tables."""
    command = [sys.executable, __file__, "sink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as sink:
        assert sink.stdout is not None
        try:
            report(measure_all(rounds, sink.stdout.readline().strip()))
        finally:
            sink.terminate()


if __name__ == "__main__":
    if sys.argv[1:2] == ["sink"]:
        asyncio.run(serve({}))
    elif len(sys.argv) == 5:
        print(json.dumps(measure(*sys.argv[1:])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
