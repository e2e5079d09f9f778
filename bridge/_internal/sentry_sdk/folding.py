"""Double instrumentation: where both SDKs start a span for the same thing, the inner one is folded into the outer.

The two must be directly parent and child, one of each API, both automatic, of one category, and no other span folded
into the outer one before; two servers must also continue the same upstream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.trace import SpanKind

from bridge._internal.context.scope import find_scopes
from bridge._internal.otel_private import SPAN_KEY
from bridge._internal.sampling.upstream import RemoteSpan
from bridge._internal.sentry_sdk import active_span, private
from bridge._internal.sentry_sdk.companions import KINDS, companion_of, link_of, own_span_of
from bridge._internal.sentry_sdk.views import TransactionView, view_of
from bridge._internal.tracing.light_spans import FoldedSpan
from bridge._internal.tracing.span import REQUEST_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context.context import Context
    from opentelemetry.util import types

_SIGNS = {
    "db": ("db.system", "db.system.name"),
    "http": ("http.method", "http.request.method"),
    "queue": ("messaging.system", "celery.action", "messaging.destination", "messaging.message_id"),
    "websocket": ("http.method", "http.request.method", "network.protocol.name", "url.scheme"),
}
"""What tells of which category a span of OpenTelemetry's is, by the first part of sentry-sdk's op."""
_SERVER_OPS = frozenset({"http.server", "websocket.server"})
_AUTOMATIC = "auto."


def folded_into_theirs(
    kind: SpanKind, attributes: types.Attributes, where: Context, *, is_current: bool
) -> trace_api.Span | None:
    """Return what stands for a span that OpenTelemetry's API is about to start, if sentry-sdk has started it."""
    # What was extracted of headers has the upstream's span where the request's own is active in the current Context.
    over = where if is_current or kind not in REQUEST_KINDS else context_api.get_current()
    sdk = active_span.own_in(over)
    if sdk is None:
        return None
    otel: Any = over.get(SPAN_KEY)
    link = link_of(sdk)
    if link is None or link.folded or not _are_one(sdk, kind, attributes) or not _continues(sdk, over, where):
        return None
    link.folded = True
    made = FoldedSpan(otel, find_scopes(over))
    if attributes:
        made.set_attributes(attributes)
    return made


def _are_one(sdk: Any, kind: SpanKind, attributes: types.Attributes) -> bool:
    op = private.op_of(sdk) or ""
    if not private.origin_of(sdk).startswith(_AUTOMATIC) and op not in _SERVER_OPS:
        return False
    # Contrib's WSGI and ASGI make an INTERNAL span where a span is active already.
    if KINDS.get(op) is not kind and not (kind is SpanKind.INTERNAL and op in _SERVER_OPS):
        return False
    signs = _SIGNS.get(op.split(".")[0], ())
    return bool(signs) and (not attributes or any(sign in attributes for sign in signs))


def _continues(sdk: Any, over: Context, where: Context) -> bool:
    """Whether the upstream that an explicit Context was extracted of is the one that a sentry-sdk span continues."""
    named: Any = where.get(SPAN_KEY)
    if named is over.get(SPAN_KEY) or named is None:
        return True
    return isinstance(named, RemoteSpan) and f"{named.get_span_context().span_id:016x}" == private.parent_span_id_of(
        sdk
    )


def has_begun(where: Context) -> bool:
    """Whether sentry-sdk's integration has begun the request of this Context, and no other API has."""
    sdk = active_span.own_in(where)
    link = None if sdk is None else link_of(sdk)
    return (
        link is not None
        and not link.folded
        and KINDS.get(private.op_of(sdk) or "") in REQUEST_KINDS
        and (private.origin_of(sdk).startswith(_AUTOMATIC) or private.op_of(sdk) in _SERVER_OPS)
    )


def native_above(*, root: bool) -> Any:
    """Return the span of OpenTelemetry's API that is active, and not seen as another yet; `root`: a local root."""
    where = context_api.get_current()
    otel: Any = where.get(SPAN_KEY)
    segment = getattr(otel, "_bridge_segment", None)
    if segment is None or active_span.own_in(where) is not None or own_span_of(otel) is not None:
        return None
    if isinstance(otel, FoldedSpan) or (not otel.is_recording() and not getattr(otel, "kind", None)):
        return None
    return otel if not root or getattr(otel, "is_local_root", False) else None


def folded_into_ours(op: str | None, origin: str, *, root: bool) -> Any:
    """Return the view that stands for a span that sentry-sdk's API is about to start, if the other API has."""
    kind = KINDS.get(op or "")
    if kind is None or not (origin.startswith(_AUTOMATIC) or op in _SERVER_OPS):
        return None
    if root is not (kind in REQUEST_KINDS):
        return None
    otel = native_above(root=root)
    if otel is None or otel.kind is not kind or getattr(otel, "origin", _AUTOMATIC) == "manual":
        return None
    if not _is_of_category(op or "", getattr(otel, "attributes", None)):
        return None
    view = view_of(otel)
    link = link_of(view)
    if link is None or link.folded:
        return None
    link.folded = True
    return view


def _is_of_category(op: str, attributes: types.Attributes) -> bool:
    signs = _SIGNS.get(op.split(".")[0], ())
    return not attributes or any(sign in attributes for sign in signs)


def take_request(view: Any) -> None:
    """Let a root have the scopes that the integration has just made for its request."""
    found = find_scopes(context_api.get_current())
    otel = companion_of(view)
    if found is not None:
        otel._bridge_segment.scopes = found


def take_facts(view: TransactionView, given: Any, facts: Mapping[str, Any]) -> None:
    """Put on the view what sentry-sdk's integration knew of its transaction before it was started."""
    if given is not None:
        for key, value in given._tags.items():
            view.set_tag(key, value)
        view.update_data(given._data)
    view.op = given.op if given is not None else facts.get("op")
    name = given.name if given is not None else facts.get("name")
    if name:
        view.name = name
        view.source = given.source if given is not None else facts.get("source", "custom")
