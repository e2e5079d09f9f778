"""`python -m bridge demo`, sending to a DSN: what arrives there, and what it says when nothing does."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bridge._internal.demo.receiver import Receiver
from tests.interop.neighbours import free_port

pytestmark = pytest.mark.programs


def demo(dsn: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bridge", "demo", "--dsn", dsn]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_what_the_demo_prints_is_what_the_server_gets() -> None:
    """Both services' transactions and the error, in one trace, which it names."""
    with Receiver() as server:
        done = demo(server.dsn)
    payloads = [item.payload for envelope in server.envelopes for item in envelope.items]
    assert sorted(payload.get("transaction") for payload in payloads if payload.get("type") == "transaction") == [
        "GET /checkout",
        "GET /stock",
    ]
    [trace_id] = {payload["contexts"]["trace"]["trace_id"] for payload in payloads}
    assert done.returncode == 0, done.stdout
    assert f"look for trace {trace_id}" in done.stdout
    assert not server.refused


def test_a_server_that_is_not_there_is_not_the_demos_fault() -> None:
    """The tree is whole, and it says that it was not taken, and how to learn more."""
    dsn = f"http://key@127.0.0.1:{free_port()}/1"
    done = demo(dsn)
    assert done.returncode == 1
    assert "Everything agrees" in done.stdout
    assert (
        f"did not accept it (network_error). To see why: SENTRY_DSN={dsn} python -m bridge doctor --send" in done.stdout
    )
    assert done.stdout.count("WRONG") == 1


def test_a_server_that_refuses_is_not_success() -> None:
    """With another key than the server's."""
    with Receiver() as server:
        done = demo(f"http://anotherkey@127.0.0.1:{server.port}/1")
    assert done.returncode == 1
    assert "did not accept it (send_error)" in done.stdout
