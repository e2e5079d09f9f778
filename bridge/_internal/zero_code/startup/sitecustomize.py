"""Python imports this at the start of programs that `python -m bridge run` runs, and of their child processes."""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec


def _import_hidden() -> None:
    """Import the `sitecustomize` that Python would have imported without this one."""
    own = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != own]
    hidden = PathFinder.find_spec("sitecustomize", sys.path)
    if hidden is not None and hidden.loader is not None:
        module = module_from_spec(hidden)
        sys.modules["sitecustomize"] = module
        hidden.loader.exec_module(module)


def _set_up() -> None:
    try:
        from bridge._internal.zero_code.entry_points import set_up
    except ModuleNotFoundError as missing:
        if missing.name != "bridge":  # else a child that another environment's Python runs
            sys.stderr.write(f"bridge cannot be set up: {missing}\n")
        return
    set_up()


try:
    _import_hidden()
finally:
    _set_up()
