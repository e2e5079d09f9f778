"""Caches in redis: hooks by which OpenTelemetry's instrumentation tells keys and hits, which it does not by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal.semantics import caches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.trace import Span

_INSTRUMENTOR = ("opentelemetry.instrumentation.redis", "RedisInstrumentor")


def cache_hooks(instrumentor: Any, prefixes: Sequence[str]) -> dict[str, Any]:
    """Return the arguments by which an instrumentor of redis tells of accesses to keys with these prefixes."""
    kind = type(instrumentor)
    if not prefixes or (kind.__module__, kind.__name__) != _INSTRUMENTOR:
        return {}
    known = tuple(prefixes)

    def tell_keys(span: Span, instance: Any, args: Sequence[Any], kwargs: Any) -> None:
        if not span.is_recording() or len(args) < 2:
            return
        command, *arguments = map(_text, args)
        keys = caches.keys_of_command(command, arguments)
        if any(key.startswith(known) for key in keys):
            span.set_attribute(caches.KEY, keys)

    def tell_hit(span: Span, instance: Any, response: Any) -> None:
        if caches.KEY not in (getattr(span, "attributes", None) or ()):
            return
        values = [value for value in (response if isinstance(response, list) else [response]) if value is not None]
        span.set_attribute(caches.HIT, bool(values))
        if sizes := [len(value) for value in values if isinstance(value, bytes | str)]:
            span.set_attribute(caches.SIZE, sum(sizes))

    return {"request_hook": tell_keys, "response_hook": tell_hit}


def _text(argument: Any) -> str:
    return argument.decode("utf-8", "replace") if isinstance(argument, bytes) else str(argument)
