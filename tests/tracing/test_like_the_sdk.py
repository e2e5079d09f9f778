"""What processors and exporters are given for a program is what the OpenTelemetry SDK's own provider gives them."""

from __future__ import annotations

import contextlib
import copy
import enum
import io
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import IdGenerator, ReadableSpan, SpanLimits, SpanProcessor
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from bridge._internal.otel_private import set_resource
from bridge.otel import SentrySampler
from bridge.otel import TracerProvider as BridgeProvider
from bridge.testing import capture

RESOURCE = Resource({"service.name": "twin", "n": 1})
START = time.time_ns() // 10**9 * 10**9


# What programs are made of.
# What the SDK learned since the lowest version that is supported: the random flag of W3C's level 2 and copies of spans
# (1.41), attributes that are None.
KNOWN_FLAGS = 0x03 if hasattr(TraceFlags, "RANDOM_TRACE_ID") else 0x01
COPIES = hasattr(BoundedAttributes, "__deepcopy__")
EMPTY_VALUES = (None,) if BoundedAttributes(None, {"a": None}) else ()


class Colour(str, enum.Enum):
    """A text that is no plain one."""

    RED = "red"


class Level(enum.IntEnum):
    """A number that is no plain one."""

    HIGH = 3


class Stop(BaseException):
    """What leaves a block without being an `Exception`."""

    class Nested(Exception):  # noqa: N818 - its name is of no matter
        """One whose qualified name has a dot."""


NO_REPR = object()
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([2**63 - 1, 2**63, -(2**70), 1e308, float("nan"), float("inf"), -0.0]),
    st.text("ab\N{GREEK SMALL LETTER ALPHA}\N{GRINNING FACE}", max_size=12),
    st.binary(max_size=4),
    st.none(),
)
VALUES = st.one_of(
    SCALARS,
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.tuples(SCALARS, SCALARS),
    st.lists(st.text("ab", max_size=8), max_size=3),
    st.dictionaries(st.sampled_from(["x", "y", "", 7]), st.one_of(SCALARS, st.lists(SCALARS, max_size=2)), max_size=3),
    st.sampled_from([NO_REPR, {1}, Colour.RED, Level.HIGH, 1 + 2j, range(3)]),
)
KEYS = st.sampled_from(["a", "b", "c", "d", "e", "f", "sentry.op", "http.route", "", 5, 0, None, Colour.RED])
ATTRIBUTES = st.one_of(
    st.none(),
    st.dictionaries(st.sampled_from("abcdefgh"), st.one_of(st.integers(0, 9), st.text("xyz", max_size=8)), max_size=5),
    st.dictionaries(KEYS, VALUES, max_size=5),
)
NAMES = st.sampled_from(["work", "GET /", "", "naïve", "x" * 40])
TIMES = st.one_of(st.none(), st.none(), st.sampled_from([0, 1, START - 5, START + 10**12]))
TARGETS = st.integers(0, 9)
CONTEXTS = st.one_of(
    st.none(),
    st.none(),
    st.sampled_from(["empty", "remote", "local", "random", "invalid"]),
    TARGETS,
)
LINKS = st.lists(
    st.tuples(st.one_of(st.sampled_from(["valid", "invalid", "stateful", "none"]), TARGETS), ATTRIBUTES), max_size=3
)
ERRORS = st.sampled_from(["plain", "chained", "nested", "key", "stop", "base", "system", "empty"])
STARTS = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "kind": st.sampled_from(SpanKind),
        "attributes": ATTRIBUTES,
        "links": LINKS,
        "start_time": TIMES,
        "record_exception": st.booleans(),
        "set_status_on_exception": st.booleans(),
        "context": CONTEXTS,
        "tracer": st.booleans(),
    },
)
DESCRIPTIONS = st.sampled_from([None, "", "it broke", 5])
CALLS = st.one_of(
    st.tuples(st.just("set_attribute"), TARGETS, KEYS, VALUES),
    st.tuples(st.just("set_attribute"), TARGETS, st.sampled_from("abcdef"), st.integers(0, 9)),
    st.tuples(st.just("set_attributes"), TARGETS, ATTRIBUTES),
    st.tuples(st.just("add_event"), TARGETS, NAMES, ATTRIBUTES, TIMES),
    st.tuples(st.just("link"), TARGETS, LINKS),
    st.tuples(st.just("update_name"), TARGETS, NAMES),
    st.tuples(st.just("set_status"), TARGETS, st.sampled_from(StatusCode), DESCRIPTIONS),
    st.tuples(
        st.just("set_status"), TARGETS, st.builds(Status, st.sampled_from(StatusCode), DESCRIPTIONS), DESCRIPTIONS
    ),
    st.tuples(st.just("error"), TARGETS, ERRORS, ATTRIBUTES, TIMES, st.booleans()),
    st.tuples(st.just("end"), TARGETS, TIMES),
    st.tuples(st.just("end"), st.just(0), TIMES),
)


def blocks(body: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Spans with something inside: how they are started, what may leave their block, who catches it."""
    how = st.sampled_from(["current", "current", "open", "with", "plain"])
    error = st.one_of(st.none(), st.none(), ERRORS)
    return st.tuples(st.just("span"), how, STARTS, st.lists(body, max_size=6), error, st.booleans())


PROGRAMS = st.lists(blocks(st.recursive(CALLS, blocks, max_leaves=25)), min_size=1, max_size=3)
SMALL = st.sampled_from([None, None, SpanLimits.UNSET, 0, 1, 2, 3, 5])
LIMITS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        [
            "max_span_attributes",
            "max_attributes",
            "max_events",
            "max_links",
            "max_event_attributes",
            "max_link_attributes",
            "max_attribute_length",
            "max_span_attribute_length",
        ],
        SMALL,
    ),
)


# What runs them.


class Ids(IdGenerator):
    """One, two, three."""

    def __init__(self) -> None:
        self.traces = self.spans = 0

    def generate_trace_id(self) -> int:
        self.traces += 1
        return self.traces << 64 | 0xABCDEF

    def generate_span_id(self) -> int:
        self.spans += 1
        return self.spans


def make_error(kind: str) -> BaseException:
    """Return an exception that has been raised."""
    try:
        if kind == "chained":
            try:
                raise ValueError("first")
            except ValueError as first:
                raise RuntimeError("second") from first
        made: dict[str, BaseException] = {
            "plain": ValueError("no\nway"),
            "nested": Stop.Nested("here"),
            "key": KeyError("k"),
            "stop": StopIteration(3),
            "base": Stop("now"),
            "system": SystemExit(2),
            "empty": AssertionError(),
        }
        raise made[kind]
    except BaseException as error:
        return error


class Run(SpanProcessor):
    """One program under one provider, and all that could be seen of it."""

    def __init__(self, provider: SdkProvider, meddles: bool) -> None:
        self.provider = provider
        self.exporter = InMemorySpanExporter()
        provider.add_span_processor(self)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracers = (
            provider.get_tracer("one", "1.0", "https://schema.test/1", {"scope": "x"}),
            provider.get_tracer("two"),
        )
        self.meddles = meddles
        self.spans: list[trace.Span] = []
        self.seen: list[Any] = []
        self.traces: dict[int, str] = {}
        self.now = START

    # The processor.

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        self.spans.append(span)
        parent = trace.get_current_span(parent_context).get_span_context()
        self.seen.append(("on_start", self.live(span), self.ids(parent)))
        if self.meddles:
            span.set_attribute("a", "from on_start")

    def _on_ending(self, span: Any) -> None:
        self.seen.append(("_on_ending", self.live(span)))
        if self.meddles:
            span.set_attribute("a", "from _on_ending")
            span.update_name("from _on_ending")

    def on_end(self, span: ReadableSpan) -> None:
        self.seen.append(("on_end", type(span), self.facts(span)))

    # What is seen of a span.

    def live(self, span: Any) -> Any:
        return isinstance(span, ReadableSpan), isinstance(span, trace.Span), span.is_recording(), self.facts(span)

    def facts(self, span: ReadableSpan) -> dict[str, Any]:
        return {
            "name": span.name,
            "kind": span.kind,
            "context": self.ids(span.context),
            "same context": span.context == span.get_span_context(),
            "parent": self.ids(span.parent),
            "times": (span.start_time, span.end_time),
            "status": (span.status.status_code, span.status.description),
            "attributes": repr(list((span.attributes or {}).items())),
            "events": [(event.name, event.timestamp, self.texts(event.attributes)) for event in span.events],
            "links": [(self.ids(link.context), self.texts(link.attributes)) for link in span.links],
            "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
            "dropped of events": [getattr(event.attributes, "dropped", None) for event in span.events],
            "dropped of links": [link.dropped_attributes for link in span.links],
            "resource": span.resource,
            "scope": span.instrumentation_scope,
            "json": self.json(span),
        }

    def texts(self, attributes: Any) -> str:
        return repr([(key, own_frames(value)) for key, value in (attributes or {}).items()])

    def ids(self, context: SpanContext | None) -> Any:
        if context is None:
            return None
        states = [item for item in context.trace_state.items() if item[0] not in ("sentry", "ot")]
        return (
            self.trace_of(context.trace_id),
            context.span_id,
            context.is_remote,
            context.trace_flags & KNOWN_FLAGS,
            states,
        )

    def trace_of(self, trace_id: int) -> str:
        # The first root in a Context takes the trace id that the Context has already.
        return self.traces.setdefault(trace_id, f"trace {len(self.traces)}")

    def json(self, span: ReadableSpan) -> Any:
        try:
            found = json.loads(span.to_json())
        except Exception as error:
            return type(error), str(error)
        for context in [found["context"], *(link["context"] for link in found["links"])]:
            del context["trace_state"]
            context["trace_id"] = self.trace_of(int(context["trace_id"], 16))
        for event in found["events"]:
            event["attributes"] = self.texts(event["attributes"])
        return repr(found)

    # The program.

    def clock(self) -> int:
        self.now += 1
        return self.now

    def run(self, program: list[Any]) -> Any:
        """Run a program; return all that was seen."""
        logs = Logs()
        logger = logging.getLogger("opentelemetry")
        token = context_api.attach(Context())
        logger.addHandler(logs)
        try:
            with (
                patch.object(logger, "propagate", False),
                patch("opentelemetry.sdk.trace.time_ns", self.clock),
                patch("bridge._internal.tracing.span.time_ns", self.clock),
                patch("bridge._internal.tracing.provider.time_ns", self.clock),
            ):
                for step in program:
                    self.attempt(lambda step=step: self.step(step))
                after = [self.live(span) for span in self.spans]
        finally:
            logger.removeHandler(logs)
            context_api.detach(token)
        exported = [self.facts(span) for span in self.exporter.get_finished_spans()]
        return {"seen": self.seen, "after": after, "exported": exported, "logs": logs.found, "clock": self.now - START}

    def attempt(self, call: Callable[[], Any]) -> None:
        try:
            self.seen.append(("returned", call()))
        except (Exception, Stop, SystemExit) as error:
            self.seen.append(("raised", type(error), str(error)))

    def step(self, step: Any) -> Any:
        if step[0] == "span":
            return self.span(*step[1:])
        name, target, *args = step
        span = self.spans[target % len(self.spans)]
        if name == "link":
            for kind, attributes in args[0]:
                if kind != "none":
                    self.attempt(lambda kind=kind, attributes=attributes: span.add_link(self.linked(kind), attributes))
        elif name == "error":
            kind, *rest = args
            self.attempt(lambda: span.record_exception(make_error(kind), *rest))
        else:
            self.attempt(lambda: getattr(span, name)(*args))
        return None

    def span(self, how: str, start: dict[str, Any], body: list[Any], error: str | None, caught: bool) -> None:
        given = dict(start)
        tracer = self.tracers[given.pop("tracer", False)]
        if "context" in given:
            given["context"] = self.context(given["context"])
        if "links" in given:
            links = [None if kind == "none" else Link(self.linked(kind), attrs) for kind, attrs in given["links"]]
            given["links"] = links

        def block() -> None:
            block: Any
            if how in ("current", "open"):
                block = tracer.start_as_current_span(**given, end_on_exit=how == "current")
            elif how == "with":
                block = tracer.start_span(**given)
            else:
                block = contextlib.nullcontext(tracer.start_span(**given))
            with block:
                for step in body:
                    self.step(step)
                if error is not None:
                    raise make_error(error)

        if caught:
            self.attempt(block)
        else:
            block()

    def context(self, kind: Any) -> Context | None:
        if kind is None:
            return None
        if isinstance(kind, int):
            return trace.set_span_in_context(self.spans[kind % len(self.spans)]) if self.spans else None
        if kind == "empty":
            return Context()
        flags = TraceFlags(3 if kind == "random" else 1)
        state = TraceState([("vendor", "x")])
        trace_id = 0 if kind == "invalid" else 0xFEED
        return trace.set_span_in_context(
            NonRecordingSpan(SpanContext(trace_id, 0xBEEF, kind != "local", flags, state)), Context()
        )

    def linked(self, kind: Any) -> SpanContext:
        if isinstance(kind, int) and self.spans:
            return self.spans[kind % len(self.spans)].get_span_context()
        if kind == "invalid":
            return trace.INVALID_SPAN_CONTEXT
        state = TraceState([("v", "1")]) if kind == "stateful" else None
        return SpanContext(0xF00D, 0xF00, True, TraceFlags(1), state)


class Logs(logging.Handler):
    """What OpenTelemetry logs."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append((record.name, record.levelname, record.getMessage()))


FRAME = re.compile(r'^  File "[^"]*[/\\\\](?:opentelemetry[/\\\\][^"]*|contextlib)\.py".*\n(?: {4}.*\n)*', re.MULTILINE)


def own_frames(value: Any) -> Any:
    """Leave the SDK's own context managers out of a stack trace: the bridge's are not in it."""
    return FRAME.sub("", value) if isinstance(value, str) else value


def same(left: Any, right: Any, where: str = "") -> Iterator[str]:
    """Name each difference."""
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        for key in left:
            yield from same(left[key], right[key], f"{where}.{key}")
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple) and len(left) == len(right):
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from same(one, other, f"{where}[{index}]")
    elif left != right:
        yield f"{where}: the SDK {left!r}, ours {right!r}"


def check(program: list[Any], limits: dict[str, Any], meddles: bool, make: Callable[..., SdkProvider]) -> None:
    """Run a program on the SDK's provider and on another, and compare."""

    def run(make: Callable[..., SdkProvider], sampler: Any) -> Any:
        facts = {"resource": RESOURCE, "shutdown_on_exit": False, "id_generator": Ids()}
        return Run(make(sampler, span_limits=SpanLimits(**limits), **facts), meddles).run(program)

    sdk = run(SdkProvider, ALWAYS_ON)
    for sampler in (ALWAYS_ON, SentrySampler(1.0)):
        differences = list(same(sdk, run(make, sampler)))
        assert not differences, "\n".join(differences)


# The claims.


@settings(max_examples=150, deadline=None)
@given(PROGRAMS, LIMITS, st.booleans())
def test_the_same_is_seen(program: list[Any], limits: dict[str, Any], meddles: bool) -> None:
    """Processors, exporters, logs and callers get the same, call by call and field by field."""
    check(program, limits, meddles, BridgeProvider)


def test_the_same_is_seen_beside_sentry() -> None:
    """The same holds where the finished spans go to Sentry as well."""

    def make(_: Any, **facts: Any) -> SdkProvider:
        provider = BridgeProvider(**facts)
        stack.enter_context(capture(tracer_provider=provider))
        return provider

    inner = ("span", "current", {"name": "inner", "kind": SpanKind.CLIENT}, [], "chained", False)
    calls = [
        ("set_attribute", 0, "b", [1, 2]),
        ("set_attributes", 0, {"a": 1, "b": 2}),
        ("add_event", 0, "tick", {"n": 1}, None),
        inner,
    ]
    program = [
        ("span", how, {"name": "outer", "attributes": {"a": 0}}, calls, None, True) for how in ("current", "with")
    ]
    with contextlib.ExitStack() as stack:
        check(program, {"max_span_attributes": 2}, True, make)


@pytest.fixture
def provider() -> BridgeProvider:
    """A provider that samples everything."""
    return BridgeProvider(SentrySampler(1.0), resource=RESOURCE, shutdown_on_exit=False)


def together(work: Callable[[int], None], threads: int = 8) -> None:
    """Call something in several threads that start at once."""
    barrier = threading.Barrier(threads)

    def one(number: int) -> None:
        barrier.wait()
        work(number)

    running = [threading.Thread(target=one, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


@pytest.mark.parametrize("value", ["plain", ["cleaned"]])
def test_threads_write_to_one_span(provider: BridgeProvider, value: Any) -> None:
    """Eight threads lose nothing below the limits."""
    span: Any = provider.get_tracer("t").start_span("shared")

    def write(number: int) -> None:
        for turn in range(16):
            span.set_attribute(f"{number}.{turn}", value)
            span.add_event(f"{number}.{turn}", {"n": turn})
            span.set_attributes({f"{number}.{turn}": value})

    together(write)
    span.end()
    names = {f"{number}.{turn}" for number in range(8) for turn in range(16)}
    assert set(span.attributes) == names
    assert sorted(event.name for event in span.events) == sorted(names)
    assert (span.dropped_attributes, span.dropped_events) == (0, 0)


@pytest.mark.parametrize("value", [1, (1,), *EMPTY_VALUES])
def test_threads_never_go_past_the_limits(provider: BridgeProvider, value: Any) -> None:
    """Eight threads that write too much leave as much as the limits allow; what was dropped is counted."""
    span: Any = provider.get_tracer("t").start_span("shared")
    sizes = []

    def write(number: int) -> None:
        for turn in range(40):
            span.set_attribute(f"{number}.{turn}", turn if turn % 2 else value)
            span.set_attributes({f"{number}.{turn}.a": turn, f"{number}.{turn}.b": value})
            span.add_event("e")
            sizes.append((len(span.attributes), len(span.events)))

    together(write)
    span.end()
    assert all(attributes <= 128 and events <= 128 for attributes, events in sizes)
    assert (len(span.attributes), span.dropped_attributes) == (128, 8 * 40 * 3 - 128)
    assert (len(span.events), span.dropped_events) == (128, 8 * 40 - 128)


def test_threads_end_one_span_once(provider: BridgeProvider) -> None:
    """A span that eight threads end is exported once, and nothing is written to it afterwards."""
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    span: Any = provider.get_tracer("t").start_span("shared")

    def write(number: int) -> None:
        span.set_attribute(str(number), number)
        span.end()
        span.set_attribute("late", number)

    together(write)
    (exported,) = exporter.get_finished_spans()
    assert "late" not in (exported.attributes or {})
    assert dict(exported.attributes or {}) == dict(span.attributes)


def test_a_span_is_an_sdk_span(provider: BridgeProvider) -> None:
    """Code that asks for a readable span finds one: live, and finished."""
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("t").start_as_current_span("work") as span:
        assert isinstance(span, ReadableSpan)
        assert isinstance(span, trace.Span)
        assert json.loads(span.to_json())["end_time"] is None
    (exported,) = exporter.get_finished_spans()
    assert type(exported) is ReadableSpan
    assert exported.to_json() == span.to_json()
    assert not hasattr(span, "no_such_thing")


def test_exporters_are_given_what_they_can_write(provider: BridgeProvider) -> None:
    """The console's and OTLP's exporters write a span behind a batch, and so they do a copy of it."""
    kept, written = InMemorySpanExporter(), io.StringIO()
    provider.add_span_processor(BatchSpanProcessor(kept))
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=written)))
    tracer = provider.get_tracer("t", "1")
    with (
        tracer.start_as_current_span("outer"),
        tracer.start_as_current_span("inner", attributes={"a": 1, "b": ["x", "y"]}, kind=SpanKind.CLIENT) as inner,
    ):
        inner.add_event("e", {"n": 1})
        inner.add_link(SpanContext(1, 2, True), {"n": 2})
        inner.set_status(StatusCode.ERROR, "why")
    assert provider.force_flush()
    inner_span, outer_span = spans = kept.get_finished_spans()
    copies = [copy.deepcopy(span) for span in spans] if COPIES else spans
    assert [span.to_json() for span in copies] == [span.to_json() for span in spans]
    assert written.getvalue() == "".join(span.to_json() + "\n" for span in spans)
    encoder = pytest.importorskip("opentelemetry.exporter.otlp.proto.common.trace_encoder")
    message = encoder.encode_spans(copies)
    (scoped,) = message.resource_spans[0].scope_spans
    assert [span.name for span in scoped.spans] == ["inner", "outer"]
    found = scoped.spans[0]
    assert {item.key for item in found.attributes} == {"a", "b"}
    assert (len(found.events), len(found.links), found.status.message) == (1, 1, "why")
    assert found.parent_span_id == scoped.spans[1].span_id
    assert outer_span.parent is None
    assert inner_span.parent == outer_span.context
    provider.shutdown()


def test_a_span_keeps_the_resource_that_it_was_started_with(provider: BridgeProvider) -> None:
    """Another one that the provider is given meanwhile is that of the spans that start then."""
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("t")
    before = provider.resource
    span = tracer.start_span("before")
    set_resource(provider, Resource({"another": "one"}))
    tracer.start_span("after").end()
    span.end()
    after_span, before_span = exporter.get_finished_spans()
    assert (before_span.resource, dict(after_span.resource.attributes)) == (before, {"another": "one"})
