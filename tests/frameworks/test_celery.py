"""Celery with Redis: a thousand jobs of two kinds of upstream, over the four children of a worker with the bridge."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import bridge
from bridge._internal.delivery.envelope import Envelope
from bridge._internal.demo.receiver import Receiver
from bridge.testing import BridgeCapture, capture
from tests.frameworks.enqueuers.orders import CHARGE, PACK, REFUSE, SHIP
from tests.frameworks.harness import Arrived, eventually, require
from tests.judges.parsers import Sink

if TYPE_CHECKING:
    from celery import Celery

pytestmark = pytest.mark.neighbour

JOBS, RATE = 1000, 0.5
SHIPPED = JOBS // 10  # each enqueues one more


@dataclass(frozen=True, slots=True)
class Sent:
    """What a message said, read by sentry-sdk's own parsers."""

    task: str
    order: int
    trace_id: str
    span_id: str
    sampled: bool | None
    dsc: dict[str, str] | None  # none by OpenTelemetry

    @classmethod
    def of(cls, headers: dict[str, Any]) -> Sent:
        """Read a message's headers."""
        from sentry_sdk.tracing_utils import Baggage, extract_sentrytrace_data

        order = int(headers["argsrepr"].strip("[]"))
        if "sentry-trace" in headers:
            found = extract_sentrytrace_data(headers["sentry-trace"])
            dsc = Baggage.from_incoming_header(headers["baggage"]).dynamic_sampling_context()
            trace_id, span_id, sampled = found["trace_id"], found["parent_span_id"], found["parent_sampled"]
            return cls(headers["task"], order, trace_id, span_id, sampled, dsc)
        _, trace_id, span_id, flags = headers["traceparent"].split("-")
        return cls(headers["task"], order, trace_id, span_id, bool(int(flags, 16) & 1), None)


@dataclass(frozen=True, slots=True)
class Ran:
    """One execution of a job, as Sentry was told of it."""

    envelope: Envelope
    payload: dict[str, Any]

    @property
    def trace(self) -> dict[str, Any]:
        """The root's ids."""
        return dict(self.payload["contexts"]["trace"])

    @property
    def task_id(self) -> str:
        """The id of the task."""
        return str(self.trace["data"]["messaging.message.id"])

    @property
    def below(self) -> list[tuple[str, str]]:
        """Each span's name with its parent's."""
        names = {span["span_id"]: span["description"] for span in self.payload["spans"]}
        names[self.trace["span_id"]] = self.payload["transaction"]
        return [(span["description"], names[span["parent_span_id"]]) for span in self.payload["spans"]]


@dataclass(frozen=True)
class Run:
    """A thousand jobs: what was on the wire, what became of each, what Sentry was sent."""

    sent: dict[str, Sent]
    results: dict[str, dict[str, Any]]
    arrived: Arrived
    log: str

    def executions(self) -> list[Ran]:
        """The transactions."""
        return [
            Ran(envelope, item.content())
            for envelope in self.arrived.envelopes
            for item in envelope.items
            if item.type == "transaction"
        ]

    def events(self) -> list[Ran]:
        """The errors."""
        return [
            Ran(envelope, item.content())
            for envelope in self.arrived.envelopes
            for item in envelope.items
            if item.type == "event"
        ]

    def decided(self) -> dict[str, bool]:
        """Whether each trace must have been sampled: the upstream's decision, or ours where it left it open."""
        ours = {ran.trace["trace_id"] for ran in self.executions()}
        sent = self.sent.values()
        return {s.trace_id: s.trace_id in ours if s.sampled is None else s.sampled for s in sent}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, judge_sink: Sink) -> Iterator[Run]:
    """Half of the jobs by sentry-sdk, half by OpenTelemetry; children are replaced meanwhile, and the worker ended."""
    require("celery", "redis", "opentelemetry.instrumentation.celery", "sentry_sdk")
    from tests.frameworks import jobs

    folder = tmp_path_factory.mktemp("celery")
    with Receiver() as receiver, jobs.redis_server(folder) as broker:
        programs = [jobs.enqueue("sentry", broker, 0, JOBS // 2), jobs.enqueue("otel", broker, JOBS // 2, JOBS)]
        assert [program.wait(60) for program in programs] == [0, 0]
        sent = {task: Sent.of(headers) for task, headers in broker.messages().items()}
        options = ("-c", "4", "--max-tasks-per-child", "200", "--loglevel", "INFO")
        with jobs.worker(
            "examples.celery_app", broker, receiver.dsn, folder, *options, SENTRY_TRACES_SAMPLE_RATE=str(RATE)
        ) as worker:
            eventually(lambda: len(broker.results()) == JOBS + SHIPPED, "jobs were not done", wait_s=90)
            worker.stop()
        arrived = Arrived(receiver)
        yield Run(sent, broker.results(), arrived, worker.log)
        assert not (found := arrived.complaints(judge_sink)), "\n".join(found)


def test_a_thousand_jobs_of_two_kinds_were_run_by_children_that_came_and_went(run: Run) -> None:
    """The set-up is what it says: heads and jobs of all kinds, more children than four; no word of a fault."""
    assert len(run.sent) == JOBS
    heads = Counter((sent.dsc is not None, sent.sampled) for sent in run.sent.values())
    assert set(heads) == {(True, True), (True, False), (True, None), (False, True), (False, False)}
    assert min(heads.values()) > JOBS // 20
    states = Counter(result["status"] for result in run.results.values())
    assert states == {"SUCCESS": JOBS, "FAILURE": SHIPPED}
    assert {r["result"]["exc_type"] for r in run.results.values() if r["status"] == "FAILURE"} == {"ValueError"}
    assert len(set(re.findall(r"ForkPoolWorker-\d+", run.log))) > 4
    assert not re.search("further occurrences are counted|Failed to detach|MaybeEncoding", run.log), run.log[-4000:]


def test_each_job_continues_the_trace_of_whoever_enqueued_it(run: Run) -> None:
    """No orphan, no mismatch of trace id, decision or baggage: what sentry-sdk sent is in the envelope."""
    found = {ran.task_id: ran for ran in run.executions() if not ran.trace["data"].get("celery.retries")}
    decided = run.decided()
    for task, sent in run.sent.items():
        assert (task in found) is decided[sent.trace_id], sent
        if task not in found:
            continue
        ran, dsc = found[task], found[task].envelope.headers["trace"]
        assert (ran.trace["trace_id"], ran.trace["parent_span_id"]) == (sent.trace_id, sent.span_id)
        assert dsc["trace_id"] == sent.trace_id
        if sent.dsc is None:
            # Each job has its DSC frozen before its end, where the instrumentation says the task.
            assert (dsc["sampled"], dsc["transaction"]) == ("true", f"run/{sent.task}")
        elif sent.sampled is None:  # decided here, which is all that is added
            here = {"sampled": "true", "sample_rate": str(RATE), "sample_rand": dsc["sample_rand"]}
            assert dsc == {**sent.dsc, **here}
            assert float(dsc["sample_rand"]) < RATE
        else:
            assert dsc == sent.dsc


def test_what_a_job_would_send_on_is_what_it_got(run: Run) -> None:
    """Also where nothing is recorded: the headers of a call from within a job say its upstream's trace and decision."""
    from sentry_sdk.tracing_utils import Baggage

    decided = run.decided()
    for task, sent in run.sent.items():
        if sent.task == REFUSE:
            continue
        result = run.results[task]["result"]
        headers = result["headers"]
        trace_id, span_id, flag = headers["sentry-trace"].split("-")
        assert (trace_id, flag) == (sent.trace_id, str(int(decided[sent.trace_id])))
        assert headers["traceparent"].split("-")[1:3] == [trace_id, span_id]
        assert int(headers["traceparent"].split("-")[3], 16) & 1 == int(flag)
        dsc = Baggage.from_incoming_header(headers["baggage"]).dynamic_sampling_context()
        if sent.dsc is not None and sent.sampled is not None:
            assert dsc == sent.dsc
        if sent.sampled is None:
            assert (float(dsc["sample_rand"]) < RATE) is (flag == "1")
        assert (dsc["trace_id"], dsc["sampled"]) == (trace_id, "true" if flag == "1" else "false")
        assert f"customer={sent.order}" in headers["baggage"].split(",")
        assert result["baggage"] == {"customer": str(sent.order)}


def test_spans_of_both_apis_and_tags_are_each_jobs_own(run: Run) -> None:
    """Spans are below the job that made them, and its order is its only tag."""
    work = [("wrap", "shop.pack"), ("weigh", "wrap")]
    ship = [("shop.pack", "shop.ship"), *work, ("shop.pack", "shop.ship")]
    charge = [("shop.charge", "shop.charge")]
    for ran in run.executions():
        name = ran.payload["transaction"]
        again = ran.trace["data"].get("celery.retries")
        expected = {PACK: work, SHIP: ship, CHARGE: [] if again else charge, REFUSE: []}[name]
        assert ran.below == expected
        order = ran.payload["tags"]["order"]
        assert ran.payload["tags"] == {"order": order}
        if ran.task_id in run.sent:
            assert order == str(run.sent[ran.task_id].order)
        assert ran.trace["op"] == "queue.process"
        assert ran.trace["status"] == ("internal_error" if name == REFUSE else "ok")
        assert ran.payload["transaction_info"] == {"source": "task"}


def test_jobs_that_jobs_enqueue_and_second_attempts_are_below_the_job(run: Run) -> None:
    """The parent is the span that published, in the same trace, with the same DSC."""
    executions = run.executions()
    published = {
        span["span_id"]: ran for ran in executions for span in ran.payload["spans"] if span.get("op") == "queue.publish"
    }
    followers = [
        ran for ran in executions if ran.task_id not in run.sent or ran.trace["data"].get("celery.retries") is not None
    ]
    assert len(followers) == len(published) > SHIPPED // 2
    for ran in followers:
        above = published.pop(ran.trace["parent_span_id"])
        assert ran.trace["trace_id"] == above.trace["trace_id"]
        assert ran.payload["tags"] == above.payload["tags"]
        assert ran.envelope.headers["trace"] == above.envelope.headers["trace"]


def test_an_error_is_sent_once_and_belongs_to_its_job(run: Run) -> None:
    """Of each job that failed, in a sampled trace or not; not of an attempt that is tried again."""
    failed = {sent.trace_id: sent for sent in run.sent.values() if sent.task == REFUSE}
    roots = {ran.trace["trace_id"]: ran for ran in run.executions() if ran.payload["transaction"] == REFUSE}
    events = run.events()
    assert Counter(event.trace["trace_id"] for event in events) == dict.fromkeys(failed, 1)
    for event in events:
        sent = failed[event.trace["trace_id"]]
        [value] = event.payload["exception"]["values"]
        assert (value["type"], value["value"]) == ("ValueError", f"order {sent.order} cannot be delivered")
        assert event.payload["tags"] == {"order": str(sent.order)}
        assert event.trace["parent_span_id"] == sent.span_id
        if sent.trace_id in roots:
            root = roots[sent.trace_id]
            assert event.trace["span_id"] == root.trace["span_id"]
            assert event.envelope.headers["trace"] == root.envelope.headers["trace"]


def test_the_account_balances(run: Run) -> None:
    """What ran was sent or decided against; nothing else was lost, by children that were replaced either."""
    lost = Counter[tuple[str, str]]()
    for loss in run.arrived.losses():
        lost[loss["reason"], loss["category"]] += loss["quantity"]
    ran = JOBS + 2 * SHIPPED  # one more for each that ships, and a second attempt of each that charges
    assert lost == {("sample_rate", "transaction"): ran - len(run.executions())}


@pytest.fixture(scope="module")
def app() -> Iterator[Celery]:
    """An application of Celery with a broker in memory, and a worker in a thread of this process."""
    require("celery", "opentelemetry.instrumentation.celery")
    from celery import Celery
    from celery.contrib.testing.worker import start_worker

    app = Celery("in memory", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.broker_transport_options = {"polling_interval": 0.01}

    @app.task(bind=True, name="look", shared=False)
    def look(self: Any, number: int = 0) -> dict[str, Any]:
        bridge.set_tag(f"job{number}", "here")
        return dict(self.request.headers or {})

    @app.task(name="expected", shared=False, throws=(LookupError,))
    def expected() -> None:
        raise KeyError("nothing to do")

    @app.task(name="fail", shared=False)
    def fail(sends: bool) -> None:
        try:
            raise ValueError("broken")
        except ValueError as error:
            if sends:
                bridge.capture_exception(error)
            raise

    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
        yield app
    app.close()


@contextmanager
def instrumented(**options: Any) -> Iterator[BridgeCapture]:
    """The bridge with Celery's instrumentation, for a block."""
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    with capture(instrumentations=[CeleryInstrumentor()], capture_span_exceptions=True, **options) as sent:
        yield sent


def test_custom_headers_stay_and_sentrys_are_among_them(app: Celery) -> None:
    """A job finds what it was sent with in `task.request.headers`, and is below the span that published it."""
    with instrumented() as sent:
        with bridge.start_span("request"):
            headers = app.tasks["look"].apply_async(headers={"x-tenant": "7"}).get(timeout=30)
        assert sent.tree() == ["request", ["look", ["look"]]]
        publishing = sent.spans[1]
    assert headers["x-tenant"] == "7"
    assert headers["sentry-trace"] == f"{publishing['trace_id']}-{publishing['span_id']}-1"


def test_a_job_that_nobody_traced_is_a_trace_of_its_own(app: Celery) -> None:
    """Jobs without headers share neither a trace nor tags with each other or with the worker."""
    with instrumented() as sent:
        for number in range(3):
            with bridge.suppress_tracing():
                app.tasks["look"].delay(number).get(timeout=30)
        transactions = sent.transactions
    assert [t["tags"] for t in transactions] == [{f"job{number}": "here"} for number in range(3)]
    assert len({t["contexts"]["trace"]["trace_id"] for t in transactions}) == 3
    assert not any("parent_span_id" in t["contexts"]["trace"] for t in transactions)


@pytest.mark.parametrize("rate", [1.0, 0.0])
def test_a_failure_is_one_error(app: Celery, rate: float) -> None:
    """Whether or not it is sampled, and whether or not the job sent the exception itself."""
    with instrumented(traces_sample_rate=rate) as sent:
        for sends in (True, False):
            app.tasks["fail"].delay(sends).get(timeout=30, propagate=False)
        assert [event["exception"]["values"][0]["value"] for event in sent.events] == ["broken", "broken"]


def test_an_expected_failure_is_no_error(app: Celery) -> None:
    """An exception that the task names in `throws` is not sent."""
    with instrumented(traces_sample_rate=0.0) as sent:
        app.tasks["expected"].delay().get(timeout=30, propagate=False)
        assert sent.events == []


def test_instrumented_by_somebody_else_is_the_same(app: Celery) -> None:
    """Sentry's headers are where its workers look, also where the instrumentation came after the bridge."""
    from celery.signals import before_task_publish
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    published: list[dict[str, Any]] = []

    def note(headers: dict[str, Any], **_: Any) -> None:
        published.append(headers)

    with capture(), bridge.start_span("request"):
        CeleryInstrumentor().instrument()
        before_task_publish.connect(note, weak=False)
        app.send_task("look")
        before_task_publish.disconnect(note)
        CeleryInstrumentor().uninstrument()
    [headers] = published
    assert all(headers["headers"][name] == headers[name] for name in ("sentry-trace", "baggage"))


def test_workers_with_a_sentry_sdk_continue_our_traces(tmp_path: Path, judge_sink: Sink) -> None:
    """sentry-sdk looks for the headers among a message's custom headers only; what it sends has our trace and DSC."""
    require("celery", "redis", "opentelemetry.instrumentation.celery", "sentry_sdk")
    from celery import Celery
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    from tests.frameworks import jobs

    with Receiver() as receiver, jobs.redis_server(tmp_path) as broker:
        queue = Celery("ours", broker=broker.url, set_as_current=False)
        with capture(instrumentations=[CeleryInstrumentor()], release="shop@8") as sent:
            with bridge.start_span("request"):
                queue.send_task("sentry.work")
            [envelope] = sent.envelopes
            publishing = sent.spans[1]
        queue.close()
        with jobs.worker("tests.frameworks.sentry_worker", broker, receiver.dsn, tmp_path, "--pool", "solo") as worker:
            [transaction] = eventually(lambda: Arrived(receiver).payloads("transaction"), "nothing came")
            worker.stop()
        theirs = next(e for e in receiver.envelopes if "trace" in e.headers)
    trace = transaction["contexts"]["trace"]
    assert (trace["trace_id"], trace["parent_span_id"]) == (publishing["trace_id"], publishing["span_id"])
    assert theirs.headers["trace"] == envelope.headers["trace"]
