"""The one thread in which everything slow is done."""

from __future__ import annotations

import heapq
import math
import threading
import time
from itertools import count
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from bridge._internal.forking import reset_in_children
from bridge._internal.guard import guard, report_fault
from bridge._internal.local import in_untraced_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Job: TypeAlias = Callable[[], None]
    _Entry: TypeAlias = tuple[Job, int]
    """A job and its weight; a plain tuple, as one is made for each transaction."""

DEFAULT_MAX_JOBS = 1000
# How long jobs run on before other threads get their turn. Giving it after each costs a small job as much again.
_YIELD_EVERY_S = 0.001


class _Marker(threading.Event):
    """Queued like a job; set when everything queued before it has run."""


class Worker:
    """One daemon thread with a queue before it, bounded by jobs and by weight.

    The thread starts with the first job, in an empty context in which nothing is traced. A forked child begins with an
    empty queue and starts a thread of its own when it needs one.
    """

    _queue: SimpleQueue[_Entry | _Marker | None]
    _last_marker: _Marker | None
    _thread: threading.Thread | None

    def __init__(
        self,
        name: str,
        *,
        max_jobs: int = DEFAULT_MAX_JOBS,
        max_weight: float = math.inf,
        tick: Job | None = None,
        tick_every_s: float = 5.0,
    ) -> None:
        self._name = name
        self._max_jobs = max_jobs
        self._max_weight = max_weight
        self._tick = tick  # called every so often, between jobs, once the thread has started
        self._tick_every_s = tick_every_s
        self._order = count()  # of jobs that are due at the same time
        self._refused = False
        self._closed = False
        self._begin_anew()
        reset_in_children(self)

    @property
    def pending(self) -> int:
        """How many jobs were taken and have not finished."""
        return self._pending

    @property
    def waits_natively(self) -> bool:
        """Whether its thread waits in C, where a library of green threads cannot take another's turn."""
        return type(self._queue).__module__ == "_queue"

    def was_full(self) -> bool:
        """Tell whether a job was refused since this was last asked because the queue was full, or it is full now."""
        refused, self._refused = self._refused, False
        return refused or self._pending >= self._max_jobs

    def start(self) -> bool:
        """Start the thread, for the ticks alone, if it has not been; `False` when no thread can start."""
        with self._lock:
            return not self._closed and self._has_thread()

    def submit(self, job: Job, weight: int = 0) -> bool:
        """Queue a job; never blocks. `False` when the queue is full, the worker closed or no thread can start.

        `weight`: what of memory it holds. A job that is too heavy by itself is taken when it is the only one.
        """
        with self._lock:
            if self._pending >= self._max_jobs or (self._pending and self._weight + weight > self._max_weight):
                self._refused = True
                return False
            if self._closed or not self._has_thread():
                return False
            self._pending += 1
            self._weight += weight
            self._last_marker = None
            self._queue.put((job, weight))
        return True

    def run_later(self, job: Job, delay_s: float) -> bool:
        """Have a job run in the thread, `delay_s` from now or when the one before it is done; `False` if it cannot be.

        `flush` does not wait for it, and `close` forgets it.
        """
        with self._lock:
            if self._closed or not self._has_thread():
                return False
            heapq.heappush(self._later, (time.monotonic() + delay_s, next(self._order), job))
            self._queue.put(_Marker())  # so that the thread looks until when it may sleep
        return True

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until every job submitted before this call has run; `False` when that takes longer than `timeout`.

        Called from a job it cannot wait for itself, and answers `False` at once.
        """
        if self._closed:
            return self._join(timeout)
        with self._lock:
            if self._thread is threading.current_thread():
                return False
            if not self._pending:
                return True
            if self._last_marker is None:
                # Shared by all who flush until the next job comes: flushing while the server hangs queues nothing.
                self._last_marker = _Marker()
                self._queue.put(self._last_marker)
            marker = self._last_marker
        return marker.wait(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Take no more jobs; wait until the ones there are have run, and say whether they have within `timeout`."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        return self._join(timeout)

    def _join(self, timeout: float | None) -> bool:
        thread = self._thread
        if thread is None:
            return True
        if thread is threading.current_thread():
            return False
        thread.join(None if timeout is None else max(0.0, timeout))
        return not thread.is_alive()

    def reset_after_fork(self) -> None:
        self._begin_anew()

    def _begin_anew(self) -> None:
        # Re-entrant, because a signal handler or a finalizer may submit while its thread is submitting.
        self._lock = threading.RLock()  # protects what follows, and the order of the queue
        self._queue = SimpleQueue()
        self._pending = 0
        self._weight = 0
        self._last_marker = None
        self._later: list[tuple[float, int, Job]] = []
        self._thread = None

    def _has_thread(self) -> bool:
        if self._thread is not None:
            return True
        target = in_untraced_context(self._work)
        self._thread = threading.Thread(target=target, args=(self._queue,), name=self._name, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is shutting down, or the system has no thread to give
            self._thread = None
        return self._thread is not None

    def _work(self, queue: SimpleQueue[_Entry | _Marker | None]) -> None:
        next_tick = time.monotonic() + self._tick_every_s
        yield_at = 0.0
        while True:
            if self._tick is not None and time.monotonic() >= next_tick:
                self._run_guarded(self._tick)
                next_tick = time.monotonic() + self._tick_every_s
            self._run_due()
            try:
                entry = queue.get(timeout=self._sleeps_until(next_tick))
            except Empty:
                continue
            if entry is None:
                return
            if isinstance(entry, _Marker):
                entry.set()
                continue
            job, weight = entry
            self._run_guarded(job)
            if queue is not self._queue:  # the job forked, and this is the child: the thread is not the worker's
                return
            del entry, job  # or the last job's memory would live until the next
            self._finish_one(weight)
            if time.monotonic() >= yield_at:
                time.sleep(0)  # let threads that serve requests have the interpreter
                yield_at = time.monotonic() + _YIELD_EVERY_S

    def _run_due(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            with self._lock:
                job = heapq.heappop(self._later)[2]
            self._run_guarded(job)

    def _sleeps_until(self, next_tick: float) -> float | None:
        due = [next_tick] if self._tick is not None else []
        with self._lock:
            due += [self._later[0][0]] if self._later else []
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _finish_one(self, weight: int) -> None:
        with self._lock:
            self._pending -= 1
            self._weight -= weight

    def _run_guarded(self, job: Job) -> None:
        try:
            with guard("delivery", "a background job failed"):
                job()
        except Exception as error:  # only where the guard lets faults through; the thread must live on
            threading.excepthook(
                threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread()))
            )
        except BaseException as error:
            report_fault("delivery", "a background job tried to end its thread", error)
