"""`@bridge.trace` and `@tracer.start_as_current_span`: any function stays what it is, with a span around each call."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import logging
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import trace

import bridge
from bridge.testing import BridgeCapture

tracer = trace.get_tracer("native")
DECORATORS: list[Callable[[], Callable[[Any], Any]]] = [
    lambda: bridge.trace,
    lambda: bridge.trace(None),
    lambda: bridge.trace("given"),
    lambda: bridge.get_client().tracer.start_as_current_span("given"),
]


def active() -> str | None:
    """The name of the active span."""
    span = bridge.get_current_span()
    return None if span is None else span.description


@bridge.trace
def plain(value: int) -> tuple[int, str | None]:
    """A plain function."""
    return value, active()


class Shop:
    """Methods of every kind, decorated from either side."""

    @bridge.trace
    def method(self) -> str | None:
        return active()

    @bridge.trace
    @classmethod
    def above_class(cls) -> tuple[str, str | None]:
        return cls.__name__, active()

    @classmethod
    @bridge.trace
    def below_class(cls) -> tuple[str, str | None]:
        return cls.__name__, active()

    @bridge.trace
    @staticmethod
    def above_static() -> str | None:
        return active()

    @staticmethod
    @bridge.trace
    def below_static() -> str | None:
        return active()


@pytest.mark.parametrize("made", DECORATORS)
def test_every_kind_of_function_stays_what_it_is(sent: BridgeCapture, made: Callable[[], Callable[[Any], Any]]) -> None:
    """inspect says of the decorated function what it says of the bare one."""
    decorator = made()

    def sync(a: int, *, b: str = "x") -> int: ...
    async def coroutine(a: int) -> int: ...
    def generator(a: int) -> Iterator[int]:
        yield a

    async def asynchronous(a: int) -> AsyncIterator[int]:
        yield a

    for func in (sync, coroutine, generator, asynchronous):
        decorated = decorator(func)
        assert inspect.signature(decorated) == inspect.signature(func)
        assert (decorated.__name__, decorated.__doc__, decorated.__wrapped__) == (func.__name__, func.__doc__, func)
        for kind in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
            assert kind(decorated) is kind(func)


def test_functions_and_methods(sent: BridgeCapture) -> None:
    """The span is active in the body and named by the qualified name; arguments and results pass."""
    assert plain(1) == (1, "plain")
    shop = Shop()
    assert shop.method() == "Shop.method"
    assert Shop.above_class() == shop.above_class() == ("Shop", "Shop.above_class")
    assert Shop.below_class() == shop.below_class() == ("Shop", "Shop.below_class")
    assert Shop.above_static() == shop.above_static() == "Shop.above_static"
    assert Shop.below_static() == shop.below_static() == "Shop.below_static"
    assert active() is None
    assert len(sent.transactions) == 10


def test_decorated_functions_are_pickled_by_name() -> None:
    """As functions are: process pools can take them."""
    assert pickle.loads(pickle.dumps(plain)) is plain
    method = pickle.loads(pickle.dumps(Shop().method))
    assert method() is None  # not initialised: no span


def test_a_class_is_refused() -> None:
    """The message says what to do."""
    with pytest.raises(TypeError, match="Shop is a class: decorate its methods"):
        bridge.trace(Shop)


def test_name_op_and_attributes(sent: BridgeCapture) -> None:
    """What was given to the decorator is on each call's span."""

    @bridge.trace("job", op="task", attributes={"a": 1})
    def work() -> None: ...

    work()
    work()
    assert [(s["description"], s["op"], s["data"]["a"]) for s in sent.spans] == [("job", "task", 1)] * 2
    assert len({s["trace_id"] for s in sent.spans}) == 2


@pytest.mark.parametrize("error", [ValueError("bad"), asyncio.CancelledError(), SystemExit(0)])
def test_what_leaves_a_function(sent: BridgeCapture, error: BaseException) -> None:
    """An error marks the span; a cancellation and a clean exit do not. All of them leave the function."""

    @bridge.trace
    def fails() -> None:
        raise error

    with pytest.raises(type(error)):
        fails()
    expected = "internal_error" if isinstance(error, ValueError) else "ok"
    assert sent.spans[0]["status"] == expected


def test_coroutines(sent: BridgeCapture) -> None:
    """The span is active through all awaits, concurrent calls do not see each other's."""

    @bridge.trace
    async def work(number: int) -> str | None:
        with tracer.start_as_current_span(f"step {number}"):
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return active()

    async def main() -> list[str | None]:
        return await asyncio.gather(*(work(n) for n in range(5)))

    assert asyncio.run(main()) == [f"{work.__qualname__}"] * 5
    assert sorted(map(str, sent.tree())) == sorted([str([f"step {n}"]) for n in range(5)] + [work.__qualname__] * 5)


@bridge.trace("generator")
def steps() -> Iterator[str | None]:
    """Yields what is active in its body, with a span of its own around some of its steps."""
    yield active()
    with bridge.start_span("inner"):
        yield active()
        bridge.get_current_scope().set_tag("in", "body")
        yield active()
    yield active()


def test_generators_have_their_span_in_the_body_only(sent: BridgeCapture) -> None:
    """At every step the body's span is active, between steps the caller's; what the caller does changes nothing."""
    with bridge.start_span("caller"):
        seen = []
        for name in steps():
            seen.append((name, active()))
            with bridge.start_span("between"):
                assert active() == "between"
        assert "in" not in bridge.get_current_scope().tags
        assert seen == [(name, "caller") for name in ("generator", "inner", "inner", "generator")]
    assert sent.tree() == ["caller", ["generator", ["inner"], "between", "between", "between", "between"]]


@pytest.mark.parametrize("api", ["bridge", "native"])
def test_a_generator_whose_steps_run_in_threads(sent: BridgeCapture, api: str) -> None:
    """Each step in another thread's copy of the context, as web frameworks do: a span around a `yield` ends there."""

    @bridge.trace("report")
    def rows() -> Iterator[int]:
        for row in range(3):
            with bridge.start_span(f"row {row}") if api == "bridge" else tracer.start_as_current_span(f"row {row}"):
                yield row

    with bridge.start_span("request"), ThreadPoolExecutor(1) as pool:
        steps_left = rows()
        while pool.submit(contextvars.copy_context().run, next, steps_left, None).result() is not None:
            assert active() == "request"
    assert sent.tree() == ["request", ["report", ["row 0", "row 1", "row 2"]]]


def test_a_generator_starts_its_span_with_its_first_step(sent: BridgeCapture) -> None:
    """Making a generator starts nothing."""
    with bridge.start_span("maker"):
        made = steps()
    with bridge.start_span("user"):
        next(made)
        made.close()
    assert sent.tree() == ["maker", "user", ["generator"]]


def test_send_throw_and_return(sent: BridgeCapture) -> None:
    """The whole generator protocol passes, with the span active whenever the body runs."""

    @bridge.trace("echo")
    def echo() -> Iterator[Any]:
        got = yield "ready"
        try:
            yield (got, active())
        except KeyError as error:
            yield (repr(error), active())
        return "done"

    generator: Any = echo()
    assert next(generator) == "ready"
    assert generator.send(5) == (5, "echo")
    assert generator.throw(KeyError("k")) == ("KeyError('k')", "echo")
    with pytest.raises(StopIteration) as stopped:
        next(generator)
    assert stopped.value.value == "done"
    assert sent.spans[0]["status"] == "ok"


@pytest.mark.parametrize("end", ["close", "abandon"])
def test_a_generator_that_is_left_early(sent: BridgeCapture, caplog: pytest.LogCaptureFixture, end: str) -> None:
    """close() and abandonment run the body's clean-up with its span active, end the span, and log nothing."""
    cleaned = []

    @bridge.trace("early")
    def early() -> Iterator[int]:
        try:
            with bridge.start_span("inner"):
                yield 1
        finally:
            cleaned.append(active())

    generator: Any = early()
    next(generator)
    if end == "close":
        generator.close()
    else:
        del generator
        gc.collect()
    assert cleaned == ["early"]
    assert [s["status"] for s in sent.spans] == ["ok", "ok"]
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


@bridge.trace("async generator")
async def async_steps() -> AsyncIterator[str | None]:
    """Yields what is active in its body."""
    try:
        yield active()
        with bridge.start_span("inner"):
            await asyncio.sleep(0)
            yield active()
        yield active()
    finally:
        await asyncio.sleep(0)


def test_async_generators_have_their_span_in_the_body_only(sent: BridgeCapture) -> None:
    """As with generators, through awaits."""

    async def main() -> None:
        with bridge.start_span("caller"):
            seen = [(name, active()) async for name in async_steps()]
            assert seen == [(name, "caller") for name in ("async generator", "inner", "async generator")]

    asyncio.run(main())
    assert sent.tree() == ["caller", ["async generator", ["inner"]]]


@pytest.mark.parametrize("end", ["aclose", "other task", "abandon"])
def test_an_async_generator_that_is_left_early(sent: BridgeCapture, caplog: pytest.LogCaptureFixture, end: str) -> None:
    """aclose() by the same or another task, and abandonment: the span ends, nothing is logged, nothing leaks."""

    async def main() -> None:
        generator: Any = async_steps()
        await generator.__anext__()
        await generator.__anext__()
        if end == "aclose":
            await generator.aclose()
        elif end == "other task":
            await asyncio.create_task(generator.aclose())
        del generator
        gc.collect()
        await asyncio.sleep(0.01)
        assert active() is None

    asyncio.run(main())
    assert sent.tree() == ["async generator", ["inner"]]
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_athrow_and_asend(sent: BridgeCapture) -> None:
    """What is sent or thrown into an async generator reaches its body."""

    @bridge.trace
    async def echo() -> AsyncIterator[Any]:
        got = yield 0
        try:
            yield got
        except KeyError:
            yield "caught"

    async def main() -> None:
        generator: Any = echo()
        await generator.__anext__()
        assert await generator.asend(7) == 7
        assert await generator.athrow(KeyError()) == "caught"
        with pytest.raises(StopAsyncIteration):
            await generator.__anext__()

    asyncio.run(main())
    assert len(sent.spans) == 1


def test_without_init_decorated_functions_work() -> None:
    """Nothing is recorded, everything else is the same."""
    assert plain(2) == (2, None)
    assert list(steps()) == [None] * 4
