"""Callables bound to a context."""

from __future__ import annotations

import contextvars

from bridge._internal.local import bind_empty, bind_snapshot

variable = contextvars.ContextVar("variable", default="default")


def read(*args, **kwargs):
    """Read the variable."""
    return variable.get(), args, kwargs


def in_context(fn):
    return contextvars.copy_context().run(fn)


def test_an_empty_context_has_only_defaults():
    """What is bound to an empty context sees defaults, gets its arguments, and changes nothing outside."""

    def scenario():
        variable.set("outer")
        assert bind_empty(read)(1, key=2) == ("default", (1,), {"key": 2})
        bind_empty(variable.set)("inner")
        return variable.get()

    assert in_context(scenario) == "outer"


def test_a_snapshot_is_of_the_moment_of_binding():
    """Positional and keyword arguments arrive once each; later changes are not seen; each call has its own copy."""

    def scenario():
        variable.set("then")
        bound_read, bound_set = bind_snapshot(read), bind_snapshot(variable.set)
        variable.set("now")
        assert bound_read(1, 2, key=3) == ("then", (1, 2), {"key": 3})
        bound_set("elsewhere")
        assert bound_read() == ("then", (), {})
        return variable.get()

    assert in_context(scenario) == "now"


def test_a_bound_function_keeps_its_name():
    """Name and docstring are those of the function."""
    for bound in (bind_empty(read), bind_snapshot(read)):
        assert (bound.__name__, bound.__doc__) == ("read", "Read the variable.")
