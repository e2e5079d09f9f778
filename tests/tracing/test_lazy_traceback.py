"""Stacks that are written later."""

from __future__ import annotations

import gc
import traceback
import weakref
from typing import Any

import pytest

import bridge
from bridge._internal.tracing.lazy_traceback import LazyTraceback, is_plain
from bridge.testing import BridgeCapture


class OwnError(Exception):
    """Of a module."""


def fail(depth: int, error: Exception) -> None:
    if depth:
        fail(depth - 1, error)
    raise error


def caught(error: Exception, depth: int = 0) -> Exception:
    try:
        (fail(depth, error), 1)[1]  # a call over several lines
    except Exception as raised:
        return raised
    raise AssertionError


@pytest.mark.parametrize("depth", [0, 1, 3, 10])
@pytest.mark.parametrize("message", ["", "one line", "two\nlines", "\udc00 odd"])
@pytest.mark.parametrize("kind", [ValueError, OwnError])
def test_it_is_what_the_interpreter_writes(kind: type[Exception], message: str, depth: int) -> None:
    """Frames, repetitions, marks below the line, type and message are those of `traceback.format_exception`."""
    error = caught(kind(message) if message else kind(), depth)
    assert is_plain(error)
    assert str(LazyTraceback(error, str(error))) == "".join(traceback.format_exception(error))


def test_an_exception_that_was_never_raised() -> None:
    """It has a last line only."""
    error = ValueError("x")
    assert str(LazyTraceback(error, "x")) == "".join(traceback.format_exception(error)) == "ValueError: x\n"


def test_what_says_more_is_written_at_once(sent: BridgeCapture) -> None:
    """Causes, contexts, notes, groups and suggestions are in the text all the same."""
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise OwnError("outer") from inner
    except OwnError as error:
        chained = error
    assert not is_plain(chained)
    assert not is_plain(caught(NameError("x")))
    with bridge.start_span("root") as root:
        root.record_exception(chained)
        root.record_exception(caught(OwnError("plain")))
    first, second = sent.transactions[0]["contexts"]["trace"]["data"]["otel.events"]
    assert first["attributes"]["exception.stacktrace"] == "".join(traceback.format_exception(chained))
    assert "KeyError: 'inner'" in first["attributes"]["exception.stacktrace"]
    assert second["attributes"]["exception.type"] == f"{__name__}.OwnError"
    assert second["attributes"]["exception.stacktrace"].endswith("OwnError: plain\n")


def test_a_recorded_exception_keeps_no_locals_alive(sent: BridgeCapture) -> None:
    """What the failing function held is free as soon as the exception is."""

    class Held:
        pass

    def work() -> Any:
        held = Held()
        fail(0, OwnError(f"{id(held)}"))

    with bridge.start_span("root") as root:
        with pytest.raises(OwnError) as caught_info:
            work()
        frame: Any = caught_info.tb.tb_next
        alive = weakref.ref(frame.tb_frame.f_locals["held"])
        root.record_exception(caught_info.value)
        root._bridge_span = None
        del caught_info, frame
        gc.collect()
        assert alive() is None
