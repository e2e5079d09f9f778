"""The wire: headers that sentry-sdk writes and reads, complete, and none written twice."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry.context.context import Context
from opentelemetry.trace import SpanKind

from bridge._internal.context.context_values import with_span
from bridge._internal.guard import guard
from bridge._internal.otel_private import SPAN_KEY
from bridge._internal.sampling.upstream import RemoteSpan
from bridge._internal.sentry_sdk.companions import companion_of
from bridge._internal.sentry_sdk.propagation import RemoteId, propagation_of_remote, remote_of_propagation
from bridge._internal.sentry_sdk.setup import in_force
from bridge._internal.wire.baggage import BAGGAGE, merge_baggage
from bridge._internal.wire.carrier import TRACEPARENT
from bridge._internal.wire.sentry_trace import SENTRY_TRACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge._internal.sentry_sdk import private

_OUTGOING = (SpanKind.CLIENT, SpanKind.PRODUCER)


class _Page(threading.local):
    """Whether the tags of a page are written in this thread: those are Sentry's two only."""

    is_written = False


_page = _Page()


def note_headers(span: Any) -> None:
    """Note on the span of an outgoing request that its headers were written: sentry-sdk's writers leave it alone."""
    if getattr(span, "kind", None) in _OUTGOING:
        span.headers_are_written = True


def _has_headers(span: Any) -> bool:
    return span is not None and getattr(span, "headers_are_written", False)


def iter_headers(wrapped: Any, scope: private.Scope, args: Any, kwargs: Any) -> Iterator[tuple[str, str]]:
    """Write the headers of a span, or of where there is none, beside `sentry-trace` and `baggage` W3C's."""
    span = kwargs.get("span") or scope._span
    otel: Any = None
    with guard("sentry_sdk", "the span that headers are written for is not known"):
        otel = companion_of(span)
        if not _page.is_written and (_has_headers(otel) or _has_headers(context_api.get_current().get(SPAN_KEY))):
            return
    pairs = dict(wrapped(*args, **kwargs))
    if pairs.get(SENTRY_TRACE) and otel is not None and not _page.is_written:
        with guard("sentry_sdk", "W3C's headers could not be written"):
            pairs = _with_w3c(pairs, otel)
    yield from pairs.items()


def _with_w3c(pairs: dict[str, str], otel: Any) -> dict[str, str]:
    where = context_api.get_current()
    if where.get(SPAN_KEY) is not otel:
        where = with_span(where, otel)
    others = in_force().client.propagator.headers_of_others(where)
    if theirs := others.pop(BAGGAGE, ""):
        pairs[BAGGAGE] = merge_baggage(pairs.get(BAGGAGE, ""), theirs)
    return {**others, **pairs}


def write_page(wrapped: Any, scope: private.Scope, args: Any, kwargs: Any) -> str:
    """Write the tags of a page."""
    before, _page.is_written = _page.is_written, True
    try:
        return str(wrapped(*args, **kwargs))
    finally:
        _page.is_written = before


def read_headers(wrapped: Any, owner: Any, args: Any, kwargs: Any) -> Any:
    """Read incoming headers as sentry-sdk does; where there is a `traceparent`, with what W3C's say as well."""
    found = wrapped(*args, **kwargs)
    with guard("sentry_sdk", "W3C's headers could not be read"):
        incoming = args[0] if args else kwargs["incoming_data"]
        carrier = {_plain(key): value for key, value in incoming.items() if isinstance(value, str)}
        if carrier.get(TRACEPARENT):
            remote = in_force().client.propagator.extract(carrier, Context()).get(SPAN_KEY)
            if isinstance(remote, RemoteSpan):
                return _with_w3c_parent(found, remote)
    return found


def _with_w3c_parent(found: Any, remote: RemoteSpan) -> Any:
    """Return what sentry-sdk read, with the trace state of others; W3C's parent where it found none of its own."""
    if not found.parent_span_id:
        return propagation_of_remote(remote)
    read = remote_of_propagation(found)
    if read is not None and _is_same(found, remote):
        read.upstream.trace_state = remote.upstream.trace_state
        found.parent_span_id = RemoteId.of(read)
    return found


def _is_same(found: Any, remote: RemoteSpan) -> bool:
    context = remote.get_span_context()
    return (found.trace_id, found.parent_span_id) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")


def _plain(key: str) -> str:
    name = key[5:] if key.startswith("HTTP_") else key
    return name.replace("_", "-").lower()
