"""Ids, the sampling of errors and the waits between attempts do not depend on the program's `random`."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import propagate
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

import bridge
from bridge._internal import sources
from bridge.otel import TracerProvider
from bridge.testing import capture
from bridge.testing.isolation import isolated
from bridge.testing.transport import CapturingTransport

ROUNDS = 6


@pytest.fixture(autouse=True)
def _as_in_a_new_process() -> Iterator[None]:
    """No provider is global when a test begins, and none is left behind."""
    with isolated(None):
        yield
        bridge.close()


class StartsWithTheTime(RandomIdGenerator):
    """Trace ids as AWS X-Ray wants them: the first 32 bits are the time in seconds."""

    def generate_trace_id(self) -> int:
        return int(time.time()) << 96 | super().generate_trace_id() >> 32

    def generate_span_id(self) -> int:
        return 0xA << 60 | super().generate_span_id() >> 4


def trace_of_a_request() -> dict[str, Any]:
    """Make everything that has an id, under a seed that each request sets anew."""
    random.seed(7)
    with bridge.isolation_scope():
        outside = bridge.trace_headers()["sentry-trace"]
        error = bridge.capture_message("before")
        with bridge.start_span("request", parent=None) as root:
            random.seed(7)
            with trace_api.get_tracer("t").start_as_current_span("child") as child:
                pass
    return {
        "trace": root.trace_id,
        "root": root.span_id,
        "child": f"{child.get_span_context().span_id:016x}",
        "outside": outside.split("-")[1],
        "error": error,
    }


@pytest.mark.parametrize("rate", [1.0, 0.0])
def test_a_seed_repeats_no_id(rate: float) -> None:
    """A service that seeds `random` in each request has other ids each time, sampled or not."""
    sent = CapturingTransport()
    bridge.init("http://key@127.0.0.1:9/1", transport=sent, traces_sample_rate=rate)
    requests = [trace_of_a_request() for _ in range(ROUNDS)]
    for name in requests[0]:
        assert len({request[name] for request in requests}) == ROUNDS, name


def test_tracing_takes_none_of_the_programs_random_numbers() -> None:
    """A seeded simulation gives the same numbers with tracing, headers and errors as without."""
    random.seed(1)
    undisturbed = [random.random() for _ in range(3)]
    bridge.init("http://key@127.0.0.1:9/1", transport=CapturingTransport(), traces_sample_rate=0.5, sample_rate=0.5)
    random.seed(1)
    numbers = [random.random()]
    with bridge.start_span("root"), bridge.start_span("child"):
        bridge.capture_message("an error that sample_rate is asked about")
    numbers.append(random.random())
    with bridge.isolation_scope():
        propagate.inject({})
    assert bridge.flush()
    numbers.append(random.random())
    assert numbers == undisturbed


def test_a_seed_decides_about_no_error() -> None:
    """`sample_rate` takes a share of errors that are captured right after the same seed, not all or none."""
    with capture(sample_rate=0.5) as sent:
        for _ in range(100):
            random.seed(3)
            bridge.capture_message("hello")
        assert 0 < len(sent.events) < 100


def test_a_seed_decides_about_no_wait() -> None:
    """Replicas that seed alike do not try again in step."""
    retries = bridge.init("http://key@127.0.0.1:9/1").transport.retries
    random.seed(3)
    first = list(retries.waits(time.monotonic))
    random.seed(3)
    assert list(retries.waits(time.monotonic)) != first


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_children_go_their_own_ways() -> None:
    """Workers forked from one parent share no id, no draw of `sample_rate` and no wait with it or each other."""

    def drawn() -> list[Any]:
        ids = TracerProvider(shutdown_on_exit=False).id_generator
        return [ids.generate_trace_id(), ids.generate_span_id(), sources.chance(), sources.current.error_id()]

    lines = []
    for _ in range(2):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(write, json.dumps(drawn()).encode())
            finally:
                sys.stderr.flush()
                os._exit(0)
        os.waitpid(pid, 0)
        lines.append(json.loads(os.read(read, 1000)))
    first, second = lines
    own = drawn()
    for number, name in enumerate(("trace id", "span id", "draw", "error id")):
        assert len({first[number], second[number], own[number]}) == 3, name


@pytest.mark.parametrize("make", [TracerProvider, SdkTracerProvider], ids=["ours", "adopted"])
@pytest.mark.parametrize(
    "before",
    [lambda: None, lambda: bridge.capture_message("boot"), bridge.trace_headers, bridge.get_traceparent],
    ids=["nothing", "a message", "headers", "the header"],
)
def test_every_id_is_of_the_providers_generator(make: Any, before: Callable[[], Any]) -> None:
    """Whatever was sent before a root, its ids and those of the headers around it are the generator's."""
    provider = make(id_generator=StartsWithTheTime(), shutdown_on_exit=False)
    bridge.init("http://key@127.0.0.1:9/1", transport=CapturingTransport(), tracer_provider=provider)
    with bridge.isolation_scope():
        before()
        outside = bridge.trace_headers()["sentry-trace"].split("-")
        with provider.get_tracer("t").start_as_current_span("root") as span:
            context = span.get_span_context()
    for trace_id, span_id in ((context.trace_id, context.span_id), [int(part, 16) for part in outside[:2]]):
        assert abs((trace_id >> 96) - time.time()) < 60
        assert span_id >> 60 == 0xA


def test_a_generator_goes_with_its_client() -> None:
    """After another `init`, or `close`, ids come from the generator of the provider in use, or from our own."""
    provider = TracerProvider(id_generator=StartsWithTheTime(), shutdown_on_exit=False)
    bridge.init("http://key@127.0.0.1:9/1", transport=CapturingTransport(), tracer_provider=provider)
    assert sources.current.ids is provider.id_generator
    bridge.close()
    assert sources.current.ids is sources.DEFAULT_IDS


def test_the_sdks_generator_is_not_used() -> None:
    """One that draws from the program's `random` is exchanged, also where it was named."""
    for provider in (TracerProvider(), TracerProvider(id_generator=RandomIdGenerator())):
        random.seed(5)
        first = provider.id_generator.generate_trace_id()
        random.seed(5)
        assert provider.id_generator.generate_trace_id() != first
        provider.shutdown()
