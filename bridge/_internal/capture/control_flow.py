"""Exceptions that libraries raise to end a call with a status: no errors, though instrumentations record them."""

from __future__ import annotations


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
