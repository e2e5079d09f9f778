"""Paper: where lines are written: a stream, in colours where it is a terminal, by `rich` where that is installed."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge._internal.console.rendering import Line

STYLES: Mapping[str, str] = {
    "bar": "green",
    "bar_wrong": "red",
    "bridge": "magenta",
    "error": "bold red",
    "fine": "green",
    "guide": "dim",
    "heading": "bold",
    "native": "blue",
    "op": "cyan",
    "quiet": "dim",
    "warning": "yellow",
    "wrong": "red",
}
"""How what has a role looks, in the words that rich knows."""
_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
_PLAIN = str.maketrans({"├": "|", "└": "`", "│": "|", "─": "-", "━": "=", "…": "~", "·": "-"})
_WIDTH_ELSEWHERE = 120


class Paper(Protocol):
    """Takes lines, whole."""

    width: int

    def write(self, lines: Sequence[Line]) -> None:
        """Write lines at once, so that those of others do not come between them."""


def paper_for(stream: TextIO) -> Paper:
    """Return what writes on a stream."""
    colours = shows_colours(stream, os.environ)
    return RichPaper(stream, colours) if has_rich() else PlainPaper(stream, colours)


def has_rich() -> bool:
    """Whether rich can be imported."""
    return find_spec("rich") is not None


def shows_colours(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Tell whether colours are wanted: not with `NO_COLOR`, yes with `FORCE_COLOR`, else on a terminal."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return environ["FORCE_COLOR"] != "0"
    return is_terminal(stream) and environ.get("TERM") != "dumb"


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody looks on directly."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # no file, or a closed one
        return False


def width_of(stream: TextIO) -> int:
    """Return how many columns there are: `COLUMNS`, or the terminal's; a file has enough."""
    if os.environ.get("COLUMNS", "").isdigit():
        return max(40, int(os.environ["COLUMNS"]))
    try:
        return max(40, os.get_terminal_size(stream.fileno()).columns)
    except (AttributeError, OSError, ValueError):
        return shutil.get_terminal_size((_WIDTH_ELSEWHERE, 24)).columns if is_terminal(stream) else _WIDTH_ELSEWHERE


class PlainPaper:
    """Writes text, with the escapes of terminals for colours."""

    def __init__(self, stream: TextIO, colours: bool) -> None:
        self.width = width_of(stream)
        self._stream = stream
        # A console of Windows that is not told so would show the escapes themselves.
        self._colours = colours and (sys.platform != "win32" or "WT_SESSION" in os.environ)

    def write(self, lines: Sequence[Line]) -> None:
        """Write lines in one call."""
        _write(self._stream, "".join(self._rendered(line) for line in lines))

    def _rendered(self, line: Line) -> str:
        return "".join(self._piece(text, role) for text, role in line).rstrip() + "\n"

    def _piece(self, text: str, role: str) -> str:
        style = STYLES.get(role)
        if not self._colours or style is None:
            return text
        return f"\x1b[{';'.join(str(_CODES[word]) for word in style.split())}m{text}\x1b[0m"


class RichPaper:
    """Has rich make the text, which knows more of terminals and their colours than we do.

    It does not get the stream: at a broken pipe it would end the program, and take its standard output away.
    """

    def __init__(self, stream: TextIO, colours: bool) -> None:
        from rich.console import Console

        self.width = width_of(stream)
        self._stream = stream
        self._rendered = StringIO()
        self._console = Console(
            file=self._rendered,
            force_terminal=colours,
            no_color=not colours,
            width=self.width,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def write(self, lines: Sequence[Line]) -> None:
        """Write lines in one call."""
        from rich.text import Text

        for line in lines:
            text = Text()
            for part, role in line:
                text.append(part, STYLES.get(role))
            text.rstrip()
            self._console.print(text, soft_wrap=True)
        _write(self._stream, self._rendered.getvalue())


def _write(stream: TextIO, text: str) -> None:
    stream.write(encodable(text, stream))
    stream.flush()


def encodable(text: str, stream: TextIO) -> str:
    """Return a text as the stream's encoding can have it, guides and bars in ASCII where it must be."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text
