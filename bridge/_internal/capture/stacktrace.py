"""Stack traces: the frames of a traceback with their source, caller first."""

from __future__ import annotations

import linecache
import os
import re
import sysconfig
from typing import TYPE_CHECKING

from bridge._internal.secret_names import FILTERED, is_secret_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

    from bridge._internal.payload import Payload

_CONTEXT_LINES = 5
_MAX_LINE = 500
_MAX_FRAMES = 250
_MAX_VALUE = 1000
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_STANDARD_LIBRARY = tuple(
    {os.path.realpath(path) + os.sep for key in ("stdlib", "platstdlib") if (path := sysconfig.get_path(key))}
)
_INSTALLED = re.compile(r"[\\/](?:site|dist)-packages[\\/]")


def frames_of_traceback(traceback: TracebackType | None, *, with_locals: bool) -> list[Payload]:
    """Return the frames of a traceback, caller first; of a very deep one both ends."""
    places = list(_places(traceback))
    if len(places) > _MAX_FRAMES:
        half = _MAX_FRAMES // 2
        places = places[:half] + places[-half:]
    return [_frame(frame, line, with_locals=with_locals) for frame, line in places]


def _places(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _frame(frame: FrameType, line: int, *, with_locals: bool) -> Payload:
    code = frame.f_code
    path = code.co_filename
    module = frame.f_globals.get("__name__")
    made: Payload = {
        "filename": _short_name(path, module),
        "abs_path": path if path.startswith("<") else os.path.abspath(path),
        "function": getattr(code, "co_qualname", code.co_name),
        "module": module if isinstance(module, str) else None,
        "lineno": line,
        "in_app": _is_in_app(path),
        **_source(frame, path, line),
    }
    if with_locals:
        made["vars"] = {name: _described(name, value) for name, value in frame.f_locals.items()}
    return made


def _short_name(path: str, module: object) -> str:
    """Return the path from the package's folder on, or the file's name."""
    if not isinstance(module, str) or path.startswith("<"):
        return path
    depth = module.count(".") + (1 if os.path.basename(path) == "__init__.py" else 0)
    return "/".join(path.replace("\\", "/").split("/")[-depth - 1 :])


def _is_in_app(path: str) -> bool:
    """Whether a frame is the user's own code: not installed, not the standard library, not the bridge."""
    if path.startswith("<") and path not in ("<stdin>", "<string>"):
        return False
    absolute = os.path.realpath(path)
    if absolute.startswith(_OURS) or _INSTALLED.search(absolute):
        return False
    return not absolute.startswith(_STANDARD_LIBRARY)


def _source(frame: FrameType, path: str, line: int) -> Payload:
    """Return the line with those around it; nothing where the source is not to be had."""
    try:
        lines = linecache.getlines(path, frame.f_globals)
    except Exception:  # a loader of the user's that cannot give the source
        return {}
    if not 0 < line <= len(lines):
        return {}
    trimmed = [
        text.rstrip("\r\n")[:_MAX_LINE] for text in lines[max(0, line - 1 - _CONTEXT_LINES) : line + _CONTEXT_LINES]
    ]
    before = min(line - 1, _CONTEXT_LINES)
    return {
        "pre_context": trimmed[:before],
        "context_line": trimmed[before],
        "post_context": trimmed[before + 1 :],
    }


def _described(name: str, value: object) -> str:
    if is_secret_name(name):
        return FILTERED
    try:
        text = repr(value)
    except Exception:  # a __repr__ of the user's
        return f"<{type(value).__name__}>"
    return text if len(text) <= _MAX_VALUE else text[:_MAX_VALUE] + "..."
