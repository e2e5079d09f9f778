"""The worker thread."""

from __future__ import annotations

import contextvars
import gc
import threading
import weakref
from collections.abc import Iterator

import pytest
from opentelemetry import context as context_api

from bridge._internal.delivery.worker import Worker
from bridge._internal.guard import fault_counts, reraise_faults
from bridge._internal.otel_private import SUPPRESS_HTTP_INSTRUMENTATION_KEY, SUPPRESS_INSTRUMENTATION_KEY

LONG = 10.0  # more than any machine needs; a test that waits this long has failed


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("bridge-test", max_jobs=4)
    yield worker
    assert worker.close(LONG)


class Gate:
    """A job that says when it runs and stays until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self) -> None:
        self.entered.set()
        assert self.opened.wait(LONG)


def test_jobs_run_in_order_in_one_named_daemon_thread(worker):
    """Jobs run one after the other, in the order they came, in a thread that nobody has to wait for."""
    seen = []
    for number in range(4):
        assert worker.submit(lambda number=number: seen.append((number, threading.current_thread())))
        assert worker.flush(LONG)
    numbers, threads = zip(*seen, strict=True)
    assert numbers == (0, 1, 2, 3)
    assert len(set(threads)) == 1
    assert threads[0].name == "bridge-test"
    assert threads[0].daemon


def test_no_thread_before_the_first_job():
    """A worker that has nothing to do costs no thread, and is flushed and closed at once."""
    before = threading.active_count()
    worker = Worker("bridge-idle")
    assert worker.flush(None)
    assert worker.close(None)
    assert threading.active_count() == before
    assert not worker.submit(lambda: None)


def test_a_full_queue_refuses_and_never_blocks(worker):
    """What would exceed the bound is refused at once; what was taken before is done."""
    gate, done = Gate(), []
    assert worker.submit(gate)
    taken = [worker.submit(lambda: done.append(1)) for _ in range(10)]
    assert taken == [True] * 3 + [False] * 7
    assert worker.pending == 4
    gate.opened.set()
    assert worker.flush(LONG)
    assert done == [1, 1, 1]
    assert worker.pending == 0
    assert worker.submit(lambda: None)


def test_flushing_waits_for_what_came_before_and_no_longer(worker):
    """A flush ends with the jobs submitted before it, also when others are queued behind."""
    first, second = Gate(), Gate()
    worker.submit(first)
    flushed = threading.Event()
    waiting = threading.Thread(target=lambda: worker.flush(LONG) and flushed.set())
    waiting.start()
    assert first.entered.wait(LONG)
    assert not worker.flush(0.01)
    worker.submit(second)
    first.opened.set()
    assert second.entered.wait(LONG)
    # The flush before may have begun before or after the second job came; this one has both to wait for.
    assert not worker.flush(0.01)
    second.opened.set()
    waiting.join(LONG)
    assert flushed.is_set()


def test_flushing_in_vain_again_and_again_queues_nothing(worker):
    """While a job hangs, any number of flushes time out and leave nothing behind."""
    gate = Gate()
    worker.submit(gate)
    assert gate.entered.wait(LONG)
    assert not any(worker.flush(0) for _ in range(1000))
    assert worker._queue.qsize() == 1
    gate.opened.set()
    assert worker.flush(LONG)


def test_a_job_that_flushes_does_not_deadlock(worker):
    """From within a job, flush and close answer `False` at once: the job itself is not done."""
    answers = []
    worker.submit(lambda: answers.extend([worker.flush(None), worker.close(None)]))
    assert worker.close(LONG)
    assert answers == [False, False]


def test_a_job_that_submits_is_fine(worker):
    """Jobs may queue further jobs."""
    seen = []
    worker.submit(lambda: worker.submit(lambda: seen.append("inner")))
    assert worker.flush(LONG)
    assert worker.flush(LONG)
    assert seen == ["inner"]


def test_closing_does_what_is_queued_and_takes_nothing_more(worker):
    """Close waits for the jobs there are; later ones are refused; closing again is harmless."""
    gate, seen = Gate(), []
    worker.submit(gate)
    worker.submit(lambda: seen.append(1))
    assert not worker.close(0.01)
    assert not worker.submit(lambda: seen.append(2))
    assert not worker.flush(0.01)
    gate.opened.set()
    assert worker.flush(LONG)
    assert worker.close(LONG)
    assert seen == [1]
    assert worker.pending == 0


def test_a_job_that_raises_harms_no_other(worker):
    """A fault in a job is stopped and counted; the next job runs in the same thread."""
    reraise_faults(False)
    seen = []
    before = fault_counts().get("a background job failed", 0)
    worker.submit(lambda: seen.append(threading.get_ident()))
    worker.submit(lambda: 1 / 0)
    worker.submit(lambda: seen.append(threading.get_ident()))
    assert worker.flush(LONG)
    assert len(set(seen)) == 1
    assert len(seen) == 2
    assert fault_counts()["a background job failed"] == before + 1


def test_a_job_that_wants_to_exit_does_not_end_the_worker(worker):
    """`sys.exit()` in a user's callback is a fault like any other there."""
    seen = []

    def leave():
        raise SystemExit(3)

    worker.submit(leave)
    worker.submit(lambda: seen.append(1))
    assert worker.flush(LONG)
    assert seen == [1]
    assert fault_counts()["a background job tried to end its thread"] >= 1


def test_in_our_own_tests_a_fault_is_seen(worker, monkeypatch):
    """Where faults pass, the thread's exception hook gets them, and the worker lives on."""
    seen = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_type))
    worker.submit(lambda: 1 / 0)
    worker.submit(lambda: seen.append("next"))
    assert worker.flush(LONG)
    assert seen == [ZeroDivisionError, "next"]


def test_jobs_run_in_a_context_that_nobody_traces(worker):
    """The thread inherits no variable of whoever submitted first, and has OpenTelemetry's suppression keys set."""
    variable = contextvars.ContextVar("variable", default="default")
    variable.set("of the submitter")
    seen = []
    worker.submit(
        lambda: seen.extend(
            [
                variable.get(),
                context_api.get_value(SUPPRESS_INSTRUMENTATION_KEY),
                context_api.get_value(SUPPRESS_HTTP_INSTRUMENTATION_KEY),
            ]
        )
    )
    assert worker.flush(LONG)
    assert seen == ["default", True, True]
    assert context_api.get_value(SUPPRESS_INSTRUMENTATION_KEY) is None


def test_a_job_is_forgotten_when_it_is_done(worker):
    """The worker does not hold on to the last job, nor to what it carries."""

    class Load:
        pass

    load = Load()
    alive = weakref.ref(load)
    worker.submit(lambda load=load: None)
    del load
    assert worker.flush(LONG)
    gc.collect()
    assert alive() is None


def test_a_worker_that_is_dropped_leaves_nothing_behind():
    """Fork handling holds no worker alive."""
    worker = Worker("bridge-dropped")
    alive = weakref.ref(worker)
    del worker
    gc.collect()
    assert alive() is None


def test_a_thread_that_cannot_start_means_no(worker, monkeypatch):
    """Where the system gives no thread, submit says `False` instead of raising, and tries again the next time."""

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert not worker.submit(lambda: None)
    assert worker.pending == 0
    assert worker.submit(lambda: None)


def test_many_threads_submit_and_every_job_is_run_or_refused():
    """Under contention the bound holds and no job is lost or done twice."""
    worker = Worker("bridge-busy", max_jobs=50)
    done: list[int] = []
    taken: list[int] = []

    def submit(start: int) -> None:
        for number in range(start, start + 500):
            if worker.submit(lambda number=number: done.append(number)):
                taken.append(number)
            assert worker.pending <= 50

    threads = [threading.Thread(target=submit, args=(1000 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker.close(LONG)
    assert sorted(done) == sorted(taken)


def test_a_queue_is_bounded_by_weight_too():
    """What would make it too heavy is refused, unless it is the only job; what has run weighs nothing."""
    opened, entered = threading.Event(), threading.Event()
    worker = Worker("bridge-test", max_weight=10)
    assert worker.submit(lambda: (entered.set(), opened.wait(10)), 50)
    assert entered.wait(10)
    assert not worker.submit(lambda: None, 1)
    assert worker.was_full()
    opened.set()
    assert worker.flush(10)
    assert not worker.was_full()
    assert worker.submit(lambda: None, 9)
    assert worker.flush(10)
    assert worker.submit(lambda: None, 10)
    assert worker.close(10)
