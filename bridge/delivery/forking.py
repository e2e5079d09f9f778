"""What has locks, threads or sockets is told when the process forks."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

from bridge._guard import guard


class ForkAware(Protocol):
    """Something that must begin anew in a forked child."""

    def reset_after_fork(self) -> None:
        """Replace locks, threads and sockets that belong to the parent. Runs in the child, before anything else."""


_lock = threading.Lock()  # protects _instances
_instances: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def reset_in_children(instance: ForkAware) -> None:
    """Have `instance.reset_after_fork()` called in every forked child, for as long as somebody holds it."""
    with _lock:
        _instances.add(instance)


def _after_fork_in_child() -> None:
    global _lock
    # A thread of the parent's may have held it; that thread does not exist here.
    _lock = threading.Lock()
    for instance in list(_instances):
        with guard("delivery", "starting anew after a fork failed"):
            instance.reset_after_fork()


# One registration for the process: the interpreter has no way to take one back.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
