"""Nothing of one job is on another's, whichever provider made the spans and however the job began."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import propagate, trace
from opentelemetry.context.context import Context
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import NonRecordingSpan, NoOpTracer, SpanKind

import bridge
from bridge._internal.otel_private import tracers
from bridge.testing import BridgeCapture, capture
from tests.benchmark import load

tracer = trace.get_tracer("native")
isolation = load("isolation")
HEADERS = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}


def test_jobs_of_every_kind() -> None:
    """Jobs of every provider, every way to begin and every way to run keep their tags, users and breadcrumbs."""
    total = sum(isolation.run(600, 7).values(), start=isolation.Counter())
    assert (total["foreign"], total["foreign headers"]) == (0, 0)
    assert min(total["own"], total["transactions"], total["errors"]) > 300


def test_a_mixture_would_be_found(sent: BridgeCapture) -> None:
    """The benchmark's look at what was sent tells a job's own values from another's."""
    program = isolation.Program("own", tracer, "consumer root", isolation.random.Random(1))
    with tracer.start_as_current_span("job 1"):
        bridge.set_tag("tag", "2")
        bridge.set_user({"id": "1"})
    seen = isolation.looked_at(program, sent.transport)
    assert (seen["foreign"], seen["own"]) == (1, 1)


def isolated_tracer(**options: Any) -> trace.Tracer:
    """A tracer of a provider that the bridge knows nothing of."""
    return TracerProvider(**options).get_tracer("tool")


INNER: dict[str, Callable[[], Any]] = {
    "isolated": lambda: isolated_tracer().start_as_current_span("tool"),
    "isolated, another sampler": lambda: isolated_tracer(sampler=isolation.Fickle()).start_as_current_span("tool"),
    "no-op tracer": lambda: NoOpTracer().start_as_current_span("tool"),
    "NonRecordingSpan": lambda: trace.use_span(NonRecordingSpan(trace.get_current_span().get_span_context())),
}


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("activate", ["our tracer", "use_span", "start_span"])
def test_a_write_below_a_span_of_others_is_the_requests(sent: BridgeCapture, inner: str, activate: str) -> None:
    """A user that is set two spans of another provider down is the request's, and no later request has it."""
    bridge.set_tag("service", "worker")
    for number in (1, 2):
        if activate == "our tracer":
            block: Any = tracer.start_as_current_span(f"job {number}", kind=SpanKind.CONSUMER)
        elif activate == "use_span":
            block = trace.use_span(tracer.start_span(f"job {number}", kind=SpanKind.CONSUMER), end_on_exit=True)
        else:
            block = bridge.start_span(f"job {number}", kind=SpanKind.CONSUMER)
        with block, INNER[inner](), INNER[inner]():
            if number == 1:
                bridge.set_user({"id": "alice"})
            bridge.capture_message("told")
    assert [t.get("user") for t in sent.transactions] == [{"id": "alice"}, None]
    assert [e.get("user") for e in sent.events] == [{"id": "alice"}, None]
    assert bridge.get_isolation_scope().user is None


@pytest.mark.parametrize("inner", INNER)
def test_spans_of_others_in_between_leave_one_trace(sent: BridgeCapture, inner: str) -> None:
    """Below spans of another provider ours are children of the nearest span that Sentry gets, with one DSC."""
    with bridge.start_span("request") as root:
        before = bridge.trace_headers()
        with INNER[inner](), INNER[inner](), tracer.start_as_current_span("inside") as inside:
            assert bridge.trace_headers()["baggage"] == before["baggage"]
            bridge.capture_message("told")
        with INNER[inner]():
            headers = bridge.trace_headers()
            bridge.capture_message("told outside")
    assert sent.tree() == ["request", ["inside"]]
    (transaction,) = sent.transactions
    assert transaction["spans"][0]["parent_span_id"] == root.span_id == inside.parent_span_id
    assert headers["sentry-trace"] == f"{root.trace_id}-{root.span_id}-1"
    assert [e["contexts"]["trace"]["span_id"] for e in sent.events] == [inside.span_id, root.span_id]


def test_a_sampler_of_another_provider_does_not_decide_for_sentry() -> None:
    """A root that was decided against stays so below a span that an isolated provider records and flags."""
    with capture(traces_sample_rate=0.0) as sent, bridge.start_span("request") as root:
        tool = isolated_tracer(sampler=isolation.Fickle())
        with tool.start_as_current_span("tool"), tracer.start_as_current_span("inside") as inside:
            assert not inside.is_recording()
            assert bridge.trace_headers()["sentry-trace"].endswith("-0")
    assert sent.transactions == []
    assert root.sampled is False


def test_exporters_keep_the_parent_that_opentelemetry_knows(sent: BridgeCapture) -> None:
    """The span's own parent is the isolated span; only Sentry's is the one above it."""
    with bridge.start_span("request") as root, isolated_tracer().start_as_current_span("tool") as tool:
        inside = tracer.start_span("inside")
        assert inside.parent == tool.get_span_context()
        assert bridge.get_current_span() is not None
        inside.end()
        assert inside.parent_span_id == root.span_id


def test_a_span_context_that_was_handed_over_is_no_other_service(sent: BridgeCapture) -> None:
    """A thread that is given nothing but the `SpanContext`, as by a shim, continues the same segment and scopes."""
    with bridge.start_span("request", kind=SpanKind.SERVER) as root:
        handed_over = root.get_span_context()

        def work() -> None:
            token = context_api.attach(trace.set_span_in_context(NonRecordingSpan(handed_over), Context()))
            with isolated_tracer().start_as_current_span("tool"), tracer.start_as_current_span("inside"):
                bridge.set_tag("by", "thread")
            context_api.detach(token)

        thread = threading.Thread(target=contextvars.Context().run, args=(work,))
        thread.start()
        thread.join()
    assert sent.tree() == ["request", ["inside"]]
    assert sent.transactions[0]["tags"] == {"by": "thread"}


def test_a_request_to_oneself_is_a_transaction_of_its_own(sent: BridgeCapture) -> None:
    """What came over the network is another service, also where that is this process."""
    with tracer.start_as_current_span("client side", kind=SpanKind.SERVER):
        headers = bridge.trace_headers()
        with tracer.start_as_current_span("server side", propagate.extract(headers), SpanKind.SERVER):
            pass
    assert sorted(t["transaction"] for t in sent.transactions) == ["client side", "server side"]


@pytest.mark.parametrize("ended", [False, True])
def test_a_consumer_that_a_request_started_gets_nothing_of_it(sent: BridgeCapture, ended: bool) -> None:
    """Messages start from what the process had, though the consumer's task runs in the request's Context."""

    async def consume(go: asyncio.Event) -> None:
        await go.wait()
        for number in (1, 2):
            with tracer.start_as_current_span(f"message {number}", propagate.extract(HEADERS), SpanKind.CONSUMER):
                bridge.capture_message("told")

    async def main() -> None:
        go = asyncio.Event()
        token = context_api.attach(propagate.extract({}))
        with tracer.start_as_current_span("GET /login", kind=SpanKind.SERVER):
            bridge.set_user({"id": "alice"})
            bridge.get_current_scope().set_tag("request", "login")
            task = asyncio.create_task(consume(go))
            await asyncio.sleep(0)
            if not ended:
                go.set()
                await task
        context_api.detach(token)
        go.set()
        await task

    bridge.set_tag("service", "shop")
    asyncio.run(main())
    assert [(e["tags"], e.get("user")) for e in sent.events] == [({"service": "shop"}, None)] * 2
    users = {t["transaction"]: t.get("user") for t in sent.transactions}
    assert users == {"GET /login": {"id": "alice"}, "message 1": None, "message 2": None}


def test_headers_that_are_read_twice_are_of_one_request(sent: BridgeCapture) -> None:
    """What a middleware set before a second extraction of the same headers stays."""
    token = context_api.attach(propagate.extract(HEADERS))
    bridge.set_tag("tenant", "a")
    with tracer.start_as_current_span("GET", propagate.extract(HEADERS), SpanKind.SERVER):
        pass
    context_api.detach(token)
    assert sent.transactions[0]["tags"] == {"tenant": "a"}


class ByName(Sampler):
    """Drops what is called so."""

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *args: Any, **kwargs: Any) -> SamplingResult:
        """Decide by the name, and hand on no trace state."""
        return SamplingResult(Decision.DROP if "dropped" in name else Decision.RECORD_AND_SAMPLE)

    def get_description(self) -> str:
        """Return the name."""
        return "ByName"


@pytest.mark.parametrize("when", ["before", "after"])
def test_below_a_dropped_span_of_an_adopted_provider_a_span_stays_in_the_transaction(when: str) -> None:
    """Its parent is the nearest span that was recorded, and headers name that one too; also with an older tracer."""
    provider = TracerProvider(sampler=ByName())
    adopted = provider.get_tracer("app") if when == "before" else None
    with capture(traces_sample_rate=1.0, tracer_provider=provider) as sent:
        adopted = adopted or provider.get_tracer("app")
        current = adopted.start_as_current_span
        with current("root"), current("above") as above, current("dropped"):
            span_id = bridge.trace_headers()["sentry-trace"].split("-")[1]
            with current("inside"):
                pass
    assert sent.tree() == ["root", ["above", ["inside"]]]
    assert span_id == f"{above.get_span_context().span_id:016x}"
    if tracers(provider) is not None or when == "before":  # OpenTelemetry before 1.42 does not know its tracers
        assert type(adopted) is SdkTracer, "close gives the tracer back"


def test_a_dropped_job_of_an_adopted_provider_has_scopes_of_its_own() -> None:
    """What is set in a job that the sampler dropped is on that job's errors, and on nothing after it."""
    provider = TracerProvider(sampler=ByName())
    with capture(traces_sample_rate=1.0, tracer_provider=provider) as sent:
        for name in ("dropped job", "job"):
            with provider.get_tracer("app").start_as_current_span(name, kind=SpanKind.CONSUMER):
                if name == "dropped job":
                    bridge.set_user({"id": "alice"})
                bridge.capture_message("told")
    assert [e.get("user") for e in sent.events] == [{"id": "alice"}, None]
    assert [(t["transaction"], t.get("user")) for t in sent.transactions] == [("job", None)]


def in_copied_context(write: Callable[[], None]) -> None:
    """Run in a copy of the context, as any scheduler does."""
    contextvars.copy_context().run(write)


def in_task(write: Callable[[], None]) -> None:
    """Run in an asyncio task of its own."""

    async def run() -> None:
        write()

    asyncio.run(run())


def in_greenlet(write: Callable[[], None]) -> None:
    """Run in a greenlet of gevent's."""
    gevent = pytest.importorskip("gevent", reason="gevent is not installed")
    gevent.spawn(write).join()


def in_trio(write: Callable[[], None]) -> None:
    """Run in a task of trio's."""
    trio = pytest.importorskip("trio", reason="trio is not installed")

    async def run() -> None:
        write()

    trio.run(run)


@pytest.mark.parametrize("elsewhere", [in_copied_context, in_task, in_greenlet, in_trio])
def test_what_another_kind_of_task_wrote_is_not_the_roots(
    sent: BridgeCapture, elsewhere: Callable[[Callable[[], None]], None]
) -> None:
    """The current scope of a task, greenlet or copied context is its own; the root's block keeps what it wrote."""
    with bridge.start_span("root"):
        bridge.get_current_scope().set_tag("by", "the block")
        elsewhere(lambda: bridge.get_current_scope().set_tag("by", "another task"))
        bridge.get_current_scope().set_tag("twice", "yes")
    assert sent.transactions[0]["tags"] == {"by": "the block", "twice": "yes"}


class Hostile(NonRecordingSpan):
    """A span of other code that cannot be asked anything."""

    def get_span_context(self) -> Any:
        raise RuntimeError("not now")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize("span", [Hostile(trace.INVALID_SPAN_CONTEXT), object()], ids=["hostile", "no span at all"])
def test_any_value_may_be_attached_as_the_active_span(sent: BridgeCapture, span: Any) -> None:
    """`attach` raises for none, as OpenTelemetry's does, and what was current comes back."""
    bridge.set_tag("set", "before")
    before = context_api.get_current()
    token = context_api.attach(trace.set_span_in_context(span))
    bridge.set_tag("set", "inside")
    context_api.detach(token)
    assert context_api.get_current() == before
    assert bridge.get_isolation_scope().tags["set"] == "inside"
