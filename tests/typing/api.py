"""Only type-checked, never run: what a user's code looks like to mypy."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from typing_extensions import assert_type

import bridge
from bridge.testing import BridgeCapture, ManualClock, SequentialIds, capture


@bridge.trace
def plain(a: int, *, b: str = "") -> float:
    return float(a)


@bridge.trace("named", op="task", attributes={"a": 1})
async def coroutine(a: int) -> str:
    return str(a)


@bridge.trace()
def generator(a: int) -> Iterator[int]:
    yield a


@bridge.trace(op="task")
async def async_generator(a: int) -> AsyncIterator[int]:
    yield a


class Shop:
    @bridge.trace
    def method(self, a: int) -> str:
        return str(a)

    @bridge.trace
    @classmethod
    def above(cls) -> int:
        return 1

    @staticmethod
    @bridge.trace
    def below(a: str) -> bool:
        return bool(a)


async def use_async() -> None:
    assert_type(await coroutine(1), str)


def use() -> None:
    assert_type(plain(1, b="x"), float)
    assert_type(generator(1), Iterator[int])
    assert_type(async_generator(1), AsyncIterator[int])
    assert_type(Shop().method(1), str)
    assert_type(Shop.above(), int)
    assert_type(Shop.below("x"), bool)
    bound: Callable[[int], str] = bridge.bind(Shop().method)
    assert_type(bound(1), str)
    plain("x")  # type: ignore[arg-type]
    with bridge.start_span("a", op="task") as span:
        assert_type(span, bridge.Span)
        assert_type(span.sampled, bool | None)
        other: trace.Span = span
        other.set_attribute("a", 1)
    assert_type(bridge.start_inactive_span("a", op="task", sampled=True), bridge.Span)
    bridge.start_inactive_span("a", opp="task")  # type: ignore[call-arg]
    bridge.start_inactive_span("a", sampled="yes")  # type: ignore[arg-type]
    with bridge.new_scope() as scope:
        assert_type(scope, bridge.Scope)
    with bridge.isolation_scope() as isolation:
        isolation.set_tag("a", 1)
    bridge.init("dsn", traces_sample_rate=0.5, spotlight=True)
    client = bridge.init(instrumentations="auto")
    assert_type(client.instrumentations(), tuple[bridge.Instrumentation, ...])
    bridge.init(trace_sample_rate=0.5)  # type: ignore[call-arg]
    bridge.init(traces_sample_rate="all")  # type: ignore[arg-type]
    assert_type(bridge.capture_message("m"), str | None)
    assert_type(bridge.trace_headers(), dict[str, str])
    assert_type(bridge.check_setup(), list[bridge.Problem])
    assert_type(bridge.__version__, str)
    bridge.init(sampler=bridge.otel.SentrySampler(0.5))
    with bridge.testing.capture() as captured:
        assert_type(captured, BridgeCapture)


def use_testing(bridge_capture: BridgeCapture) -> None:
    assert_type(bridge_capture.tree(), list[Any])
    assert_type(bridge_capture.outline("op", "shop.id"), str)
    assert_type(bridge_capture.span("root"), dict[str, Any])
    assert_type(bridge_capture.spans, list[dict[str, Any]])
    assert_type(bridge_capture.envelopes, list[bridge.Envelope])
    assert_type(bridge_capture.headers(), dict[str, str])
    assert_type(bridge_capture.client, bridge.Client)
    clock = ManualClock()
    with capture(traces_sample_rate=0.5, ids=SequentialIds(), clock=clock) as captured:
        assert_type(captured, BridgeCapture)
    with capture("dsn", clock=time.time_ns, ids=RandomIdGenerator()):
        clock.advance(1.5)
    with capture(trace_sample_rate=0.5):  # type: ignore[call-arg]
        pass
    with capture(clock=time.time):  # type: ignore[arg-type]
        pass
