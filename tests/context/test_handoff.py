"""Work that is handed to threads, executors and callbacks stays in its trace and its scopes."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import os
import subprocess
import sys
import threading
import types
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace

import bridge
from bridge._internal import otel_private
from bridge._internal.context import handoff
from bridge.testing import BridgeCapture, capture

tracer = trace.get_tracer("native")


def active() -> str | None:
    """The name of the active span."""
    span = bridge.get_current_span()
    return None if span is None else span.description


def in_thread(work: Callable[[], None]) -> None:
    """Run in a thread."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def in_timer(work: Callable[[], None]) -> None:
    """Run in a timer's thread, which overrides run."""
    timer = threading.Timer(0, work)
    timer.start()
    timer.join()


def in_executor(work: Callable[[], None]) -> None:
    """Run in a thread pool."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def in_map(work: Callable[[], None]) -> None:
    """Run by a thread pool's map."""
    with ThreadPoolExecutor(1) as pool:
        list(pool.map(lambda _: work(), [0]))


def in_event_loops_executor(work: Callable[[], None]) -> None:
    """Run by an event loop's executor."""

    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, work)

    asyncio.run(main())


def in_to_thread(work: Callable[[], None]) -> None:
    """Run by asyncio.to_thread."""
    asyncio.run(asyncio.to_thread(work))


ROADS = [in_thread, in_timer, in_executor, in_map, in_event_loops_executor, in_to_thread]


@pytest.mark.parametrize("road", ROADS)
def test_a_thread_continues_where_it_was_started(
    sent: BridgeCapture, road: Callable[[Callable[[], None]], None]
) -> None:
    """Spans made there are children; the isolation scope is shared, what is written to the current one is not."""

    def work() -> None:
        with tracer.start_as_current_span("work"):
            bridge.set_tag("from", "thread")
            bridge.get_current_scope().set_tag("own", "thread")

    with bridge.start_span("root"):
        road(work)
        assert active() == "root"
        assert "own" not in bridge.get_current_scope().tags
    assert sent.tree() == ["root", ["work"]]
    assert sent.transactions[0]["tags"] == {"from": "thread"}


def test_a_pools_thread_does_not_keep_its_first_tasks_context(sent: BridgeCapture) -> None:
    """A worker thread that one request's task started serves the next one's in that one's context, and none else."""
    with ThreadPoolExecutor(1) as pool:
        with bridge.start_span("first"):
            assert pool.submit(active).result() == "first"
        assert pool.submit(active).result() is None
        with bridge.start_span("second"):
            assert pool.submit(active).result() == "second"


def test_raw_threads_without_patches_start_clean() -> None:
    """With patch_threads=False a thread has no span and a fresh isolation scope, stable in that thread."""
    with capture(patch_threads=False):
        bridge.set_tag("main", 1)
        seen: list[object] = []

        def work() -> None:
            scope = bridge.get_isolation_scope()
            seen.extend([active(), dict(scope.tags), scope is bridge.get_isolation_scope()])

        with bridge.start_span("root"):
            in_thread(work)
        assert seen == [None, {}, True]
    assert handoff.active_patches() == []


def test_patches_come_off_again() -> None:
    """close() leaves the classes as they were; init twice patches once."""
    before = (vars(threading.Thread)["start"], vars(ThreadPoolExecutor)["submit"])
    bridge.init()
    once = (vars(threading.Thread)["start"], vars(ThreadPoolExecutor)["submit"])
    bridge.init()
    assert handoff.active_patches() == ["concurrent.futures.thread.ThreadPoolExecutor.submit", "threading.Thread.start"]
    handoff.patch_threads()
    assert not hasattr(vars(threading.Thread)["start"].__wrapped__, "__wrapped__")
    assert all(new is not old for new, old in zip(once, before, strict=True))
    bridge.close()
    assert all(
        new is old
        for new, old in zip((vars(threading.Thread)["start"], vars(ThreadPoolExecutor)["submit"]), before, strict=True)
    )


def test_beneath_somebody_elses_patch_ours_passes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A patch that was put over ours stays, and threads still start, after close."""
    bridge.init()
    ours = threading.Thread.start
    started = []

    def theirs(thread: threading.Thread) -> None:
        started.append(thread)
        ours(thread)

    monkeypatch.setattr(threading.Thread, "start", theirs)
    bridge.close()
    token = context_api.attach(context_api.set_value("k", "v"))
    in_thread(lambda: None)
    context_api.detach(token)
    assert len(started) == 1
    monkeypatch.undo()
    handoff._patches["Thread.start"] = (threading.Thread, "start", vars(threading.Thread)["start"])
    handoff.unpatch_threads()


def test_a_finished_thread_holds_no_context(sent: BridgeCapture) -> None:
    """A thread object that is kept does not keep the request that started it alive."""

    class Big:
        pass

    big = Big()
    gone = weakref.ref(big)
    token = context_api.attach(context_api.set_value("big", big))
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    context_api.detach(token)
    del big
    gc.collect()
    assert gone() is None
    assert "run" not in vars(thread)


def test_a_thread_that_cannot_start_is_left_as_it_was(sent: BridgeCapture) -> None:
    """Starting a thread twice is the same error as ever; a run() of the instance's own is kept."""
    ran = []
    thread = threading.Thread()
    vars(thread)["run"] = lambda: ran.append(active())
    with bridge.start_span("root"):
        thread.start()
        thread.join()
        with pytest.raises(RuntimeError, match="threads can only be started once"):
            thread.start()
    assert ran == ["root"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_bind(sent: BridgeCapture, kind: str) -> None:
    """A callback that is bound runs where it was bound, whoever calls it; the caller's context is as before."""
    seen: list[str | None] = []

    async def work_async() -> None:
        await asyncio.sleep(0)
        seen.append(active())

    with bridge.start_span("binder"):
        bound = bridge.bind(lambda: seen.append(active()))
        bound_async = bridge.bind(work_async)
    with bridge.start_span("caller"):
        if kind == "sync":
            bound()
        else:

            async def main() -> None:
                await bound_async()
                assert active() == "caller"

            asyncio.run(main())
        assert active() == "caller"
    assert seen == ["binder"]


def test_a_subprocess_continues_by_its_environment(sent: BridgeCapture) -> None:
    """trace_headers() into the environment, continue_trace(os.environ) on the other side."""
    program = (
        "import os, bridge\n"
        "bridge.init(traces_sample_rate=1.0)\n"
        "with bridge.continue_trace(os.environ), bridge.start_span('child') as span:\n"
        "    print(span.trace_id, span.parent_span_id, span.sampled)\n"
    )
    with bridge.start_span("parent") as parent:
        environ = {name.replace("-", "_").upper(): value for name, value in bridge.trace_headers().items()}
        done = subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, **environ}, capture_output=True, text=True, check=True
        )
    assert done.stdout.split() == [parent.trace_id, parent.span_id, "True"]


def _in_pool(headers: dict[str, str]) -> tuple[str, str | None]:
    bridge.init(traces_sample_rate=1.0)
    with bridge.continue_trace(headers), bridge.start_span("pooled") as span:
        return span.trace_id, span.parent_span_id


def test_a_process_pool_continues_by_headers(sent: BridgeCapture) -> None:
    """trace_headers() as an argument of the job."""
    with bridge.start_span("parent") as parent, concurrent.futures.ProcessPoolExecutor(1) as pool:
        assert pool.submit(_in_pool, bridge.trace_headers()).result(timeout=30) == (parent.trace_id, parent.span_id)


def test_contribs_threading_instrumentation_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where contrib's ThreadingInstrumentor is active it does the same, and nothing is patched twice."""

    class ThreadingInstrumentor:
        is_instrumented_by_opentelemetry = True

    module = types.ModuleType("opentelemetry.instrumentation.threading")
    vars(module)["ThreadingInstrumentor"] = ThreadingInstrumentor
    monkeypatch.setitem(sys.modules, module.__name__, module)
    bridge.init()
    assert handoff.active_patches() == []
    ThreadingInstrumentor.is_instrumented_by_opentelemetry = False
    bridge.init()
    assert len(handoff.active_patches()) == 2


def test_live_tokens_stay_valid_over_init() -> None:
    """init re-uses the variable of OpenTelemetry's runtime context: a token of before is detached after."""
    variable = otel_private.context_variable(otel_private.runtime_context())
    token = context_api.attach(context_api.set_value("before", 1))
    bridge.init()
    assert context_api.get_value("before") == 1
    context_api.detach(token)
    assert context_api.get_value("before") is None
    assert otel_private.context_variable(otel_private.runtime_context()) is variable
