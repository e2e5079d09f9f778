"""Semantics: what a span means to Sentry: op, description and source, by both semantic conventions.

The order of the rules is the rule: a span that is several things at once is the most specific one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.trace import SpanKind

from bridge._internal.semantics import caches, cloud, gen_ai
from bridge._internal.semantics.attributes import first_text, text
from bridge._internal.semantics.routes import of_method, readable_route
from bridge._internal.semantics.urls import clean_url, outgoing_url, split, target_path, url_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias


class Semantics(NamedTuple):
    """How Sentry names a span; `op` is `None` where nothing tells it."""

    op: str | None
    description: str
    source: str


def infer(
    name: str, kind: SpanKind, attributes: Mapping[str, Any], *, scope: str = "", custom_name: bool = False
) -> Semantics:
    """Return op, description and source of a span; `scope` is the name of its instrumentation scope.

    What was given explicitly wins, a custom name too.
    """
    found = _inferred(name, kind, attributes, scope)
    if not custom_name and _EXPLICIT.isdisjoint(attributes):
        return found
    explicit_name = text(attributes.get("sentry.custom_span_name"))
    op = text(attributes.get("sentry.op")) or found.op
    if explicit_name or custom_name:
        found = Semantics(op, explicit_name or name, "custom")
    return Semantics(op, found.description, text(attributes.get("sentry.source")) or found.source)


_EXPLICIT = frozenset({"sentry.op", "sentry.source", "sentry.custom_span_name"})


def _inferred(name: str, kind: SpanKind, attributes: Mapping[str, Any], scope: str) -> Semantics:
    rules = [number for key in attributes if (number := _TRIGGERS.get(key)) is not None]
    if scope in _GRAPHQL_SCOPES:
        rules.append(_RULES.index(_graphql))
    for number in rules if len(rules) < 2 else sorted(set(rules)):
        found = _RULES[number](name, kind, attributes)
        if found is not None:
            return found
    ops = _OPS_OF_SCOPES.get(scope)
    return Semantics(None if ops is None else ops.get(name, ops[""]), name, "custom")


# Model Context Protocol: https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp/

_FROM_SERVERS = ("message", "progress", "resources/", "tools/", "prompts/", "elicitation/", "tasks/")


def _mcp(name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Semantics | None:
    method = first_text(attributes, "mcp.method.name")
    if not method:
        return None
    if method.startswith("notifications/"):
        return Semantics(f"mcp.notification.{_direction(method, kind)}", method, "route")
    if kind is not SpanKind.SERVER:
        return None  # a call of a tool is one of generative AI, any other call is what the rest says
    target = first_text(
        attributes, "gen_ai.tool.name", "mcp.tool.name", "gen_ai.prompt.name", "mcp.prompt.name", "mcp.resource.uri"
    )
    return Semantics("mcp.server", f"{method} {target}" if target else method, "route")


def _direction(method: str, kind: SpanKind) -> str:
    """Return which way a notification goes: to the server that handles it, else as its name says."""
    if kind is SpanKind.SERVER:
        return "client_to_server"
    if kind is SpanKind.CONSUMER or method.removeprefix("notifications/").startswith(_FROM_SERVERS):
        return "server_to_client"
    return "client_to_server"


def _gen_ai(name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Semantics | None:
    operation = gen_ai.operation(attributes)
    return Semantics(f"gen_ai.{operation}", name, "custom") if operation else None


# GraphQL: OpenTelemetry's names, and those of Strawberry and Ariadne, which have none of them.

_GRAPHQL_SCOPES = frozenset({"strawberry", "ariadne"})
_GRAPHQL_TYPES = frozenset({"query", "mutation", "subscription"})
_GRAPHQL_STEPS = {"parse": "parse", "validate": "validate", "execute": "execute", "resolve": "resolve"}
_GRAPHQL_NAMES = (
    ("GraphQL Query", "query"),
    ("GraphQL Mutation", "mutation"),
    ("GraphQL Subscription", "subscription"),
    ("GraphQL Pars", "parse"),
    ("GraphQL Validat", "validate"),
    ("GraphQL Resolv", "resolve"),
    ("GraphQL Operation", "query"),
    ("resolve sync", "resolve"),
    ("resolve async", "resolve"),
)


def _graphql(name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Semantics | None:
    told = first_text(attributes, "graphql.operation.type").lower()
    step = told if told in _GRAPHQL_TYPES else _GRAPHQL_STEPS.get(first_text(attributes, "graphql.processing.type"), "")
    if not step and "graphql.path" in attributes:
        step = "resolve"
    if not step:
        step = next((op for prefix, op in _GRAPHQL_NAMES if name.startswith(prefix)), "")
    return Semantics(f"graphql.{step}", name, "custom") if step else None


def _cache(name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Semantics | None:
    keys = caches.keys_of(attributes)
    return Semantics(caches.cache_op(attributes), ", ".join(keys) or name, "task")


# Databases.

_REDIS = frozenset({"redis", "valkey"})
_COMMAND_STATEMENTS = frozenset({"mongodb"})
_OPERATIONS = ("db.operation.name", "db.operation")
_COLLECTIONS = ("db.collection.name", "db.mongodb.collection", "db.sql.table", "db.cassandra.table")


def _db(name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Semantics | None:
    system = first_text(attributes, "db.system.name", "db.system")
    if not system or text(attributes.get("sentry.op")).startswith("cache."):
        return None
    description = query_text(attributes, system) or query_summary(attributes, system) or name
    return Semantics("db.redis" if system in _REDIS else "db", description, "task")


def query_text(attributes: Mapping[str, Any], system: str) -> str:
    """Return the text of a query. What PyMongo's instrumentation calls the statement is the name of a command."""
    statement = first_text(attributes, "db.query.text", "db.statement")
    return "" if system in _COMMAND_STATEMENTS and " " not in statement else statement


def query_summary(attributes: Mapping[str, Any], system: str) -> str:
    """Return what a query does in few words, else the empty text: its summary, or operation and collection."""
    summary = first_text(attributes, "db.query.summary")
    if summary:
        return summary
    operation, collection = first_text(attributes, *_OPERATIONS), first_text(attributes, *_COLLECTIONS)
    if not operation and system in _COMMAND_STATEMENTS:
        operation = first_text(attributes, "db.query.text", "db.statement").partition(" ")[0]
    return f"{operation} {collection}" if operation and collection else ""


# Messages.

_MESSAGING_OPS = {
    **dict.fromkeys(("publish", "send", "enqueue"), "queue.publish"),
    "create": "queue.create",
    **dict.fromkeys(("receive", "poll"), "queue.receive"),
    **dict.fromkeys(("process", "deliver", "consume"), "queue.process"),
    **dict.fromkeys(("settle", "ack", "nack", "reject", "complete", "abandon", "commit"), "queue.settle"),
}
_MESSAGING_KINDS = {SpanKind.PRODUCER: "queue.publish", SpanKind.CONSUMER: "queue.process"}
_MESSAGING_OPERATIONS = ("messaging.operation.type", "messaging.operation", "messaging.operation.name")


def _messaging(name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Semantics | None:
    if "celery.action" in attributes:
        return Semantics(_messaging_op(kind, attributes), first_text(attributes, "celery.task_name") or name, "task")
    if not first_text(attributes, "messaging.system") and not cloud.queue_op(attributes):
        return None
    return Semantics(_messaging_op(kind, attributes), name, "route")


def _messaging_op(kind: SpanKind, attributes: Mapping[str, Any]) -> str:
    named = [text(attributes.get(key)).lower() for key in _MESSAGING_OPERATIONS]
    op = next((_MESSAGING_OPS[operation] for operation in named if operation in _MESSAGING_OPS), "")
    if op:
        return op
    op = cloud.queue_op(attributes)
    return op or ("message" if any(named) else _MESSAGING_KINDS.get(kind, "message"))


# HTTP and remote calls.

_HTTP_OPS = {SpanKind.SERVER: "http.server", SpanKind.CLIENT: "http.client"}


def _http(name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Semantics | None:
    method, route = first_text(attributes, "http.request.method", "http.method"), first_text(attributes, "http.route")
    if not method and (not route or kind is not SpanKind.INTERNAL):
        return None
    if method == "_OTHER":
        method = first_text(attributes, "http.request.method_original") or "HTTP"
    if kind is SpanKind.CLIENT:
        return _http_client(name, attributes, method)
    op = "http.server" if route and kind is SpanKind.INTERNAL else _HTTP_OPS.get(kind, "http")
    if route:
        return Semantics(op, of_method(method, route) if method else readable_route(route), "route")
    path = target_path(attributes) or (url_path(attributes) if kind is SpanKind.SERVER else "")
    if path:
        return Semantics(op, f"{method} {path}", "route" if path == "/" else "url")
    if kind is SpanKind.SERVER:
        return Semantics(op, name, "custom")
    return _http_client(name, attributes, method)._replace(op=op)


def _http_client(name: str, attributes: Mapping[str, Any], method: str) -> Semantics:
    url = clean_url(outgoing_url(attributes) or "")
    if "://" not in url:
        return Semantics("http.client", name, "custom")
    return Semantics("http.client", f"{method} {url}", "route" if split(url).path == "/" else "url")


_RPC_KEYS = ("rpc.system.name", "rpc.system", "rpc.service")


def _rpc(name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Semantics | None:
    if not first_text(attributes, *_RPC_KEYS):
        return None
    return Semantics(cloud.object_op(attributes) or "rpc", name, "route")


_WEBSOCKET_SCHEMES = ("ws", "wss")


def _websocket(name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Semantics | None:
    if kind is not SpanKind.SERVER or first_text(attributes, "url.scheme", "http.scheme") not in _WEBSOCKET_SCHEMES:
        return None
    route = first_text(attributes, "http.route")
    place = readable_route(route) if route else target_path(attributes) or name
    return Semantics("websocket.server", place, "route" if route else "url")


def _faas(name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Semantics | None:
    trigger = first_text(attributes, "faas.trigger")
    return Semantics(trigger, name, "route") if trigger else None


# What instrumentations that set no attributes of their own do.
_OPS_OF_SCOPES = {
    "opentelemetry.instrumentation.jinja2": {"": "template.render"},
    "opentelemetry.instrumentation.asyncio": {"": "function"},
    "fastapi": {"": "function", "fastapi.serialization": "serialize"},
}
"""Instrumentation scope -> span name -> op; the empty name stands for all others."""

if TYPE_CHECKING:
    Rule: TypeAlias = Callable[[str, SpanKind, Mapping[str, Any]], Semantics | None]

_RULES: tuple[Rule, ...] = (_mcp, _gen_ai, _graphql, _cache, _db, _messaging, _http, _rpc, _websocket, _faas)
# Attributes that a rule is asked for; a span has one or two of them.
_TRIGGERS = {
    key: number
    for number, keys in enumerate(
        (
            ("mcp.method.name",),
            (gen_ai.OPERATION, "openinference.span.kind", "traceloop.span.kind", "llm.request.type"),
            ("graphql.operation.type", "graphql.processing.type", "graphql.path", "component"),
            (caches.KEY, caches.OPERATION, caches.HIT),
            ("db.system.name", "db.system"),
            ("messaging.system", "celery.action", "rpc.method", "aws.operation_name"),
            ("http.request.method", "http.method", "http.route"),
            _RPC_KEYS,
            ("url.scheme", "http.scheme"),
            ("faas.trigger",),
        )
    )
    for key in keys
}
