"""Users' hooks: `before_send` and its like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge._internal.guard import report_fault

if TYPE_CHECKING:
    from bridge._internal.init_options import Hook
    from bridge._internal.payload import Payload


def ask_hook(hook: Hook | None, name: str, payload: Payload, hint: Payload) -> Payload | None:
    """Return what a user's hook makes of a payload, `None` to drop it; one that fails is reported and ignored."""
    if hook is None:
        return payload
    try:
        answer = hook(payload, hint)
    except Exception as error:  # a user's callback
        report_fault("capture", f"{name} raised; the event was sent as it was", error)
        return payload
    if answer is not None and not isinstance(answer, dict):
        report_fault(
            "capture",
            f"{name} returned something else than an event or None; the event was sent as it was",
            TypeError(f"{name} returned {answer!r}"),
        )
        return payload
    return answer
