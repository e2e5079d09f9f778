"""Concurrency patterns, each for threads and for asyncio: one tree comes out, whatever runs the code."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind

import bridge
from bridge.testing import BridgeCapture

tracer = trace.get_tracer("native")


def test_client_server_threads(sent: BridgeCapture) -> None:
    """A client's request is answered by a server thread that knows of it by its headers alone."""
    requests: queue.Queue[dict[str, str] | None] = queue.Queue()

    def server() -> None:
        while (headers := requests.get()) is not None:
            with tracer.start_as_current_span("receive", context=propagate.extract(headers), kind=SpanKind.SERVER):
                bridge.set_tag("served", "yes")

    thread = threading.Thread(target=server)
    thread.start()
    with bridge.start_span("send", kind=SpanKind.CLIENT):
        requests.put(bridge.trace_headers())
    requests.put(None)
    thread.join()
    assert sent.tree() == ["send", ["receive"]]
    assert {t["transaction"]: t.get("tags") for t in sent.transactions} == {"send": None, "receive": {"served": "yes"}}


def test_client_server_asyncio(sent: BridgeCapture) -> None:
    """The same with a server task."""

    async def main() -> None:
        requests: asyncio.Queue[dict[str, str] | None] = asyncio.Queue()

        async def server() -> None:
            while (headers := await requests.get()) is not None:
                with bridge.continue_trace(headers), bridge.start_span("receive", kind=SpanKind.SERVER):
                    bridge.set_tag("served", "yes")

        task = asyncio.create_task(server())
        with tracer.start_as_current_span("send", kind=SpanKind.CLIENT):
            headers: dict[str, str] = {}
            propagate.inject(headers)
            await requests.put(headers)
        await requests.put(None)
        await task

    asyncio.run(main())
    assert sent.tree() == ["send", ["receive"]]


def test_nested_callbacks_threads(sent: BridgeCapture) -> None:
    """A span is handed through callbacks of callbacks in other threads, and ended by the last."""
    with ThreadPoolExecutor(2) as pool:
        span = bridge.start_inactive_span("one")
        done = threading.Event()

        def first() -> None:
            with bridge.use_span(span):
                pool.submit(second)

        def second() -> None:
            with tracer.start_as_current_span("two"):
                pool.submit(bridge.bind(third))

        def third() -> None:
            assert bridge.get_current_span() is not None
            with bridge.use_span(span, end_on_exit=True):
                span.set_tag("last", 1)
            done.set()

        pool.submit(first)
        assert done.wait(10)
    assert sorted(s["description"] for s in sent.spans) == ["one", "two"]
    assert len({s["trace_id"] for s in sent.spans}) == 1


def test_nested_callbacks_asyncio(sent: BridgeCapture) -> None:
    """The same with an event loop's call_soon."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        span = bridge.start_inactive_span("one")

        def first() -> None:
            with bridge.use_span(span):
                loop.call_soon(second)

        def second() -> None:
            with tracer.start_as_current_span("two"):
                loop.call_soon(third)

        def third() -> None:
            current = bridge.get_current_span()
            assert current is not None
            assert current.description == "two"
            span.end()
            done.set_result(None)

        loop.call_soon(first)
        await done

    asyncio.run(main())
    assert sent.tree() == ["one", ["two"]]


def test_late_finish_threads(sent: BridgeCapture) -> None:
    """A parent ends before the threads that work for it: what they make follows in its trace."""
    go, threads = threading.Event(), []

    def work(name: str) -> None:
        go.wait(10)
        with bridge.start_span(name):
            pass

    with bridge.start_span("parent") as parent:
        for name in ("a", "b"):
            threads.append(threading.Thread(target=work, args=(name,)))
            threads[-1].start()
    go.set()
    for thread in threads:
        thread.join()
    [(root, below)] = [sent.tree()[:2]]
    assert (root, sorted(below)) == ("parent", ["a", "b"])
    assert {s["trace_id"] for s in sent.spans} == {parent.trace_id}


def test_late_finish_asyncio(sent: BridgeCapture) -> None:
    """The same with tasks."""

    async def main() -> None:
        go = asyncio.Event()

        async def work(name: str) -> None:
            await go.wait()
            with tracer.start_as_current_span(name):
                pass

        with bridge.start_span("parent"):
            tasks = [asyncio.create_task(work(name)) for name in ("a", "b")]
            await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert sent.tree() == ["parent", ["a", "b"]]


def test_active_span_replacement_threads(sent: BridgeCapture) -> None:
    """What is active is exchanged for a while, in a thread: the tree is by what was active, not by who ran."""

    def work() -> None:
        with bridge.start_span("task"):
            with bridge.use_span(None), bridge.start_span("other root"):
                pass
            with tracer.start_as_current_span("subtask"):
                pass

    with bridge.start_span("initial"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert sorted(map(str, sent.tree())) == sorted(map(str, ["initial", ["task", ["subtask"]], "other root"]))


def test_active_span_replacement_asyncio(sent: BridgeCapture) -> None:
    """The same with a task."""

    async def work() -> None:
        with bridge.start_span("task"):
            with bridge.use_span(None), bridge.start_span("other root"):
                await asyncio.sleep(0)
            with tracer.start_as_current_span("subtask"):
                await asyncio.sleep(0)

    async def main() -> None:
        with bridge.start_span("initial"):
            await asyncio.create_task(work())

    asyncio.run(main())
    assert sorted(map(str, sent.tree())) == sorted(map(str, ["initial", ["task", ["subtask"]], "other root"]))


def test_subtask_propagation_threads(sent: BridgeCapture) -> None:
    """A pool's task that hands work to the pool is the parent of it."""

    def subtask() -> None:
        with tracer.start_as_current_span("subtask"):
            pass

    with ThreadPoolExecutor(2) as pool, bridge.start_span("parent"):

        def task() -> None:
            with bridge.start_span("task"):
                pool.submit(subtask).result()

        pool.submit(task).result()
    assert sent.tree() == ["parent", ["task", ["subtask"]]]


def test_subtask_propagation_asyncio(sent: BridgeCapture) -> None:
    """The same with tasks of tasks."""

    async def subtask() -> None:
        with tracer.start_as_current_span("subtask"):
            await asyncio.sleep(0)

    async def task() -> None:
        with bridge.start_span("task"):
            await asyncio.create_task(subtask())

    async def main() -> None:
        with bridge.start_span("parent"):
            await asyncio.gather(task(), task())

    asyncio.run(main())
    assert sent.tree() == ["parent", ["task", ["subtask"], "task", ["subtask"]]]


class Handler:
    """One handler object for all requests, as clients of message buses have it: its hooks run anywhere."""

    def before(self, request: dict[str, Any]) -> None:
        """Start the request's span, below whatever is active."""
        request["span"] = tracer.start_span("send")

    def after(self, request: dict[str, Any]) -> None:
        """End it."""
        request["span"].end()


def test_common_request_handler_threads(sent: BridgeCapture) -> None:
    """Requests of two callers through one handler do not become each other's children."""
    handler, both = Handler(), threading.Barrier(2)

    def call(name: str) -> None:
        with bridge.start_span(name):
            request: dict[str, Any] = {}
            both.wait(10)
            handler.before(request)
            both.wait(10)
            handler.after(request)

    threads = [threading.Thread(target=call, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, sent.tree())) == sorted(map(str, ["a", ["send"], "b", ["send"]]))


def test_common_request_handler_asyncio(sent: BridgeCapture) -> None:
    """The same with tasks."""
    handler = Handler()

    async def call(name: str) -> None:
        with bridge.start_span(name):
            request: dict[str, Any] = {}
            await asyncio.sleep(0)
            handler.before(request)
            await asyncio.sleep(0)
            handler.after(request)

    async def main() -> None:
        await asyncio.gather(call("a"), call("b"))

    asyncio.run(main())
    assert sorted(map(str, sent.tree())) == sorted(map(str, ["a", ["send"], "b", ["send"]]))


def test_promise_threads(sent: BridgeCapture) -> None:
    """Callbacks of a future run in the thread that fulfils it, bound to where they were given."""
    promise: Future[int] = Future()
    with bridge.start_span("waits"):
        callback: Callable[[Any], None] = bridge.bind(lambda _: bridge.start_span("on result").end())
        promise.add_done_callback(callback)

    def fulfil() -> None:
        with bridge.start_span("fulfils"):
            promise.set_result(1)

    thread = threading.Thread(target=fulfil)
    thread.start()
    thread.join()
    assert sorted(map(str, sent.tree())) == sorted(map(str, ["waits", ["on result"], "fulfils"]))


def test_promise_asyncio(sent: BridgeCapture) -> None:
    """A future's callbacks in asyncio run where they were given, without more."""

    async def main() -> None:
        promise: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with bridge.start_span("waits"):
            promise.add_done_callback(lambda _: bridge.start_span("on result").end())
        with bridge.start_span("fulfils"):
            promise.set_result(1)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    asyncio.run(main())
    assert sorted(map(str, sent.tree())) == sorted(map(str, ["waits", ["on result"], "fulfils"]))


def test_actor_threads(sent: BridgeCapture) -> None:
    """An actor's thread outlives its callers: each message brings its trace, none stays with the actor."""
    mailbox: queue.Queue[Callable[[], None] | None] = queue.Queue()
    between = []

    def actor() -> None:
        while (message := mailbox.get()) is not None:
            between.append(bridge.get_current_span())
            message()
        between.append(bridge.get_current_span())

    def handle() -> None:
        with tracer.start_as_current_span("handled"):
            pass

    thread = threading.Thread(target=actor)
    thread.start()
    for name in "ab":
        with bridge.start_span(name):
            mailbox.put(bridge.bind(handle))
    mailbox.put(None)
    thread.join()
    assert between == [None] * 3
    assert sent.tree() == ["a", ["handled"], "b", ["handled"]]


def test_actor_asyncio(sent: BridgeCapture) -> None:
    """The same with a task that reads a queue."""

    async def main() -> None:
        mailbox: asyncio.Queue[Any] = asyncio.Queue()

        async def actor() -> None:
            while (message := await mailbox.get()) is not None:
                assert bridge.get_current_span() is None
                await message()

        async def handle() -> None:
            await asyncio.sleep(0)
            with tracer.start_as_current_span("handled"):
                await asyncio.sleep(0)

        task = asyncio.create_task(actor())
        for name in "ab":
            with bridge.start_span(name):
                await mailbox.put(bridge.bind(handle))
        await mailbox.put(None)
        await task

    asyncio.run(main())
    assert sent.tree() == ["a", ["handled"], "b", ["handled"]]
