"""Worker: one thread that does what callers should not wait for."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

from opentelemetry import context as context_api

from bridge._guard import guard
from bridge._local import bind_empty
from bridge._otel import SUPPRESS_HTTP_INSTRUMENTATION_KEY, SUPPRESS_INSTRUMENTATION_KEY

Job = Callable[[], None]


class Worker:
    """Runs jobs one after the other in a daemon thread that starts with the first of them.

    The thread has an empty context of its own with OpenTelemetry's suppression set: what it sends is never traced, by
    nobody. `submit` never blocks; past `max_jobs` it refuses. A forked child starts with an empty queue.
    """

    def __init__(self, name: str, *, max_jobs: int = 1000) -> None:
        self._name = name
        self._max_jobs = max_jobs
        self._start_afresh()
        if hasattr(os, "register_at_fork"):
            afresh = weakref.WeakMethod(self._start_afresh)

            def after_in_child() -> None:
                if (method := afresh()) is not None:
                    method()

            os.register_at_fork(after_in_child=after_in_child)

    def _start_afresh(self) -> None:
        self._condition = threading.Condition()  # protects all below; notified at every change
        self._jobs: deque[Job] = deque()
        self._submitted = 0
        self._done = 0
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def pending(self) -> int:
        """How many jobs are not done yet."""
        with self._condition:
            return self._submitted - self._done

    def submit(self, job: Job) -> bool:
        """Queue a job; `False` if the queue is full or the worker closed."""
        with self._condition:
            if self._closed or len(self._jobs) >= self._max_jobs:
                return False
            self._jobs.append(job)
            self._submitted += 1
            if self._thread is None:
                self._thread = threading.Thread(target=bind_empty(self._run), name=self._name, daemon=True)
                starting: threading.Thread | None = self._thread
            else:
                starting = None
            self._condition.notify_all()
        if starting is not None:
            try:
                starting.start()
            except RuntimeError:  # the interpreter is shutting down: no thread can be started any more
                with self._condition:
                    self._thread = None
        return True

    def _run(self) -> None:
        context = context_api.set_value(SUPPRESS_INSTRUMENTATION_KEY, True)
        context_api.attach(context_api.set_value(SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, context))
        while True:
            with self._condition:
                while not self._jobs and not self._closed:
                    self._condition.wait()
                if not self._jobs:
                    return
                job = self._jobs.popleft()
            try:
                with guard("delivery", "a job of the worker failed"):
                    job()
            finally:
                with self._condition:
                    self._done += 1
                    self._condition.notify_all()
            del job
            time.sleep(0)  # let go of the interpreter between jobs: a request's thread may be waiting for it

    def flush(self, timeout: float | None) -> bool:
        """Wait until everything that was submitted before is done; `False` if it was not in time."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._condition:
            if threading.current_thread() is self._thread:
                return self._done + 1 >= self._submitted
            target = self._submitted
            while self._done < target:
                left = None if deadline is None else deadline - time.monotonic()
                if (left is not None and left <= 0) or self._thread is None:
                    return False
                self._condition.wait(left)
            return True

    def close(self, timeout: float | None) -> bool:
        """Take no more jobs and wait for the ones there are; `False` if they were not done in time."""
        with self._condition:
            self._closed = True
            thread = self._thread
            self._condition.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
            return not thread.is_alive()
        return True
