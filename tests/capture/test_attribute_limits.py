"""Limits on attributes: what a span means is told by what they have taken, too."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import bridge
from bridge.testing import BridgeCapture, capture

MANY = 130  # more than the 128 that OpenTelemetry keeps


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The SDK warns of each attribute that it takes."""
    logger = logging.getLogger("opentelemetry.attributes")
    before = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(before)


@pytest.fixture(params=["own provider", "adopted provider"])
def sent(request: pytest.FixtureRequest) -> Iterator[BridgeCapture]:
    given: dict[str, Any] = {} if request.param == "own provider" else {"tracer_provider": TracerProvider()}
    with capture(**given) as made:
        yield made


def fill(span: Any, most: int = MANY) -> None:
    for number in range(most):
        span.set_attribute(f"x.{number}", number)


def trace_context(sent: BridgeCapture) -> dict[str, Any]:
    return sent.transactions[0]["contexts"]["trace"]


def tracer_of(sent: BridgeCapture) -> trace.Tracer:
    return sent.client.tracer_provider.get_tracer("program")


def test_op_and_source_that_were_given(sent: BridgeCapture) -> None:
    """They are as given, of a root and of a child, whatever comes after them."""
    with bridge.start_span("POST /chat/{id}", op="http.server", source="route") as root:
        with bridge.start_span("chat", op="gen_ai.chat") as child:
            fill(child)
            assert child.op == "gen_ai.chat"
        fill(root)
    assert trace_context(sent)["op"] == "http.server"
    assert sent.transactions[0]["transaction_info"]["source"] == "route"
    assert sent.transactions[0]["spans"][0]["op"] == "gen_ai.chat"


def test_the_last_op_counts(sent: BridgeCapture) -> None:
    """One that replaces another after that was taken is the one that is sent."""
    with bridge.start_span("job", op="first") as root:
        fill(root)
        root.op = "second"
        root.set_attribute("y", 1)
    assert trace_context(sent)["op"] == "second"


@pytest.mark.parametrize(
    ("attributes", "kind", "op", "description"),
    [
        (
            {"http.request.method": "GET", "url.full": "http://a/b"},
            trace.SpanKind.CLIENT,
            "http.client",
            "GET http://a/b",
        ),
        ({"db.system.name": "sqlite", "db.query.text": "SELECT 1"}, trace.SpanKind.CLIENT, "db", None),
        ({"messaging.system": "kafka"}, trace.SpanKind.PRODUCER, "queue.publish", None),
    ],
)
def test_what_an_instrumentation_started_its_span_with(
    sent: BridgeCapture, attributes: dict[str, Any], kind: trace.SpanKind, op: str, description: str | None
) -> None:
    """Op and description are inferred from it also where a limit has taken it since."""
    with (
        bridge.start_span("root"),
        tracer_of(sent).start_as_current_span("GET", kind=kind, attributes=attributes) as span,
    ):
        fill(span)
    (child,) = sent.transactions[0]["spans"]
    assert child["op"] == op
    assert description in (None, child["description"])


def test_a_status_that_was_told_by_a_code(sent: BridgeCapture) -> None:
    """The code of the response may be taken, what it says of the span is not."""
    with bridge.start_span("GET /", op="http.server") as root:
        root.set_http_status(404)
        fill(root)
    assert trace_context(sent)["status"] == "not_found"


@pytest.mark.parametrize("kind", [TracerProvider, bridge.otel.TracerProvider])
@pytest.mark.parametrize(
    "limits", [{"max_span_attribute_length": 4}, {"max_span_attributes": 1}, {"max_span_attributes": 0}], ids=str
)
def test_limits_that_a_program_sets(kind: type[TracerProvider], limits: dict[str, int]) -> None:
    """Neither a short nor a small one cuts what was given; exporters get what the limits leave."""
    exporter = InMemorySpanExporter()
    provider = kind(span_limits=SpanLimits(**limits))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with capture(tracer_provider=provider) as sent, bridge.start_span("GET /", op="http.server", source="route"):
        pass
    assert trace_context(sent)["op"] == "http.server"
    assert sent.transactions[0]["transaction_info"]["source"] == "route"
    (exported,) = exporter.get_finished_spans()
    assert "http.server" not in (exported.attributes or {}).values()


def test_links_that_lead_nowhere(sent: BridgeCapture) -> None:
    """OpenTelemetry records them, for their attributes; Sentry's servers reject them, so they are not sent."""
    somewhere = trace.SpanContext(7, 8, is_remote=True)
    links = [trace.Link(trace.INVALID_SPAN_CONTEXT, {"messaging.message.id": "m-1"}), trace.Link(somewhere)]
    with tracer_of(sent).start_as_current_span("receive", links=links):
        pass
    assert [link["span_id"] for link in trace_context(sent)["links"]] == [f"{8:016x}"]


@pytest.mark.parametrize("adopts", [False, True])
def test_a_sampler_is_told_the_op_of_a_native_root(adopts: bool) -> None:
    """`traces_sampler` gets `sentry.op` and `sentry.source` as it gets those of `start_span`."""
    told: list[dict[str, Any]] = []

    def traces_sampler(context: dict[str, Any]) -> float:
        told.append(context)
        return 1.0

    given: dict[str, Any] = {"tracer_provider": TracerProvider()} if adopts else {}
    with capture(traces_sampler=traces_sampler, **given) as sent:
        attributes = {"sentry.op": "queue.process", "sentry.source": "task"}
        with tracer_of(sent).start_as_current_span("job", attributes=attributes):
            pass
    assert (told[0]["op"], told[0]["source"]) == ("queue.process", "task")
    assert told[0]["transaction_context"]["op"] == "queue.process"
