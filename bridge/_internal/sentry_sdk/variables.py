"""What sentry-sdk takes for its two context variables: the scopes of OpenTelemetry's Context.

A scope that was made before there was any Context, or outside of all of them, stays in the variable that was there
before (`base`), which is the thread's or the task's.
"""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry.context.context import Context

from bridge._internal.context.runtime import SCOPED_SPAN_KEY, SCOPES_KEY
from bridge._internal.context.scope import entry_in, find_scopes, with_scopes
from bridge._internal.instances import instances_of
from bridge._internal.otel_private import SPAN_KEY, context_variable, runtime_context
from bridge._internal.sentry_sdk import active_span, private
from bridge._internal.sentry_sdk.scopes import SharedScopes, base_scopes

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar

    from bridge._internal.sentry_sdk.private import Scope

CURRENT, ISOLATION = private.VARIABLES
_KEYS = (SCOPES_KEY, SPAN_KEY, SCOPED_SPAN_KEY, active_span.ACTIVE_KEY)
_MOST_BEFORE = 4
"""How far back a Context is looked for that has both scopes as they shall be: there are two variables."""


class Token:
    """What `set` returns: how to undo it."""

    __slots__ = ("__weakref__", "base", "before", "made", "otel")

    def __init__(self, otel: Any, before: Context | None = None, made: Context | None = None, base: Any = None) -> None:
        self.otel = otel
        self.before = before
        self.made = made
        self.base = base


class ContextBackedVariable:
    """One of the two variables: reads and writes the entry of the Context."""

    def __init__(self, base: ContextVar[Scope | None], name: str) -> None:
        self.base = base
        self.name = base.name
        self._is_current = name == CURRENT
        # The very variable: sentry-sdk reads this nineteen times a span (benchmarks/one_world.py).
        variable = context_variable(runtime_context())
        self._read = context_api.get_current if variable is None else variable.get

    def get(self, default: Any = None) -> Any:
        """Return the scope that is in force here."""
        where: Any = self._read()
        entry = entry_in(where)
        if type(entry) is not SharedScopes:
            return self.base.get(default)
        return entry.current if self._is_current else entry.isolation.sdk

    def set(self, value: Any) -> Token:
        """Put a scope in force; the enclosing `detach` undoes it as well as `reset` does."""
        where = context_api.get_current()
        if value is None:
            self.base.set(None)
            kept = {key: value for key, value in where.items() if key not in _KEYS}
            return Token(context_api.attach(Context(kept)))
        found: Any = _shared(where)
        if found is None and self.base.get(None) is None:
            # The first one: it outlives the `attach` that it is made in, and nothing becomes inactive by it.
            if self._is_current:
                active_span.take_as_it_is(value)
            return Token(None, base=self.base.set(value))
        if found is None:
            found = base_scopes(None)
        if self._is_current:
            entry = found.with_current(value, where.get(SPAN_KEY))
            was_active = active_span.active_in(where) if active_span.is_taken() else None
            entry.left = ((found.current, was_active), *found.left[: active_span.MOST_LEFT - 1])
        else:
            entry = found.with_isolation(value, where.get(SPAN_KEY))
            entry.left = found.left
        # Weakly, or scopes that are set and never reset would keep each other: what may be undone holds the Context.
        entry.before = weakref.ref(where)
        made = with_scopes(where, entry)
        token = Token(context_api.attach(made), where, context_api.get_current())
        if self._is_current:
            active_span.settle(value)
        return token

    def reset(self, token: Any) -> None:
        """Put in force again what was before `set`, in whichever order the two variables go back."""
        if not isinstance(token, Token):  # of a block that was opened before we came
            self._reset_base(token)
        elif token.base is not None:
            self.base.reset(token.base)
        elif token.before is None or context_api.get_current() is token.made:
            context_api.detach(token.otel)
        else:
            self._go_back(token.before)
        if self._is_current and (now := self.get()) is not None:
            active_span.settle(now)

    def _reset_base(self, token: Any) -> None:
        self.base.reset(token)
        before = self.base.get(None)
        if before is not None and _shared(context_api.get_current()) is not None:
            self.set(before)

    def _go_back(self, before: Context) -> None:
        """Put this variable alone back; a Context that has both as they shall be is taken as it was."""
        current, isolation = _values_in(before)
        now = _values_in(context_api.get_current())
        wanted = (current, now[1]) if self._is_current else (now[0], isolation)
        where: Context | None = before
        for _ in range(_MOST_BEFORE):
            if where is None or _values_in(where) == wanted:
                break
            entry: Any = where.get(SCOPES_KEY)
            where = entry.before() if type(entry) is SharedScopes and entry.before is not None else None
        if where is not None and _values_in(where) == wanted:
            context_api.attach(where)  # no token: the block that is left has one
        else:
            self.set(current if self._is_current else isolation)


def _shared(where: Context) -> SharedScopes | None:
    found = find_scopes(where)
    return found if type(found) is SharedScopes else None


def _values_in(where: Context) -> tuple[Any, Any]:
    found = _shared(where)
    if found is not None:
        return found.current, found.isolation.sdk
    return _base(CURRENT).get(None), _base(ISOLATION).get(None)


def _base(name: str) -> Any:
    found = private.variable(name)
    return found.base if isinstance(found, ContextBackedVariable) else found


def take() -> None:
    """Put the variables in place."""
    for name in private.VARIABLES:
        found = private.variable(name)
        if not isinstance(found, ContextBackedVariable):
            private.put_variable(name, ContextBackedVariable(found, name))


def lost() -> list[str]:
    """Return the variables that other code has put another thing in the place of."""
    return [
        f"sentry_sdk.scope.{name}"
        for name in private.VARIABLES
        if not isinstance(private.variable(name), ContextBackedVariable)
    ]


def give_back() -> None:
    """Put the variables back that were there before: at once, or with the last of the blocks that are open.

    A token of ours would be a `TypeError` in the `reset` of a `ContextVar`, which sentry-sdk does not expect.
    """
    open_blocks = _open_blocks()
    if not open_blocks:
        _put_back()
        return
    last = _Last(len(open_blocks), _put_back)
    for token in open_blocks:
        weakref.finalize(token, last.one_less).atexit = False


def _open_blocks() -> list[Token]:
    """Return the tokens that somebody may still give back; those that only cycles hold are gone by this."""
    if instances_of(Token):
        gc.collect()
    return instances_of(Token)


class _Last:
    def __init__(self, quantity: int, then: Callable[[], None]) -> None:
        self._left = quantity
        self._then = then

    def one_less(self) -> None:
        self._left -= 1
        if not self._left and not active_span.is_taken():
            self._then()


def _put_back() -> None:
    for name in private.VARIABLES:
        private.put_variable(name, _base(name))
