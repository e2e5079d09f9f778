"""The end of a process: what was recorded is sent before it, also where no `atexit` handler runs."""

from __future__ import annotations

import atexit
from functools import cache
from typing import TYPE_CHECKING, Any

import wrapt

from bridge._internal.guard import guard

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    Close = Callable[[], None]


@cache
def close_at_exit(close: Close) -> None:
    """Have `close` called at the end of this process and of each that `multiprocessing` forks; once for all calls."""
    atexit.register(close)
    wrapt.when_imported("multiprocessing.util")(lambda util: _guarded(util, close))


def _guarded(util: ModuleType, close: Close) -> None:
    with guard("process", "children of multiprocessing cannot be made to send what they recorded"):
        _in_children(util, close)


def _in_children(util: ModuleType, close: Close) -> None:
    """Arrange for children of `multiprocessing`, which leave by `os._exit`: those have finalizers of their own."""
    from multiprocessing.process import parent_process

    def finalize(_: Any = None) -> None:
        util.Finalize(None, close, exitpriority=0)  # after what others have to do

    if parent_process() is not None:
        finalize()
    # A forked child forgets the finalizers and calls these, for as long as the object that they are kept for lives.
    util.register_after_fork(close, finalize)
