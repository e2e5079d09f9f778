"""Data under the names that Sentry's modules read, added where a span has only older ones; the old ones stay.

Relay does this for some names. It does not for `http.status_code`, `http.url`, `net.peer.*`, `messaging.destination`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from bridge._internal.semantics import caches, gen_ai
from bridge._internal.semantics.attributes import first_text, integer, is_of_server, text
from bridge._internal.semantics.conventions import REPLACEMENTS
from bridge._internal.semantics.status import GRPC_CODES
from bridge._internal.semantics.urls import host_and_port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    Step: TypeAlias = Callable[[dict[str, Any], SpanKind], None]

# What the modules read; older names of generative AI and of remote calls count as well.
_READ = frozenset(
    {
        *("http.response.status_code", "http.request.method", "url.full", "db.collection.name"),
        *("messaging.destination.name", "messaging.message.id"),
    }
)
_READ_NAMESPACES = ("gen_ai.", "rpc.")
# Newer names of which the modules read the older one, and renames of OpenTelemetry that Sentry's table does not have.
_ALSO = {
    "db.operation.name": "db.operation",
    "db.sql.table": "db.collection.name",
    "db.cassandra.table": "db.collection.name",
    "db.cosmosdb.container": "db.collection.name",
    "db.elasticsearch.path_parts.index": "db.collection.name",
    "db.operation.parameter.index": "db.collection.name",
    "celery.retries": "messaging.message.retry.count",
    "celery.id": "messaging.message.id",
}
# Streamed spans have short names, so the text that the older conventions have goes under the newer name too.
_OF_STREAMS = {"db.statement": "db.query.text"}

_NEWER = {
    **{
        old: new
        for old, new in REPLACEMENTS.items()
        if old.split(".")[0] not in ("net", "server") and (new in _READ or new.startswith(_READ_NAMESPACES))
        if old not in ("rpc.grpc.status_code", "messaging.url")
    },
    **_ALSO,
}


def complete(
    attributes: dict[str, Any], kind: SpanKind, *, cache_prefixes: Sequence[str] = (), streams: bool = False
) -> None:
    """Add to a span's attributes what Sentry's modules read under another name."""
    steps = [(key, step) for key in attributes if (step := _STEPS.get(key)) is not None]
    for key, step in steps:
        if isinstance(step, str):
            attributes.setdefault(step, attributes[key])
        else:
            step(attributes, kind)
    if streams:
        for old, new in _OF_STREAMS.items():
            if old in attributes:
                attributes.setdefault(new, attributes[old])
    if cache_prefixes:
        caches.complete(attributes, cache_prefixes)


def _peer(attributes: dict[str, Any], kind: SpanKind) -> None:
    """Name the server: to one that serves requests, the peer is the client."""
    if is_of_server(kind, attributes):
        host, port = first_text(attributes, "net.host.name", "http.server_name", "http.host"), "net.host.port"
    else:
        host, port = first_text(attributes, "net.peer.name", "net.sock.peer.name"), "net.peer.port"
    name, port_in_name = host_and_port(f"//{host}") if host.count(":") == 1 else (host, None)
    if name:
        attributes.setdefault("server.address", name)
    number = integer(attributes.get(port)) or port_in_name
    if number is not None:
        attributes.setdefault("server.port", number)


def _peer_of_url(attributes: dict[str, Any], kind: SpanKind) -> None:
    if kind is not SpanKind.CLIENT or "server.address" in attributes or "net.peer.name" in attributes:
        return
    host, port = host_and_port(first_text(attributes, "url.full", "http.url"))
    if host:
        attributes["server.address"] = host
        if port is not None:
            attributes.setdefault("server.port", port)


def _url(attributes: dict[str, Any], kind: SpanKind) -> None:
    attributes.setdefault("url.full", attributes["http.url"])
    _peer_of_url(attributes, kind)


def _db(attributes: dict[str, Any], kind: SpanKind) -> None:
    """Name the system as the Queries module does, and the command that PyMongo's instrumentation calls a statement."""
    system = attributes.setdefault("db.system", attributes.get("db.system.name"))
    if system == "mongodb":
        command = first_text(attributes, "db.query.text", "db.statement").partition(" ")[0]
        if command and "db.operation.name" not in attributes:
            attributes.setdefault("db.operation", command)


def _grpc(attributes: dict[str, Any], kind: SpanKind) -> None:
    code = integer(attributes["rpc.grpc.status_code"])
    if code is not None and 0 <= code < len(GRPC_CODES):
        attributes.setdefault("rpc.response.status_code", _GRPC_NAMES[code])


_GRPC_NAMES = tuple(GRPC_CODES)


def _gen_ai(attributes: dict[str, Any], kind: SpanKind) -> None:
    gen_ai.complete(attributes)


def _mcp(attributes: dict[str, Any], kind: SpanKind) -> None:
    """Use both of the names that a tool and a prompt have had; the MCP module reads the older ones."""
    for old, new in (("mcp.tool.name", "gen_ai.tool.name"), ("mcp.prompt.name", "gen_ai.prompt.name")):
        name = first_text(attributes, new, old)
        if name:
            attributes.setdefault(old, name)
            attributes.setdefault(new, name)


def _celery(attributes: dict[str, Any], kind: SpanKind) -> None:
    """Name the system, which the instrumentation does not: it knows the broker no more than the message does."""
    attributes.setdefault("messaging.system", "celery")
    queue = first_text(attributes, "messaging.destination", "celery.routing_key", "celery.queue")
    if queue:
        attributes.setdefault("messaging.destination.name", queue)


def _queue_url(attributes: dict[str, Any], kind: SpanKind) -> None:
    url = first_text(attributes, "aws.sqs.queue.url", "aws.queue_url")
    if url and not text(attributes.get("messaging.destination")):
        attributes.setdefault("messaging.destination.name", url.rpartition("/")[2])


_STEPS: dict[str, str | Step] = {
    **_NEWER,
    "http.url": _url,
    "url.full": _peer_of_url,
    **dict.fromkeys(("net.peer.name", "net.sock.peer.name", "net.host.name", "http.host", "http.server_name"), _peer),
    **dict.fromkeys(("db.system", "db.system.name"), _db),
    "rpc.grpc.status_code": _grpc,
    **dict.fromkeys(("openinference.span.kind", "traceloop.span.kind", "llm.request.type"), _gen_ai),
    "mcp.method.name": _mcp,
    "celery.action": _celery,
    **dict.fromkeys(("aws.sqs.queue.url", "aws.queue_url"), _queue_url),
}
"""Attribute -> the name that its value is added under, or what is added where a span has it."""
