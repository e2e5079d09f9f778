"""`bridge.testing.capture`: what a block sends is kept, and the process is as it was afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import propagate, trace
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import bridge
from bridge import testing
from bridge._internal import otel_private, sources
from bridge._internal.context.handoff import active_patches
from bridge._internal.tracing import provider as provider_module
from bridge._internal.tracing import span as span_module
from bridge.testing import BridgeCapture, CapturingTransport, ManualClock, SequentialIds, capture

native = trace.get_tracer("native")
# Sentry takes what is of the last thirty days.
RECENTLY = datetime.now(timezone.utc).replace(microsecond=0)


def written(at: datetime) -> str:
    """Return a time as payloads have it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def process_state() -> list[Any]:
    """Return everything that the bridge and OpenTelemetry hold for the process."""
    logger = logging.getLogger("bridge")
    provider: Any = otel_private.global_tracer_provider()
    return [
        provider,
        otel_private.tracer_provider_is_fixed(),
        otel_private.span_processors(provider),
        [getattr(provider, name, None) for name in ("options", "sampler", "beside", "sink", "resource")],
        getattr(provider, "has_processors", None),
        dict(vars(getattr(provider, "id_generator", None) or object)),
        propagate.get_global_textmap(),
        otel_private.runtime_context(),
        dict(context_api.get_current()),
        bridge.is_initialized() and bridge.get_client(),
        active_patches(),
        bridge.get_global_scope()._read(),
        [logger.level, logger.handlers[:], logger.propagate],
        sources.current,
        [span_module.time_ns, provider_module.time_ns],
        vars(trace.ProxyTracer)["_tracer"],
        contextvars.copy_context().get(otel_private.context_variable(otel_private.runtime_context())),  # type: ignore[arg-type]
    ]


def leaves_everything_behind(captured: BridgeCapture) -> None:
    """Do what a careless test does."""
    bridge.get_global_scope().set_tag("left", "behind")
    bridge.set_tag("left", "behind")
    bridge.get_current_scope().set_tag("left", "behind")
    bridge.init(debug=True, patch_threads=True, resource=Resource({"left": "behind"}))
    bridge._internal.client = None  # type: ignore[attr-defined]  # as bad as anything else
    propagate.set_global_textmap(CompositePropagator([]))
    provider: Any = bridge.get_client().tracer_provider
    provider.add_span_processor(SpanProcessor())
    bridge.start_span("left active").__enter__()
    native.start_as_current_span("left active too").__enter__()
    bridge.start_inactive_span("left open")


def closes_by_itself(captured: BridgeCapture) -> None:
    """End what the capture began."""
    bridge.close()


def initialises_again_and_fails(captured: BridgeCapture) -> None:
    """Raise out of the block."""
    bridge.init(span_processors=[SpanProcessor()])
    raise LookupError("a test that fails")


@pytest.mark.parametrize("active", ["no client", "a client", "a client on another's provider"])
@pytest.mark.parametrize("body", [leaves_everything_behind, closes_by_itself, initialises_again_and_fails])
def test_a_process_is_as_it_was(body: Callable[[BridgeCapture], None], active: str) -> None:
    """Whatever a test does and however it ends, the process is afterwards what it was before."""
    if active == "a client":
        bridge.init(span_processors=[SpanProcessor()], transport=CapturingTransport(), environment="before")
    elif active == "a client on another's provider":
        bridge.init(tracer_provider=TracerProvider(), transport=CapturingTransport())
    bridge.get_global_scope().set_tag("before", "1")
    before = process_state()
    try:
        with capture(clock=ManualClock()) as captured:
            body(captured)
    except LookupError:
        pass
    after = process_state()
    assert after == before


def test_a_client_that_was_active_is_set_aside() -> None:
    """The application's own client gets nothing of a capture, and goes on afterwards with what it had open."""
    theirs, processor = CapturingTransport(), SimpleSpanProcessor(exporter := InMemorySpanExporter())
    client = bridge.init(traces_sample_rate=1.0, transport=theirs, span_processors=[processor])
    around = bridge.start_inactive_span("around")
    with capture() as captured:
        with native.start_as_current_span("captured"):
            bridge.capture_message("captured too")
        assert captured.tree() == ["captured"]
    assert bridge.get_client() is client
    with bridge.use_span(around), native.start_as_current_span("below"):
        pass
    around.end()
    client.flush()
    assert [t["transaction"] for t in theirs.transactions] == ["around"]
    assert [s["description"] for s in theirs.spans] == ["around", "below"]
    assert theirs.events == []
    assert [s.name for s in exporter.get_finished_spans()] == ["below", "around"]


def test_a_client_on_anothers_provider_is_set_aside() -> None:
    """The same where the spans are of a provider of the OpenTelemetry SDK: they are not sent twice."""
    provider, theirs = TracerProvider(), CapturingTransport()
    bridge.init(tracer_provider=provider, transport=theirs, traces_sample_rate=1.0)
    tracer = provider.get_tracer("t")
    with capture(tracer_provider=provider) as captured:
        with tracer.start_as_current_span("captured"), bridge.start_span("below"):
            pass
        assert captured.tree() == ["captured", ["below"]]
    with tracer.start_as_current_span("theirs"):
        pass
    bridge.flush()
    assert [s["description"] for s in theirs.spans] == ["theirs"]


class Instrumentor:
    """Counts, as OpenTelemetry's instrumentors do, whether it is on."""

    is_instrumented_by_opentelemetry = False

    def instrument(self, **kwargs: Any) -> None:
        assert not self.is_instrumented_by_opentelemetry
        self.is_instrumented_by_opentelemetry = True

    def uninstrument(self, **kwargs: Any) -> None:
        self.is_instrumented_by_opentelemetry = False


def test_instrumentations_of_the_application_stay_on() -> None:
    """What the application instrumented is traced in a capture, and still after one that took it off."""
    instrumentor = Instrumentor()
    bridge.init(instrumentations=[instrumentor])
    with capture():
        assert instrumentor.is_instrumented_by_opentelemetry
        instrumentor.uninstrument()
        bridge.init(instrumentations=[instrumentor])
    assert instrumentor.is_instrumented_by_opentelemetry


def test_an_application_that_calls_init_is_captured_too() -> None:
    """An `init` inside a capture sets up what it says; what it sends comes here and nowhere else."""
    elsewhere = CapturingTransport()
    with capture() as captured:
        with bridge.start_span("before"):
            pass
        client = bridge.init(
            "https://key@example.com/7", environment="staging", traces_sample_rate=0.0, transport=elsewhere
        )
        with native.start_as_current_span("after"):
            pass
        assert captured.tree() == ["before", "after"]
        assert captured.client is client
        assert [t["environment"] for t in captured.transactions] == ["production", "staging"]
        assert "sentry-public_key=key" in captured.headers()["baggage"]
    assert elsewhere.envelopes == []


@pytest.mark.parametrize(
    ("told", "said", "kept"),
    [
        ({}, {}, True),
        ({}, {"traces_sample_rate": 0.0}, True),
        ({"traces_sample_rate": 0.0}, {"traces_sample_rate": 1.0}, False),
        ({}, {"traces_sampler": lambda context: 0.0}, False),
        ({}, {"sampler": ALWAYS_OFF}, False),
        ({"traces_sample_rate": None}, {}, False),
        ({"sampler": ALWAYS_OFF}, {}, False),
    ],
)
def test_who_has_the_last_word(told: dict[str, Any], said: dict[str, Any], kept: bool) -> None:
    """What the capture is told wins; then what the application says; a rate alone is raised to 1.0."""
    with capture(**told) as captured:
        bridge.init(**said)
        with bridge.start_span("root"):
            pass
        assert captured.tree() == (["root"] if kept else [])


def test_variables_of_the_environment_send_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DSN, a rate, Spotlight or a trace of the machine that runs the tests do not change what they see."""
    monkeypatch.setenv("SENTRY_DSN", "https://key@example.com/1")
    monkeypatch.setenv("SENTRY_TRACES_SAMPLE_RATE", "0.0")
    monkeypatch.setenv("SENTRY_SPOTLIGHT", "1")
    monkeypatch.setenv("SENTRY_TRACE", "771a43a4192642f0b136d5159a501700-1234567890abcdef-0")
    with capture() as captured:
        assert captured.client.options.spotlight is None
        with bridge.start_span("root") as span:
            assert span.parent_span_id is None
        assert captured.tree() == ["root"]


def test_wrong_options_are_told_at_once() -> None:
    """An option that does not exist raises, and the process is as it was."""
    before = process_state()
    with pytest.raises(TypeError, match="did you mean 'traces_sample_rate'"), capture(trace_sample_rate=1.0):  # type: ignore[call-arg]
        pass
    assert process_state() == before


def test_captures_nest() -> None:
    """A capture in a capture has its own; the outer one goes on afterwards."""
    with capture() as outer:
        with bridge.start_span("first"):
            with capture() as inner, bridge.start_span("inner"):
                pass
            assert inner.tree() == ["inner"]
        with bridge.start_span("second"):
            pass
        assert outer.tree() == ["first", "second"]


def test_captures_do_not_overlap() -> None:
    """Two captures at a time, of two threads say, are an error that says so, and not a mystery."""
    program = """
from bridge.testing import capture
first, second = capture(), capture()
first.__enter__()
second.__enter__()
first.__exit__(None, None, None)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "RuntimeError: bridge.testing.capture: captures overlap" in done.stderr


def test_what_was_captured_can_be_read_afterwards() -> None:
    """After the block everything is still there to read; `clear` forgets what was sent so far."""
    bridge.init(transport=CapturingTransport())
    with capture() as captured:
        client = bridge.init(environment="inside")
        with bridge.start_span("arranged"):
            pass
        captured.clear()
        with bridge.start_span("root"):
            bridge.capture_message("hello")
    assert captured.tree() == ["root"]
    assert captured.outline() == "root\n  ! info: hello"
    assert captured.client is client
    with pytest.raises(AssertionError, match=r"what was sent:\nroot\n  ! info: hello$"):
        captured.span("none")


def test_a_transport_of_the_tests_own() -> None:
    """A transport that is given gets what is sent, of an `init` inside as well."""
    own = CapturingTransport()
    with capture(transport=own) as captured:
        bridge.init()
        with bridge.start_span("root"):
            pass
        assert [t["transaction"] for t in own.transactions] == ["root"]
        assert captured.tree() == []


def test_a_span_is_found_by_name() -> None:
    """`span` gives the one of that name; with none or several, the error shows everything that was sent."""
    with capture() as captured:
        with bridge.start_span("checkout"):
            with bridge.start_span("load cart", op="db", attributes={"rows": 3}):
                pass
            for _ in range(2):
                with bridge.start_span("retry"):
                    pass
        assert captured.span("load cart")["data"]["rows"] == 3
        with pytest.raises(AssertionError) as none:
            captured.span("pay")
        with pytest.raises(AssertionError, match=r"^2 spans are named 'retry'"):
            captured.span("retry")
    tree = "checkout\n  load cart  op=db\n  retry\n  retry"
    assert str(none.value) == f"no span is named 'pay'; what was sent:\n{tree}"


def test_nothing_is_shared_with_a_loop_that_lives_on() -> None:
    """What a test leaves in an event loop's context is not there for the next test that runs in the same loop."""
    loop = asyncio.new_event_loop()
    shared = contextvars.copy_context()

    async def careless() -> None:
        bridge.set_tag("left", "behind")
        bridge.start_span("left active").__enter__()

    async def looks() -> tuple[Any, Any]:
        return bridge.get_current_span(), dict(bridge.get_isolation_scope().tags)

    try:
        seen = []
        for body in (careless, looks):
            with capture():
                task = shared.run(loop.create_task, body())
                seen.append(loop.run_until_complete(task))
    finally:
        loop.close()
    assert seen == [None, (None, {})]


def test_a_careless_thread_leaves_nothing() -> None:
    """A thread that outlives its capture does not disturb the next one."""
    go, done = threading.Event(), threading.Event()

    def outlives() -> None:
        with bridge.start_span("late"):
            go.wait(10)
        done.set()

    with capture() as first:
        thread = threading.Thread(target=outlives)
        thread.start()
    with capture() as second:
        with bridge.start_span("own"):
            go.set()
            assert done.wait(10)
        assert second.tree() == ["own"]
    thread.join()
    assert first.tree() == []


# Ids and clock.


def shop() -> None:
    """A piece of work with both APIs, an error and a message outside of everything."""
    with bridge.start_span("checkout", op="http.server"):
        with native.start_as_current_span("pay"):
            try:
                raise ValueError("declined")
            except ValueError as error:
                bridge.capture_exception(error)
        bridge.add_breadcrumb(message="paid")
    bridge.capture_message("done")


@pytest.mark.parametrize("lifecycle", ["static", "stream"])
def test_two_runs_send_the_same(lifecycle: Any) -> None:
    """With a clock of its own the same test sends the very same payloads each time, ids and times included."""

    def run() -> list[Any]:
        with capture(clock=ManualClock(RECENTLY), trace_lifecycle=lifecycle) as captured:
            shop()
            kept = captured.transactions, captured.spans, captured.events, captured.headers()
        return [*kept]

    assert run() == run()


def test_ids_count() -> None:
    """Spans are numbered in order of start; errors and transactions have ids of their own."""
    with capture() as captured:
        shop()
        assert [int(span["span_id"], 16) for span in captured.spans] == [1, 2]
        assert {span["trace_id"][:16] for span in captured.spans} == {"0000000000000001"}
        assert [e["event_id"] for e in captured.events] == [f"e{n:031x}" for n in (1, 2)]
        assert [t["event_id"] for t in captured.transactions] == [f"a{1:031x}"]


def test_a_rate_keeps_the_same_traces_each_time() -> None:
    """At a rate of 0.5 the first, third and sixth trace are kept, as the documentation says."""
    with capture(traces_sample_rate=0.5) as captured:
        for n in range(1, 1001):
            with bridge.start_span(f"{n}", parent=None):
                pass
        kept = captured.tree()
    assert kept[:3] == ["1", "3", "6"]
    assert abs(len(kept) - 500) <= 2


def test_random_ids_on_request() -> None:
    """The SDK's own generator gives random ids again."""
    with capture(ids=RandomIdGenerator()) as captured:
        shop()
        assert int(captured.spans[0]["span_id"], 16) > 1000


class OwnIds(IdGenerator):
    """What a user made."""

    def generate_span_id(self) -> int:
        return 0xABC

    def generate_trace_id(self) -> int:
        return 0xDEF


def test_a_generator_of_the_users_is_kept() -> None:
    """A provider with an id generator of the user's keeps it, unless the capture was told another one."""
    provider = TracerProvider(id_generator=OwnIds())
    with capture(tracer_provider=provider), bridge.start_span("root") as span:
        assert span.span_id == f"{0xABC:016x}"
    with capture(tracer_provider=provider, ids=SequentialIds()), bridge.start_span("root") as span:
        assert span.span_id == f"{1:016x}"
    assert vars(provider.id_generator) == {}


@pytest.mark.parametrize("provider", [None, TracerProvider()], ids=["ours", "the SDK's"])
def test_a_clock_dates_everything(provider: Any) -> None:
    """Spans, their events, errors and breadcrumbs are dated by the clock that the test moves."""
    clock = ManualClock(RECENTLY)
    with capture(clock=clock, tracer_provider=provider, traces_sample_rate=1.0) as captured:
        with bridge.start_span("root") as span:
            clock.advance(1.5)
            span.add_event("cleaned by the SDK", {"a": ("b", "c")})
            span.add_event("plain", {"a": "b"})
            bridge.add_breadcrumb(message="crumb")
            bridge.capture_message("hello")
            clock.advance(0.25)
        (transaction,), (event,) = captured.transactions, captured.events
        assert captured.outline("duration") == "root  duration=1.75s\n  ! info: hello"
    later = written(RECENTLY + timedelta(seconds=1.5))
    assert transaction["start_timestamp"] == written(RECENTLY)
    assert transaction["timestamp"] == written(RECENTLY + timedelta(seconds=1.75))
    assert [e["timestamp"] for e in transaction["contexts"]["trace"]["data"]["otel.events"]] == [later, later]
    assert event["timestamp"] == later
    assert event["breadcrumbs"]["values"][0]["timestamp"] == RECENTLY.timestamp() + 1.5


def test_a_clock_needs_a_time_zone() -> None:
    """A start without a time zone is refused: it would mean another time on each machine."""
    with pytest.raises(ValueError, match="needs a time zone"):
        ManualClock(datetime(2026, 1, 1))


# Trees.


@pytest.mark.parametrize("provider", [None, TracerProvider()], ids=["ours", "the SDK's"])
@pytest.mark.parametrize("ids", [None, RandomIdGenerator()], ids=["in sequence", "random"])
def test_siblings_are_in_order_of_start(ids: Any, provider: Any) -> None:
    """Children that start at the same time and end in another order stand as they started."""
    with capture(ids=ids, clock=ManualClock(RECENTLY), tracer_provider=provider) as captured:
        with bridge.start_span("root"):
            children = [bridge.start_inactive_span(name) for name in "abcdef"]
            for child in (children[n] for n in (3, 5, 0, 1, 4, 2)):
                child.end()
        assert captured.tree() == ["root", list("abcdef")]


@pytest.fixture(params=["static", "stream"])
def outlined(request: pytest.FixtureRequest) -> Iterator[BridgeCapture]:
    with capture(clock=ManualClock(RECENTLY), trace_lifecycle=request.param) as captured:
        yield captured


def test_an_outline_shows_what_was_chosen(outlined: BridgeCapture) -> None:
    """Names, op, status and what else was asked for, errors beside their span, whichever way spans are sent."""

    def pay() -> None:
        try:
            raise ValueError("declined")
        except ValueError as error:
            bridge.capture_exception(error)
            raise

    with contextlib.suppress(ValueError), bridge.start_span("checkout", op="http.server") as root:
        root.set_attribute("shop.id", 7)
        with bridge.start_span("load cart", op="db", attributes={"query": 'a "b"'}):
            pass
        with bridge.start_span("pay"):
            bridge.capture_message("two\nlines", level="warning")
            pay()
    bridge.capture_message("outside")
    assert outlined.outline("op", "status", "shop.id", "query").splitlines() == [
        "checkout  op=http.server  status=internal_error  shop.id=7",
        '  load cart  op=db  query="a \\"b\\""',
        "  pay  status=internal_error",
        "    ! warning: two\\nlines",
        "    ! error: ValueError: declined",
        "! info: outside",
    ]


def test_an_outline_shows_tags_and_measurements() -> None:
    """Tags, measurements and origin on request; tags without."""
    with capture() as captured:
        with bridge.start_span("root") as root:
            root.set_tag("plan", "pro")
            root.set_tag("area", "eu west")
            root.set_measurement("memory", 12.5, "megabyte")
        assert captured.outline() == 'root  tags.area="eu west"  tags.plan=pro'
        assert captured.outline("measurements", "origin") == 'root  measurements.memory="12.5 megabyte"  origin=manual'


def test_an_empty_outline() -> None:
    """Nothing sent is an empty text."""
    with capture() as captured:
        assert (captured.outline(), captured.tree(), captured.client_reports) == ("", [], [])


def test_the_face_of_the_kit() -> None:
    """Every name that the kit offers is there, and says what it does."""
    assert testing.__all__ == sorted(testing.__all__)
    assert all(getattr(testing, name).__doc__ for name in testing.__all__)
