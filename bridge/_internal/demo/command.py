"""`python -m bridge demo`: run two services that mix both APIs, print the resulting trace and verify it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from bridge._internal.delivery.envelope import ERROR_CATEGORY, TRANSACTION_CATEGORY
from bridge._internal.delivery.outcomes import Outcomes
from bridge._internal.delivery.transport import HttpTransport
from bridge._internal.demo.check import mismatches
from bridge._internal.demo.receiver import Receiver
from bridge._internal.demo.result import result_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge._internal.delivery.envelope import Envelope
    from bridge._internal.dsn import Dsn

_SENT_CATEGORIES = (ERROR_CATEGORY, TRANSACTION_CATEGORY)


@contextmanager
def _service(name: str, dsn: str, send_to: str, stock_url: str = "") -> Iterator[str]:
    """Run a service in its own process and yield its URL; on exit, it has sent everything."""
    command = [sys.executable, "-m", "bridge._internal.demo.services", name, dsn, send_to, stock_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError(f"the demo's service {name!r} did not start; exit code {process.wait()}")
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.stdin.close()
            process.wait(timeout=30)


def run_demo(dsn: Dsn | None = None) -> int:
    """Run the demo and, with a DSN, send the result there; return the exit code: 1 if anything is wrong."""
    answer: dict[str, Any]
    with Receiver() as receiver:
        target = receiver.dsn if dsn is None else str(dsn)
        send_to = "" if dsn is None else receiver.stream_url
        with ExitStack() as services:
            stock_url = services.enter_context(_service("stock", target, send_to))
            shop_url = services.enter_context(_service("shop", target, send_to, f"{stock_url}/stock"))
            answer = httpx.get(f"{shop_url}/checkout", timeout=30, trust_env=False).json()
    payloads = [item.payload for envelope in receiver.envelopes for item in envelope.items]
    transactions = [p for p in payloads if isinstance(p, dict) and p.get("type") == "transaction"]
    errors = [p for p in payloads if isinstance(p, dict) and "exception" in p]
    sys.stdout.write(result_text(answer, transactions, errors))
    wrong = mismatches(answer, receiver.envelopes) + [f"The receiver refused {r}." for r in receiver.refused]
    if not wrong:
        sys.stdout.write("Everything agrees: one tree, one trace id, one decision, on both sides of the wire.\n")
        if dsn is not None:
            wrong = _forward(dsn, receiver.envelopes)
    for sentence in wrong:
        sys.stdout.write(f"WRONG: {sentence}\n")
    if dsn is not None and not wrong:
        trace_id = transactions[0]["contexts"]["trace"]["trace_id"]
        sys.stdout.write(f"Sent to {dsn.base_url}; look for trace {trace_id}.\n")
    return 1 if wrong else 0


def _forward(dsn: Dsn, envelopes: Sequence[Envelope]) -> list[str]:
    """Send envelopes to the DSN they were made for, each once; return a message if one was refused."""
    outcomes = Outcomes()
    transport = HttpTransport(dsn, outcomes, send_client_reports=False)
    transport.stop_retrying()
    for envelope in envelopes:
        transport.send(envelope)
    transport.close(0)
    lost = {reason for category in _SENT_CATEGORIES for reason in outcomes.lost_of(category)}
    if not lost:
        return []
    why = f"SENTRY_DSN={dsn.public} python -m bridge doctor --send"
    return [f"{dsn.base_url} did not accept it ({', '.join(sorted(lost))}). To see why: {why}"]
