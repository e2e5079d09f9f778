"""Both SDKs in one process, in either order, and what leaves it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import sentry_sdk
import sentry_sdk.scope
from opentelemetry import trace
from sentry_sdk.transport import Transport

import bridge

DSN = "https://key@o1.ingest.example.com/7"
ORDERS = ("sentry-sdk first", "bridge first")
HAS_STREAMS = hasattr(sentry_sdk, "traces")
LIFECYCLES = ("static", "stream") if HAS_STREAMS else ("static",)


class KeepingTransport(Transport):
    """A transport of sentry-sdk's that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__({"dsn": DSN})
        self.envelopes: list[Any] = []
        self.lost: list[tuple[str, str, int]] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.envelopes.append(envelope)

    def record_lost_event(self, reason, data_category=None, item=None, *, quantity=1) -> None:
        self.lost.append((reason, data_category, quantity))


class World:
    """What a test has in hand."""

    def __init__(self, lifecycle: str, transport: KeepingTransport) -> None:
        self.lifecycle = lifecycle
        self.transport = transport
        self.tracer = trace.get_tracer("a program")

    # What the three APIs are called in both lifecycles.

    @property
    def streams(self) -> bool:
        return self.lifecycle == "stream"

    def sdk_root(self, name: str, op: str = "task"):
        if self.streams:
            return sentry_sdk.traces.start_span(name, {"sentry.op": op})
        return sentry_sdk.start_transaction(name=name, op=op)

    def sdk(self, name: str, op: str = "function"):
        if self.streams:
            return sentry_sdk.traces.start_span(name, {"sentry.op": op})
        return sentry_sdk.start_span(name=name, op=op)

    def native(self, name: str, **given: Any):
        return self.tracer.start_as_current_span(name, **given)

    def sdk_active(self) -> Any:
        scope = sentry_sdk.get_current_scope()
        return scope.streamed_span if self.streams else scope.span

    # What was sent.

    def flush(self) -> None:
        bridge.flush()
        sentry_sdk.flush()

    def items(self, kind: str) -> list[Any]:
        self.flush()
        return [i.payload.json for e in self.transport.envelopes for i in e.items if i.type == kind]

    @property
    def events(self) -> list[Any]:
        return self.items("event")

    @property
    def transactions(self) -> list[Any]:
        return self.items("transaction")

    def spans(self) -> list[dict[str, Any]]:
        """Every span that was sent, in one form: name, ids, op, root, data, and the trace header it came under."""
        self.flush()
        return [
            span
            for envelope in self.transport.envelopes
            for item in envelope.items
            for span in _spans_of(item, envelope.headers.get("trace"))
        ]

    def named(self, name: str) -> dict[str, Any]:
        found = [span for span in self.spans() if span["name"] == name]
        assert len(found) == 1, f"{name}: {len(found)}"
        return found[0]

    def parents(self) -> dict[str, str | None]:
        """Name -> name of the parent, over all that was sent; each name once, or it is no tree."""
        spans = self.spans()
        names = [span["name"] for span in spans]
        assert len(set(names)) == len(names), names
        by_id = {span["span_id"]: span["name"] for span in spans}
        return {span["name"]: by_id.get(span["parent"], span["parent"]) for span in spans}


def _spans_of(item: Any, dsc: Any):
    payload = item.payload.json
    if item.type == "transaction":
        trace_context = payload["contexts"]["trace"]
        root = trace_context["span_id"]
        yield _one(payload["transaction"], trace_context, root, dsc, payload)
        for span in payload["spans"]:
            yield _one(span["description"], span, root, dsc, span)
    elif item.type == "span":
        for span in payload["items"]:
            data = {key: value["value"] for key, value in span["attributes"].items()}
            yield {
                "name": span["name"],
                "trace_id": span["trace_id"],
                "span_id": span["span_id"],
                "parent": span.get("parent_span_id"),
                "op": data.get("sentry.op"),
                "origin": data.get("sentry.origin"),
                "root": data.get("sentry.segment.id"),
                "is_root": span["is_segment"],
                "status": span["status"],
                "data": data,
                "dsc": dsc,
            }


def _one(name: str, span: Any, root: str, dsc: Any, whole: Any) -> dict[str, Any]:
    return {
        "name": name,
        "trace_id": span["trace_id"],
        "span_id": span["span_id"],
        "parent": span.get("parent_span_id"),
        "op": span.get("op"),
        "origin": span.get("origin"),
        "root": root,
        "is_root": span["span_id"] == root,
        "status": span.get("status"),
        "data": span.get("data") or {},
        "tags": whole.get("tags") or {},
        "dsc": dsc,
    }


@contextmanager
def one_world(order: str, lifecycle: str = "static", *, ours: Any = None, **theirs: Any):
    """Initialise both, in this order, and leave nothing behind."""
    transport = KeepingTransport()
    given = {  # `transport=None` is sentry-sdk's own, by HTTP
        "dsn": DSN,
        "traces_sample_rate": 1.0,
        "transport": transport,
        "default_integrations": False,
        "auto_enabling_integrations": False,
        **({"trace_lifecycle": lifecycle} if lifecycle == "stream" else {}),
        **theirs,
    }
    steps = [lambda: sentry_sdk.init(**given), lambda: bridge.init(**(ours or {}))]
    for step in steps if order == ORDERS[0] else reversed(steps):
        step()
    try:
        yield World(lifecycle, transport)
    finally:
        bridge.close()
        forget_sentry_sdk()


def forget_sentry_sdk() -> None:
    """Leave sentry-sdk as if it had never been initialised."""
    sentry_sdk.get_client().close(timeout=0)
    sentry_sdk.get_global_scope().set_client(None)
    sentry_sdk.scope._global_scope = None
    sentry_sdk.scope._isolation_scope.set(None)
    sentry_sdk.scope._current_scope.set(None)
    sentry_sdk.scope.global_event_processors.clear()
