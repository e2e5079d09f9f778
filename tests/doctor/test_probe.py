"""Problems of delivery, as the server's answers show them; in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import bridge
from bridge._internal.doctor.diagnosis import diagnose
from bridge._internal.doctor.probe import send_probes
from bridge._internal.options import resolve
from tests.delivery.sink import CLOSE_UNANSWERED, Answer, Sink

PROVOKES = ("nothing-arrives", "spans-sent-twice")
LIMITS = {"X-Sentry-Rate-Limits": "60:transaction;span:organization:why"}


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A scripted server on the loopback interface."""
    with Sink() as running:
        yield running


def diagnosed(code: str) -> list[str]:
    """Return what the diagnosis says under a code."""
    return [f"{problem.what} {problem.why}" for problem in diagnose() if problem.code == code]


def test_a_server_that_refuses_everything(sink: Sink) -> None:
    """Refused envelopes are reported as long as none has arrived."""
    bridge.init(str(sink.dsn))
    assert diagnosed("nothing-arrives") == []
    sink.script.append(Answer(400))
    bridge.capture_message("lost")
    bridge.flush(10)
    assert "1 errors (send_error)" in diagnosed("nothing-arrives")[0]
    bridge.capture_message("taken")
    bridge.flush(10)
    assert diagnosed("nothing-arrives") == []


def test_spans_by_otlp_as_well(sink: Sink) -> None:
    """Sentry's OTLP endpoint gets the spans that the bridge sends too; any other place is the user's own affair."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    dsn = str(sink.dsn)
    for endpoint, lifecycle, expected in (
        (bridge.otlp_endpoint(dsn).endpoint, "static", 1),
        (bridge.otlp_endpoint(dsn).endpoint, "none", 0),
        ("http://127.0.0.1:9/v1/traces", "static", 0),
        ("https://o1.ingest.sentry.io/api/1/integration/otlp/v1/traces", "static", 1),
    ):
        processor = BatchSpanProcessor(OTLPSpanExporter(endpoint))
        bridge.init(dsn, traces_sample_rate=1.0, trace_lifecycle=lifecycle, span_processors=[processor])
        assert len(diagnosed("spans-sent-twice")) == expected, endpoint
        bridge.close()
        processor.shutdown()


def test_both_tests_are_taken(sink: Sink) -> None:
    """A message and a transaction arrive as the program's own would, with its environment and release."""
    options = resolve({"dsn": str(sink.dsn), "environment": "staging", "release": "shop@1"}, {})
    sent, problems = send_probes(options)
    assert problems == []
    assert [(one.kind, one.status, one.answer) for one in sent] == [
        ("message", 200, "taken"),
        ("transaction", 200, "taken"),
    ]
    assert sink.event_ids == [one.event_id for one in sent]
    payloads = [envelope.items[0].payload for envelope in sink.envelopes]
    assert [(one["environment"], one["release"]) for one in payloads] == [("staging", "shop@1")] * 2
    assert [one["contexts"]["trace"]["trace_id"] for one in payloads] == [one.trace_id for one in sent]
    assert not bridge.is_initialized()


@pytest.mark.parametrize(
    ("answer", "severity", "says"),
    [
        (Answer(401), "error", "does not accept the key"),
        (Answer(403, {"X-Sentry-Error": "disabled key"}), "error", "It says: disabled key"),
        (Answer(404), "error", "no such project"),
        (Answer(429, {"Retry-After": "30"}), "error", "everything for 30 s"),
        (Answer(429, LIMITS), "error", "transaction for 60 s, span for 60 s"),
        (Answer(502), "error", "has a fault"),
        (Answer(418), "error", "refuses"),
        (Answer(200, LIMITS), "warning", "transaction for 60 s"),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_an_answer_in_words(sink: Sink, answer: Answer, severity: str, says: str) -> None:
    """What the server's status, its own words and its limits mean, and what to do."""
    sink.script.extend([answer, answer])
    sent, problems = send_probes(resolve({"dsn": str(sink.dsn)}, {}))
    assert [one.status for one in sent] == [answer.status] * 2
    assert [problem.severity for problem in problems] == [severity] * 2
    assert says in problems[0].what
    assert problems[0].fix


def test_no_answer(sink: Sink) -> None:
    """A network error is reported once for each test; nothing is retried."""
    sink.script.extend([CLOSE_UNANSWERED] * 2)
    sent, problems = send_probes(resolve({"dsn": str(sink.dsn)}, {}))
    assert [one.status for one in sent] == [None, None]
    assert "did not reach the server" in problems[0].what
    assert sink.requests == 2


def test_nowhere_to_send_to() -> None:
    """Without a DSN, that is the only problem."""
    for options in (None, resolve({}, {})):
        sent, problems = send_probes(options)
        assert sent == []
        assert [problem.severity for problem in problems] == ["error"]
