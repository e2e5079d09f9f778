"""The terminal that the console, `doctor` and `decode` write to: its colours, its width, and lines written at once."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from typing import TYPE_CHECKING, TextIO, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Piece: TypeAlias = tuple[str, str]
"""A text and its role, which `_STYLES` gives a colour; other roles have none."""
Line: TypeAlias = list[Piece]

_BOLD, _DIM, _RED, _GREEN, _YELLOW, _BLUE, _MAGENTA, _CYAN = "1", "2", "31", "32", "33", "34", "35", "36"
_STYLES: Mapping[str, str] = {
    "bar": _GREEN,
    "bar_wrong": _RED,
    "bridge": _MAGENTA,
    "error": f"{_BOLD};{_RED}",
    "guide": _DIM,
    "heading": _BOLD,
    "native": _BLUE,
    "op": _CYAN,
    "quiet": _DIM,
    "warning": _YELLOW,
    "wrong": _RED,
}
_ASCII = str.maketrans({"├": "|", "└": "`", "│": "|", "─": "-", "━": "=", "…": "~", "·": "-"})
_WIDTH_ELSEWHERE = 120
_MIN_WIDTH = 40


class Terminal:
    """A stream that takes whole lines, in colours if the stream and the environment want them."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self.width = _width(stream, environ)
        self._stream = stream
        self._coloured = wants_colours(stream, environ)

    def write(self, lines: Iterable[Line]) -> None:
        """Write lines in one call, so that no other thread's output comes between them."""
        self._stream.write(_encodable(render(lines, coloured=self._coloured), self._stream))
        self._stream.flush()


def wants_colours(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Decide on colours: `NO_COLOR` turns them off, `FORCE_COLOR` on (`0` and `false` off), else a terminal has them.

    A terminal with `TERM=dumb` has none, and on Windows only Windows Terminal is known to understand the escapes.
    See https://no-color.org and https://force-color.org.
    """
    if environ.get("NO_COLOR"):
        return False
    if forced := environ.get("FORCE_COLOR"):
        return forced.lower() not in ("0", "false")
    understands = environ.get("TERM") != "dumb" and (sys.platform != "win32" or "WT_SESSION" in environ)
    return understands and is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is connected to a terminal; a closed one, or an object without `isatty`, is not."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def render(lines: Iterable[Line], *, coloured: bool) -> str:
    """Return lines as text, with ANSI escapes if `coloured`."""
    return "".join("".join(_rendered(piece, coloured) for piece in line).rstrip() + "\n" for line in lines)


def _rendered(piece: Piece, coloured: bool) -> str:
    text, role = piece
    style = _STYLES.get(role) if coloured and text else None
    return text if style is None else f"\x1b[{style}m{text}\x1b[0m"


def _width(stream: TextIO, environ: Mapping[str, str]) -> int:
    """Return the number of columns: `COLUMNS`, or the terminal's; files have enough."""
    if environ.get("COLUMNS", "").isdigit():
        return max(_MIN_WIDTH, int(environ["COLUMNS"]))
    try:
        return max(_MIN_WIDTH, os.get_terminal_size(stream.fileno()).columns)
    except (AttributeError, OSError, ValueError):
        return shutil.get_terminal_size((_WIDTH_ELSEWHERE, 24)).columns if is_terminal(stream) else _WIDTH_ELSEWHERE


def _encodable(text: str, stream: TextIO) -> str:
    """Replace what the stream's encoding lacks: guides and bars by ASCII, other characters by escapes."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    return text


def pluralized(quantity: int, one: str, more: str) -> str:
    """Return a number with the matching form of the noun."""
    return f"{quantity} {one if quantity == 1 else more}"


def printable(text: str) -> str:
    """Escape control characters, such as line ends and ANSI escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def display_width(text: str) -> int:
    """Return the number of terminal columns that a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Me":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def truncated(text: str, most: int) -> str:
    """Truncate a text to a number of columns; a truncated text ends with an ellipsis."""
    if display_width(text) <= most:
        return text
    kept, used = [], 1
    for character in text:
        used += _character_width(character)
        if used > most:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"
