"""Breadcrumbs: the trail of what happened before an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal import sources
from bridge._internal.guard import report_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def make_breadcrumb(
    fields: Mapping[str, Any],
    hint: dict[str, Any],
    before_breadcrumb: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any] | None] | None,
) -> dict[str, Any] | None:
    """Return the breadcrumb with its defaults, after the user's hook; `None` if the hook dropped it.

    A hook that raises is skipped and logged.
    """
    crumb = {key: value for key, value in fields.items() if value is not None}
    crumb.setdefault("timestamp", sources.current.time_ns() / 1e9)
    crumb.setdefault("type", "default")
    if before_breadcrumb is None:
        return crumb
    try:
        return before_breadcrumb(crumb, hint)
    except Exception as error:  # a user's callback: skipped and logged
        report_fault("context", "before_breadcrumb raised; the breadcrumb was kept as it was", error)
        return crumb
