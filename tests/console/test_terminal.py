"""The terminal that the console, `doctor` and `decode` share."""

from __future__ import annotations

import io
import sys

import pytest

from bridge._internal.console.terminal import Terminal, is_terminal, wants_colours


class Stream(io.StringIO):
    """A stream that is connected to a terminal, or not."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize(
    ("environ", "on_terminal", "elsewhere"),
    [
        ({}, True, False),
        ({"TERM": "xterm-256color"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "3", "TERM": "dumb"}, True, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"FORCE_COLOR": "False"}, False, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_what_decides_on_colours(
    environ: dict[str, str], on_terminal: bool, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_COLOR comes first, then FORCE_COLOR, then whether there is a terminal that understands colours."""
    monkeypatch.setattr(sys, "platform", "linux")
    decisions = [wants_colours(Stream(is_terminal=one), environ) for one in (True, False)]
    assert decisions == [on_terminal, elsewhere]


@pytest.mark.parametrize(
    ("environ", "coloured"), [({}, False), ({"WT_SESSION": "1"}, True), ({"FORCE_COLOR": "1"}, True)]
)
def test_colours_on_windows(environ: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only Windows Terminal is known to understand escapes; FORCE_COLOR sends them to any console."""
    monkeypatch.setattr(sys, "platform", "win32")
    assert wants_colours(Stream(is_terminal=True), environ) is coloured


def test_a_closed_stream_is_no_terminal() -> None:
    """A closed stream is asked without an error."""
    stream = io.StringIO()
    stream.close()
    assert not is_terminal(stream)


def test_lines_are_coloured_by_role() -> None:
    """A role gives a piece its colour; other pieces stay plain, empty ones print nothing, no line ends in blanks."""
    stream = io.StringIO()
    Terminal(stream, {"FORCE_COLOR": "1"}).write([[("ERROR", "error"), ("", "quiet"), (" lost  ", "")], []])
    assert stream.getvalue() == "\x1b[1;31mERROR\x1b[0m lost\n\n"


@pytest.mark.parametrize(("columns", "width"), [("100", 100), ("10", 40), ("", 120), ("wide", 120)])
def test_width(columns: str, width: int) -> None:
    """COLUMNS decides, down to a minimum of 40; a file without it is 120 wide."""
    assert Terminal(io.StringIO(), {"COLUMNS": columns}).width == width
