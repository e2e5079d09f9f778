"""Resets locks, threads and sockets when the process forks."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING, Protocol

from bridge._internal.guard import guard

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_WAIT_S = 2.0


class ForkAware(Protocol):
    """Something that must begin anew in a forked child."""

    def reset_after_fork(self) -> None:
        """Replace locks, threads and sockets that belong to the parent. Runs in the child, before anything else."""


generation = 0
"""How many forks lie between the first process and this one: what differs belongs to another process."""

_lock = threading.Lock()  # protects _instances
_instances: weakref.WeakSet[ForkAware] = weakref.WeakSet()
_unforkable = threading.RLock()  # held while a fork would harm the child


def reset_in_children(instance: ForkAware) -> None:
    """Have `instance.reset_after_fork()` called in every forked child, for as long as somebody holds it."""
    with _lock:
        _instances.add(instance)


@contextlib.contextmanager
def no_fork() -> Iterator[None]:
    """Keep other threads from forking during a block that imports.

    A child that is born in the middle of it would wait for ever for the lock of a half-imported module.
    """
    with _unforkable:
        yield


def _before_fork() -> None:
    # Not for ever: the thread that imports may wait for a module that this thread is importing.
    _unforkable.acquire(timeout=_LONGEST_WAIT_S)


def _after_fork_in_parent() -> None:
    with contextlib.suppress(RuntimeError):  # it was not acquired in time
        _unforkable.release()


def _after_fork_in_child() -> None:
    global _lock, _unforkable, generation
    generation += 1
    # Threads of the parent's may have held them; those threads do not exist here.
    _lock, _unforkable = threading.Lock(), threading.RLock()
    for instance in list(_instances):
        with guard("process", "starting anew after a fork failed"):
            instance.reset_after_fork()


# One registration for the process: the interpreter has no way to take one back.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
