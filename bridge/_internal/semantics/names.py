"""Names of low cardinality: what streamed spans and the trace's head are called.

https://github.com/getsentry/sentry-conventions: model/name
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal.semantics.attributes import first_text, integer
from bridge._internal.semantics.inference import infer, query_summary
from bridge._internal.semantics.privacy import Privacy
from bridge._internal.semantics.routes import of_method
from bridge._internal.semantics.scrubbing import without_passwords

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import SpanKind

    from bridge._internal.semantics.inference import Semantics


def streamed_name(found: Semantics, name: str, attributes: Mapping[str, Any]) -> str:
    """Return the name of a span that is sent by itself; what identifies a request or a query stays in attributes."""
    op = found.op or ""
    if found.source == "custom":
        return found.description
    if op.startswith("db"):
        return _query(name, attributes)
    if op in ("http.client", "http.server", "http"):
        return _request(attributes)
    if op == "mcp.server" and "mcp.resource.uri" in attributes:
        return first_text(attributes, "mcp.method.name")
    if op.startswith("cache"):
        operation = op.partition(".")[2]
        return f"Cache {operation}" if operation else "Cache operation"
    return found.description


def _request(attributes: Mapping[str, Any]) -> str:
    method = first_text(attributes, "http.request.method", "http.method") or "HTTP"
    route = first_text(attributes, "http.route")
    if route:
        return of_method(method, route)
    place = first_text(attributes, "url.template", "url.domain")
    return f"{method} {place}" if place else method


def _query(name: str, attributes: Mapping[str, Any]) -> str:
    system = first_text(attributes, "db.system.name", "db.system")
    summary = query_summary(attributes, system)
    if summary:
        return summary
    text = first_text(attributes, "db.query.text", "db.statement")
    if name and name != text:
        return name  # OpenTelemetry's names of database spans are of low cardinality too
    operation = first_text(attributes, "db.operation.name", "db.operation")
    place = first_text(attributes, "db.namespace", "db.name") or _server(attributes)
    return f"{operation} {place}".strip() or system


def _server(attributes: Mapping[str, Any]) -> str:
    host, port = first_text(attributes, "server.address"), integer(attributes.get("server.port"))
    return f"{host}:{port}" if host and port else host


def head_name(name: str, kind: SpanKind, attributes: Mapping[str, Any], *, custom_name: bool = False) -> str | None:
    """Return the name of a trace's head for headers that leave: none while all that is known is a URL.

    A query is called by its name of low cardinality, as the text of a query is not for other services; secrets are not
    for them either, whatever this service sends to Sentry.
    """
    found = infer(name, kind, attributes, custom_name=custom_name)
    if found.source == "url":
        return None
    called = streamed_name(found, name, attributes) if (found.op or "").startswith("db") else found.description
    return without_passwords(called) if custom_name else _FOR_OTHERS.text(called)


_FOR_OTHERS = Privacy()
