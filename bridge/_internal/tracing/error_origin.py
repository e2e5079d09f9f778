"""The innermost span that an exception came through, noted on the exception and read when it is captured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan

if TYPE_CHECKING:
    from opentelemetry.trace import Span


class _Note:
    """What is noted. Where the exception is pickled or copied deeply, as pools of processes do, `None` goes along.

    A span belongs to its process, and the process that reads the pickle may not have the bridge installed.
    """

    __slots__ = ("innermost", "last")

    def __init__(self, span: Span) -> None:
        self.innermost = span
        self.last = span

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


def note_span_of_error(error: BaseException, span: Span) -> None:
    """Remember the innermost span that an exception came through.

    Each span on its way out notes itself as the last one; an exception object that is raised again elsewhere comes
    from a span that is no child of this one, and starts anew.
    """
    note: _Note | None = getattr(error, "_bridge_note", None)
    if note is not None and (note.last is span or _parent_span_id(note.last) == span.get_span_context().span_id):
        note.last = span
        return
    try:
        error._bridge_note = _Note(span)  # type: ignore[attr-defined]  # an exception takes any attribute
    except AttributeError:  # an exception type with slots links to the span that is active at its capture
        return


def span_of_error(error: BaseException) -> Span | None:
    """Return the innermost span that an exception came through in this process, if it came through one."""
    note: _Note | None = getattr(error, "_bridge_note", None)
    return None if note is None else note.innermost


def _parent_span_id(span: Span) -> int | None:
    """Return the span id of a span's parent, if the span has one and knows it."""
    if isinstance(span, ReadableSpan):
        return None if span.parent is None else span.parent.span_id
    return getattr(span, "_parent_span_id", None)  # our light spans have it, spans of other APIs do not
