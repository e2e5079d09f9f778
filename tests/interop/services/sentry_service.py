"""A service with sentry-sdk alone: `python -m ... PORT RATE`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from tests.interop.services.chain import serve


class Nowhere(Transport):
    """A subclass, so that sentry-sdk knows its public key."""

    def capture_envelope(self, envelope: Envelope) -> None:
        """Drop it."""


sentry_sdk.init(
    "http://theirs@127.0.0.1:9/2",
    traces_sample_rate=float(sys.argv[2]) if sys.argv[2] != "off" else None,
    release="sentry-service@1",
    transport=Nowhere,
    default_integrations=False,
    auto_enabling_integrations=False,
)


@contextmanager
def handle(received: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Continue and send as sentry-sdk's integrations do."""
    with sentry_sdk.isolation_scope():
        transaction = sentry_sdk.continue_trace(received, op="http.server", name="GET /", source="route")
        with sentry_sdk.start_transaction(transaction), sentry_sdk.start_span(op="http.client", name="call") as span:
            sent = dict(sentry_sdk.get_current_scope().iter_trace_propagation_headers())
            sent_trace = sent["sentry-trace"].split("-")
            yield {
                "trace_id": sent_trace[0],
                "parent_span_id": transaction.parent_span_id,
                "sampled": {"1": True, "0": False}[sent_trace[2]] if len(sent_trace) > 2 else None,
                "sending_span_id": sent_trace[1],
                "is_recorded": bool(span.sampled),
                "sent": sent,
            }


if __name__ == "__main__":
    serve(handle)
