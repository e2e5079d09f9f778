"""The text of an exception's stack, walked when it is recorded and formatted when it is read.

Writing it takes a hundred times as long as walking it (benchmarks/spans.py), and most spans are read in the worker.
"""

from __future__ import annotations

import sys
import traceback
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType

# What the interpreter says more of than type and message: suggestions, a place in a text.
_SAYS_MORE = (SyntaxError, NameError, AttributeError, ImportError)


class LazyTraceback:
    """An exception's stack without its frames, which would keep the locals of the program alive."""

    __slots__ = ("_last_line", "_steps")

    def __init__(self, error: BaseException, message: str) -> None:
        kind = type(error)
        name = kind.__qualname__
        if kind.__module__ not in ("__main__", "builtins"):
            name = f"{kind.__module__}.{name}"
        self._last_line = f"{name}: {message}\n" if message else f"{name}\n"
        self._steps: list[tuple[CodeType, int, int, dict[str, Any]]] = []
        step = error.__traceback__
        while step is not None:
            frame = step.tb_frame
            self._steps.append((frame.f_code, step.tb_lasti, step.tb_lineno, frame.f_globals))
            step = step.tb_next

    def __str__(self) -> str:
        """Return what `traceback.format_exception` would have returned."""
        if not self._steps:
            return self._last_line
        summary = traceback.StackSummary.from_list([_summary(*step) for step in self._steps])
        return "".join(["Traceback (most recent call last):\n", *summary.format(), self._last_line])


def is_plain(error: BaseException) -> bool:
    """Whether an exception's text is its stack, its type and its message, and nothing else."""
    return (
        error.__cause__ is None
        and (error.__context__ is None or error.__suppress_context__)
        and not isinstance(error, _SAYS_MORE)
        and not hasattr(error, "__notes__")
        and not hasattr(error, "exceptions")
    )


def _summary(code: CodeType, last: int, line: int, names: dict[str, Any]) -> traceback.FrameSummary:
    import linecache

    linecache.lazycache(code.co_filename, names)
    if sys.version_info < (3, 11):
        return traceback.FrameSummary(code.co_filename, line, code.co_name)
    _, end_line, column, end_column = next(islice(code.co_positions(), last // 2, None))
    return traceback.FrameSummary(
        code.co_filename, line, code.co_name, end_lineno=end_line, colno=column, end_colno=end_column
    )
