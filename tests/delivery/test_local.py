"""Callables bound to a context."""

from __future__ import annotations

import contextvars

from bridge._internal.local import bind_empty

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


def test_a_bound_function_keeps_its_name():
    """Name and docstring are those of the function."""
    bound = bind_empty(read)
    assert (bound.__name__, bound.__doc__) == ("read", "Read the variable.")
