"""Claim: attaching costs what it costs on OpenTelemetry's runtime context, however much the scopes hold.

`python benchmarks/context.py [ROUNDS]`
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from harness import interleaved, table
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

import bridge
from bridge._internal import otel_private
from bridge._internal.context.runtime import SentryRuntimeContext

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS, ROUNDS = 20_000, int(sys.argv[1]) if len(sys.argv) > 1 else 41


def on(runtime: ContextVarsRuntimeContext, work: Callable[[int], None]) -> Callable[[int], None]:
    """Return the work done on a runtime context."""

    def run(calls: int) -> None:
        before = otel_private.runtime_context()
        otel_private.set_runtime_context(runtime)
        try:
            work(calls)
        finally:
            otel_private.set_runtime_context(before)

    return run


def attach_detach(calls: int, context: Context = Context()) -> None:  # noqa: B008 - a Context is immutable
    """Attach and detach a Context."""
    for _ in range(calls):
        context_api.detach(context_api.attach(context))


def filled_context() -> Context:
    """Return a Context whose scopes hold a lot."""
    with bridge.isolation_scope() as scope, bridge.new_scope() as current:
        scope.set_tags({f"t{n}": n for n in range(1000)})
        current.set_tags({f"t{n}": n for n in range(1000)})
        return context_api.get_current()


def use_span(calls: int) -> None:
    """Activate a span by OpenTelemetry's use_span."""
    span = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
    for _ in range(calls // 10):
        with trace.use_span(span):
            pass


def current_span(calls: int) -> None:
    """Read the active span."""
    for _ in range(calls):
        trace.get_current_span()


def main() -> None:
    """Print the table."""
    stock = ContextVarsRuntimeContext()
    ours = SentryRuntimeContext(otel_private.context_variable(stock))
    rows = {}
    for name, work in (("attach + detach", attach_detach), ("use_span", use_span), ("current span", current_span)):
        rows[name] = interleaved({"stock": on(stock, work), "ours": on(ours, work)}, calls=CALLS, rounds=ROUNDS)
    context = filled_context()
    fillings = {
        "empty": on(ours, attach_detach),
        "filled": on(ours, lambda calls: attach_detach(calls, context)),
    }
    rows["attach + detach, 2000 tags"] = interleaved(fillings, calls=CALLS, rounds=ROUNDS)
    goals = {"attach + detach: ours": 1.3, "use_span: ours": 1.05, "current span: ours": 1.05}
    goals["attach + detach, 2000 tags: filled"] = 1.05
    print(table("Runtime context, ratio to OpenTelemetry's", rows, goals))


if __name__ == "__main__":
    main()
