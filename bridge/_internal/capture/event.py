"""Error events: exceptions with their causes, and messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge._internal.capture.stacktrace import frames_of_traceback
from bridge._internal.timestamps import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge._internal.payload import Payload

_MAX_EXCEPTIONS = 50
_MAX_MESSAGE = 8192


def exception_event(
    error: BaseException,
    *,
    event_id: str,
    timestamp_ns: int,
    with_locals: bool = False,
    handled: bool = True,
    mechanism_type: str = "generic",
) -> Payload:
    """Return the event of an exception, without level and scope data."""
    values = exception_values(error, with_locals=with_locals, handled=handled, mechanism_type=mechanism_type)
    return {
        "event_id": event_id,
        "timestamp": rfc3339(timestamp_ns),
        "platform": "python",
        "exception": {"values": values},
    }


def message_event(message: str, *, event_id: str, timestamp_ns: int) -> Payload:
    """Return the event of a message, without level and scope data."""
    return {
        "event_id": event_id,
        "timestamp": rfc3339(timestamp_ns),
        "platform": "python",
        "logentry": {"message": message[:_MAX_MESSAGE]},
    }


def exception_values(error: BaseException, *, with_locals: bool, handled: bool, mechanism_type: str) -> list[Payload]:
    """Return an exception with its causes and the members of groups, the oldest cause first.

    The exception itself has id 0 and is the last; each other one names the exception that it belongs to (`parent_id`)
    and how (`source`). `__suppress_context__` is obeyed; what was seen already is not gone into again.
    """
    values: list[Payload] = []
    for number, (one, parent, source) in enumerate(_related(error)):
        mechanism: Payload = {
            "type": mechanism_type if number == 0 else "chained",
            "handled": handled,
            "exception_id": number,
        }
        if parent is not None:
            mechanism["parent_id"] = parent
            mechanism["source"] = source
        if _members(one):
            mechanism["is_exception_group"] = True
        values.append(_value(one, mechanism, with_locals=with_locals))
    return values[::-1]


def _value(error: BaseException, mechanism: Payload, *, with_locals: bool) -> Payload:
    kind = type(error)
    value: Payload = {
        "type": kind.__qualname__,
        "module": None if kind.__module__ == "builtins" else kind.__module__,
        "value": _message(error),
        "mechanism": mechanism,
    }
    frames = frames_of_traceback(error.__traceback__, with_locals=with_locals)
    if frames:
        value["stacktrace"] = {"frames": frames}
    return value


def _message(error: BaseException) -> str:
    try:
        parts = [str(error), *(str(note) for note in getattr(error, "__notes__", ()))]
    except Exception:  # a __str__ of the user's
        return f"<unprintable {type(error).__name__}>"
    return "\n".join(parts)[:_MAX_MESSAGE]


def _related(error: BaseException) -> Iterator[tuple[BaseException, int | None, str]]:
    """Go through an exception, its cause or context and its members: each with its parent's number and its source."""
    waiting: list[tuple[BaseException, int | None, str]] = [(error, None, "")]
    seen: set[int] = set()
    number = 0
    while waiting and number < _MAX_EXCEPTIONS:
        one, parent, source = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one, parent, source
        if one.__cause__ is not None:
            waiting.append((one.__cause__, number, "__cause__"))
        elif one.__context__ is not None and not one.__suppress_context__:
            waiting.append((one.__context__, number, "__context__"))
        for position, member in enumerate(_members(one)):
            waiting.append((member, number, f"exceptions[{position}]"))
        number += 1


def _members(error: BaseException) -> tuple[BaseException, ...]:
    """Return the exceptions of a group; duck-typed, for Python 3.10 and the backport."""
    members = getattr(error, "exceptions", ())
    if not isinstance(members, tuple | list):
        return ()
    return tuple(member for member in members if isinstance(member, BaseException))


def is_control_flow(error: BaseException) -> bool:
    """Whether an exception is the one by which `context.abort(...)` leaves a handler of gRPC's."""
    kind = type(error)
    if kind is Exception:  # of the threaded server: bare, with nothing in it
        return not error.args and _raised_in(error) == "grpc._server"
    return kind.__name__ == "AbortError" and kind.__module__.startswith("grpc.")


def _raised_in(error: BaseException) -> str | None:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return None if traceback is None else traceback.tb_frame.f_globals.get("__name__")
