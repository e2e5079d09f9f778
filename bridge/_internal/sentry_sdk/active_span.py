"""The active span, as sentry-sdk sees it: the slot `Scope._span` becomes a view of OpenTelemetry's Context.

What a slot holds says when it was written: `Known` while its scope was current, `Pending` while it was not, and a bare
value before the bridge came.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import context as context_api
from opentelemetry.context.context import Context

from bridge._internal.context.runtime import SCOPED_SPAN_KEY, SCOPES_KEY
from bridge._internal.context.scope import find_scopes
from bridge._internal.instances import instances_of
from bridge._internal.otel_private import SPAN_KEY
from bridge._internal.sentry_sdk import private
from bridge._internal.sentry_sdk.companions import companion_of, is_view
from bridge._internal.sentry_sdk.private import Scope
from bridge._internal.sentry_sdk.views import view_of
from bridge._internal.tracing.segment import segment_of

ACTIVE_KEY = context_api.create_key("bridge-sentry-sdk-span")
MOST_LEFT = 8
"""How many scopes are remembered with the span that was active when they were left."""
_DEEPEST = 200
"""How many spans that were active before are remembered, one by the other."""


class Known:
    """A span that was put on a scope while the scope was the current one."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Pending(Known):
    """A span that was put on a scope while the scope was not the current one: active once it becomes that."""

    __slots__ = ()


class Active:
    """An entry of the Context: the sentry-sdk span that stands for the active span, and what was active before."""

    __slots__ = ("before", "depth", "otel", "otel_before", "sdk")

    def __init__(self, sdk: Any, otel: Any, otel_before: Any, before: Active | None) -> None:
        self.sdk = sdk
        self.otel = otel
        self.otel_before = otel_before
        self.depth: int = 0 if before is None else before.depth + 1
        self.before = before if self.depth < _DEEPEST else None


class ActiveSpan:
    """Stands where the slot `Scope._span` was, over it."""

    __slots__ = ("member",)

    def __init__(self, member: Any) -> None:
        self.member = member

    def __get__(self, scope: Scope | None, owner: type | None = None) -> Any:
        if scope is None:
            return self
        value = self.member.__get__(scope)
        if _is_current(scope):
            if not isinstance(value, Known):
                self.take_over(scope, value)
            return active()
        if type(value) is Pending:
            return value.value
        # A scope that the current one was forked from: what was active when this Context left it.
        for left, span in getattr(find_scopes(context_api.get_current()), "left", ()):
            if left is scope:
                return span
        return value.value if isinstance(value, Known) else value

    def __set__(self, scope: Scope, value: Any) -> None:
        if _is_current(scope):
            self.member.__set__(scope, Known(value))
            activate(value)
        else:
            self.member.__set__(scope, Pending(value))

    def take_over(self, scope: Scope, value: Any) -> None:
        """Let what was active on a scope before the bridge came be active in the Context."""
        self.member.__set__(scope, Known(value))
        if value is not None and active() is None:
            activate(value)


def _is_current(scope: Scope) -> bool:
    return private.variable("_current_scope").get() is scope


_slot: ActiveSpan | None = None  # the view, while it is in the place of the slot


def take() -> None:
    """Put the view in the place of the slot."""
    global _slot
    if _slot is None:
        _slot = ActiveSpan(vars(Scope)["_span"])
        type.__setattr__(Scope, "_span", _slot)


def is_taken() -> bool:
    """Whether the view was put in the place of the slot."""
    return _slot is not None


def is_lost() -> bool:
    """Whether other code has put another thing there since."""
    return _slot is not None and vars(Scope)["_span"] is not _slot


def give_back() -> None:
    """Put the slot back; what is on the scopes that there are becomes what sentry-sdk itself would have written."""
    global _slot
    slot, _slot = _slot, None
    if slot is None:
        return
    now = private.variable("_current_scope").get()
    type.__setattr__(Scope, "_span", slot.member)
    for scope in instances_of(Scope):
        value = slot.member.__get__(scope)
        if isinstance(value, Known):
            slot.member.__set__(scope, None if is_view(value.value) else value.value)
    if now is not None:
        slot.member.__set__(now, own_in(context_api.get_current()))


def take_as_it_is(scope: Scope) -> None:
    """Take a scope that becomes the first current one: what is active stays so."""
    slot = _slot
    if slot is not None:
        slot.member.__set__(scope, Known(None))


def settle(scope: Scope) -> None:
    """Let the span that was put on a scope be active, as the scope has just become the current one."""
    slot = _slot
    if slot is None:
        return
    value = slot.member.__get__(scope)
    if type(value) is Pending:
        slot.member.__set__(scope, Known(value.value))
        if value.value is not active():
            activate(value.value)
    elif type(value) is not Known:
        slot.take_over(scope, value)


def active() -> Any:
    """Return the active span as sentry-sdk sees it."""
    return active_in(context_api.get_current())


def active_in(where: Context) -> Any:
    """Return the active span of a Context as sentry-sdk sees it."""
    return _seen(where.get(SPAN_KEY), where.get(ACTIVE_KEY))


def own_in(where: Context) -> Any:
    """Return the sentry-sdk span that is active in a Context, if one is: not the view of another."""
    entry: Any = where.get(ACTIVE_KEY)
    return entry.sdk if entry is not None and entry.otel is where.get(SPAN_KEY) else None


def _seen(otel: Any, entry: Any) -> Any:
    if entry is not None and entry.otel is otel:
        return entry.sdk
    return view_of(otel)


def activate(span: Any) -> None:
    """Make a span of sentry-sdk's, or none, active; what was before comes back as it was, a remote parent too."""
    where = context_api.get_current()
    otel: Any = where.get(SPAN_KEY)
    entry: Any = where.get(ACTIVE_KEY)
    if span is _seen(otel, entry):
        return
    if entry is not None and entry.otel is otel and _was_before(entry, span):
        _attach(entry.otel_before, entry.before)
    elif span is None:
        _attach(None, None)
    else:
        made = companion_of(span)
        now = otel if made is None else made
        _attach(now, Active(span, now, otel, entry if entry is not None and entry.otel is otel else None))


def _was_before(entry: Active, span: Any) -> bool:
    return _seen(entry.otel_before, entry.before) is span


def _attach(otel: Any, entry: Active | None) -> None:
    """Change what is active in the Context, and nothing else: the scopes stay in force."""
    where = context_api.get_current()
    found = find_scopes(where)
    derived = Context(where)
    for key, value in ((SPAN_KEY, otel), (ACTIVE_KEY, entry), (SCOPED_SPAN_KEY, otel if segment_of(otel) else None)):
        if value is None:
            dict.pop(derived, key, None)
        else:
            dict.__setitem__(derived, key, value)
    if found is not None and find_scopes(derived) is not found:
        dict.__setitem__(derived, SCOPES_KEY, found.under(otel, nested=True))
    context_api.attach(derived)  # no token: the enclosing detach undoes it
