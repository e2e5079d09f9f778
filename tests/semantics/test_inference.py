"""Op, description and source, by both semantic conventions: the siblings of the rows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind, StatusCode

from bridge._internal.semantics.data import complete
from bridge._internal.semantics.inference import Semantics, infer
from bridge._internal.semantics.names import head_name, streamed_name
from bridge._internal.semantics.privacy import Privacy
from bridge._internal.semantics.status import http_status_code, status
from bridge._internal.semantics.urls import clean_url, outgoing_url

SERVER, CLIENT, INTERNAL = SpanKind.SERVER, SpanKind.CLIENT, SpanKind.INTERNAL
PRODUCER, CONSUMER = SpanKind.PRODUCER, SpanKind.CONSUMER


@pytest.mark.parametrize(
    ("kind", "attributes", "expected"),
    [
        (SERVER, {"http.request.method": "GET", "http.route": "/a/{id}"}, ("http.server", "GET /a/{id}", "route")),
        (SERVER, {"http.method": "GET", "http.route": "/a"}, ("http.server", "GET /a", "route")),
        (SERVER, {"http.method": "GET", "http.target": "/a?b=c#d"}, ("http.server", "GET /a", "url")),
        (SERVER, {"http.request.method": "GET", "url.path": "/"}, ("http.server", "GET /", "route")),
        (SERVER, {"http.request.method": "GET", "url.full": "http://h/a/7?b"}, ("http.server", "GET /a/7", "url")),
        (SERVER, {"http.method": "GET", "http.url": "http://h/"}, ("http.server", "GET /", "route")),
        (SERVER, {"http.method": "GET"}, ("http.server", "name", "custom")),
        (SERVER, {"http.method": "GET", "http.route": "GET /a"}, ("http.server", "GET /a", "route")),
        (
            SERVER,
            {"http.request.method": "_OTHER", "http.request.method_original": "BREW", "http.route": "/pot"},
            ("http.server", "BREW /pot", "route"),
        ),
        (SERVER, {"http.scheme": "wss", "http.route": "/ws/{id}"}, ("websocket.server", "/ws/{id}", "route")),
        (SERVER, {"url.scheme": "ws", "url.path": "/ws/7"}, ("websocket.server", "/ws/7", "url")),
        (
            CLIENT,
            {"http.request.method": "GET", "url.full": "https://u:p@h.example/a?q=1#f"},
            ("http.client", "GET https://h.example/a", "url"),
        ),
        (CLIENT, {"http.method": "GET", "http.url": "https://h/a?q"}, ("http.client", "GET https://h/a", "url")),
        (
            CLIENT,
            {"http.method": "GET", "http.target": "/a?q", "net.peer.name": "h", "http.scheme": "https"},
            ("http.client", "GET https://h/a", "url"),
        ),
        (CLIENT, {"http.request.method": "GET", "url.path": "/a"}, ("http.client", "name", "custom")),
        (INTERNAL, {"http.method": "GET", "http.url": "https://h/"}, ("http", "GET https://h/", "route")),
        (INTERNAL, {"http.method": "GET", "http.route": "/a"}, ("http.server", "GET /a", "route")),
        (INTERNAL, {"http.route": "/a/{id}"}, ("http.server", "/a/{id}", "route")),
        (CLIENT, {"http.request.method": "GET"}, ("http.client", "name", "custom")),
        (CLIENT, {"db.system.name": "postgresql", "db.query.text": "SELECT 1"}, ("db", "SELECT 1", "task")),
        (CLIENT, {"db.system": "mysql", "db.statement": "SELECT 2"}, ("db", "SELECT 2", "task")),
        (CLIENT, {"db.system": "redis"}, ("db.redis", "name", "task")),
        (CLIENT, {"db.system.name": "valkey", "db.query.text": "GET ?"}, ("db.redis", "GET ?", "task")),
        (CLIENT, {"db.system": "memcached", "db.statement": "get k"}, ("db", "get k", "task")),
        (CLIENT, {"db.system": "redis", "sentry.op": "cache.get"}, ("cache.get", "name", "custom")),
        (CLIENT, {"db.system.name": "x", "db.query.summary": "SELECT t"}, ("db", "SELECT t", "task")),
        (
            CLIENT,
            {"db.system.name": "mongodb", "db.operation.name": "find", "db.collection.name": "users"},
            ("db", "find users", "task"),
        ),
        (
            CLIENT,
            {"db.system": "mongodb", "db.statement": "aggregate", "db.mongodb.collection": "orders"},
            ("db", "aggregate orders", "task"),
        ),
        (CLIENT, {"db.system": "mongodb", "db.statement": "ping"}, ("db", "name", "task")),
        (
            CLIENT,
            {"db.system": "dynamodb", "db.operation": "GetItem", "aws.dynamodb.table_names": ["t"]},
            ("db", "name", "task"),
        ),
        (INTERNAL, {"cache.key": ["a", "b"], "cache.hit": True}, ("cache.get", "a, b", "task")),
        (INTERNAL, {"cache.key": "a", "cache.operation": "set"}, ("cache.put", "a", "task")),
        (INTERNAL, {"cache.operation": "remove"}, ("cache.remove", "name", "task")),
        (CLIENT, {"rpc.system": "grpc"}, ("rpc", "name", "route")),
        (SERVER, {"rpc.service": "Shop"}, ("rpc", "name", "route")),
        (CLIENT, {"rpc.system": "aws-api", "rpc.service": "S3", "rpc.method": "HeadObject"}, ("object.head", "name")),
        (CLIENT, {"rpc.system.name": "aws-api", "rpc.method": "S3/UploadPart"}, ("object.upload_part", "name")),
        (CLIENT, {"rpc.system": "aws-api", "rpc.service": "S3", "rpc.method": "ListBuckets"}, ("rpc", "name")),
        (CLIENT, {"rpc.system": "aws-api", "rpc.service": "SQS", "rpc.method": "ReceiveMessage"}, ("queue.receive",)),
        (CLIENT, {"rpc.system.name": "aws-api", "rpc.method": "SQS/DeleteMessage"}, ("queue.settle",)),
        (CLIENT, {"rpc.system": "aws-api", "rpc.service": "SNS", "rpc.method": "PublishBatch"}, ("queue.publish",)),
        (CLIENT, {"rpc.system": "aws-api", "rpc.service": "SQS", "rpc.method": "ListQueues"}, ("rpc",)),
        (PRODUCER, {"messaging.system": "kafka"}, ("queue.publish", "name", "route")),
        (CONSUMER, {"messaging.system": "kafka"}, ("queue.process", "name", "route")),
        (INTERNAL, {"messaging.system": "kafka", "messaging.operation.type": "publish"}, ("queue.publish",)),
        (CLIENT, {"messaging.system": "kafka", "messaging.operation.type": "send"}, ("queue.publish",)),
        (CONSUMER, {"messaging.system": "k", "messaging.operation": "receive"}, ("queue.receive",)),
        (CONSUMER, {"messaging.system": "k", "messaging.operation.type": "deliver"}, ("queue.process",)),
        (CLIENT, {"messaging.system": "k", "messaging.operation.type": "settle"}, ("queue.settle",)),
        (CLIENT, {"messaging.system": "k", "messaging.operation.name": "ack"}, ("queue.settle",)),
        (INTERNAL, {"messaging.system": "k", "messaging.operation": "process"}, ("queue.process", "name", "route")),
        (INTERNAL, {"messaging.system": "kafka"}, ("message", "name", "route")),
        (PRODUCER, {"celery.action": "apply_async"}, ("queue.publish", "name", "task")),
        (CONSUMER, {"celery.action": "run", "celery.task_name": "shop.pay"}, ("queue.process", "shop.pay", "task")),
        (SERVER, {"faas.trigger": "timer"}, ("timer", "name", "route")),
        (SERVER, {"faas.trigger": "http", "http.method": "GET", "http.route": "/a"}, ("http.server", "GET /a")),
        (SERVER, {"mcp.method.name": "prompts/get", "gen_ai.prompt.name": "p"}, ("mcp.server", "prompts/get p")),
        (SERVER, {"mcp.method.name": "tools/call", "mcp.tool.name": "add"}, ("mcp.server", "tools/call add", "route")),
        (SERVER, {"mcp.method.name": "initialize"}, ("mcp.server", "initialize", "route")),
        (CLIENT, {"mcp.method.name": "notifications/message"}, ("mcp.notification.server_to_client",)),
        (PRODUCER, {"mcp.method.name": "notifications/progress"}, ("mcp.notification.server_to_client",)),
        (CLIENT, {"mcp.method.name": "notifications/initialized"}, ("mcp.notification.client_to_server",)),
        (CLIENT, {"mcp.method.name": "tools/list"}, (None, "name", "custom")),
        (CLIENT, {"mcp.method.name": "tools/list", "rpc.system": "jsonrpc"}, ("rpc", "name", "route")),
        (CLIENT, {"gen_ai.operation.name": "embeddings"}, ("gen_ai.embeddings", "name", "custom")),
        (INTERNAL, {"gen_ai.operation.name": "create_agent"}, ("gen_ai.create_agent", "name", "custom")),
        (CLIENT, {"llm.request.type": "completion", "gen_ai.system": "OpenAI"}, ("gen_ai.text_completion",)),
        (INTERNAL, {"traceloop.span.kind": "tool"}, ("gen_ai.execute_tool", "name", "custom")),
        (INTERNAL, {"traceloop.span.kind": "agent"}, ("gen_ai.invoke_agent",)),
        (INTERNAL, {"openinference.span.kind": "AGENT"}, ("gen_ai.invoke_agent",)),
        (INTERNAL, {"openinference.span.kind": "EMBEDDING"}, ("gen_ai.embeddings",)),
        (INTERNAL, {"openinference.span.kind": "UNKNOWN"}, (None, "name", "custom")),
        (SERVER, {"graphql.operation.type": "mutation", "http.method": "POST"}, ("graphql.mutation", "name", "custom")),
        (INTERNAL, {"graphql.operation.type": "subscription"}, ("graphql.subscription", "name", "custom")),
        (INTERNAL, {"graphql.processing.type": "parse"}, ("graphql.parse",)),
        (INTERNAL, {"graphql.path": "user.name", "component": "GraphQL"}, ("graphql.resolve", "name", "custom")),
        (INTERNAL, {"component": "http", "http.method": "GET", "http.url": "https://h/a"}, ("http",)),
        (INTERNAL, {}, (None, "name", "custom")),
        (INTERNAL, {"sentry.op": "task", "sentry.source": "task"}, ("task", "name", "task")),
        (
            SERVER,
            {"http.method": "GET", "http.route": "/a", "sentry.custom_span_name": "mine"},
            ("http.server", "mine", "custom"),
        ),
        (SERVER, {"http.method": 5, "http.route": ["x"]}, (None, "name", "custom")),
    ],
)
def test_op_description_source(kind: SpanKind, attributes: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """The most specific rule decides; what is explicit wins."""
    assert infer("name", kind, attributes)[: len(expected)] == expected


@pytest.mark.parametrize(
    ("scope", "name", "op"),
    [
        ("opentelemetry.instrumentation.jinja2", "jinja2.render", "template.render"),
        ("opentelemetry.instrumentation.jinja2", "jinja2.load", "template.render"),
        ("opentelemetry.instrumentation.asyncio", "asyncio future", "function"),
        ("strawberry", "GraphQL Parsing", "graphql.parse"),
        ("strawberry", "GraphQL Validation", "graphql.validate"),
        ("strawberry", "GraphQL Mutation: Buy", "graphql.mutation"),
        ("ariadne", "GraphQL Operation", "graphql.query"),
        ("ariadne", "resolve sync", "graphql.resolve"),
        ("fastapi", "fastapi.endpoint", "function"),
        ("fastapi", "fastapi.dependencies", "function"),
        ("fastapi", "fastapi.serialization", "serialize"),
        ("shop", "fastapi.serialization", None),
    ],
)
def test_op_of_a_scope(scope: str, name: str, op: str | None) -> None:
    """Spans that have no attributes of their own are told by the instrumentation that makes them."""
    assert infer(name, INTERNAL, {}, scope=scope) == Semantics(op, name, "custom")


def test_a_custom_name_wins() -> None:
    """A name that was given stays, with the op that the attributes tell."""
    found = infer("mine", SERVER, {"http.request.method": "GET", "http.route": "/a"}, custom_name=True)
    assert found == Semantics("http.server", "mine", "custom")


@pytest.mark.parametrize(
    ("kind", "name", "attributes", "expected"),
    [
        (CLIENT, "GET", {"http.request.method": "GET", "url.full": "https://h/a", "url.template": "/a"}, "GET /a"),
        (CLIENT, "GET", {"http.method": "GET", "http.url": "https://h/7"}, "GET"),
        (SERVER, "GET", {"http.method": "GET", "http.target": "/7"}, "GET"),
        (SERVER, "GET", {"http.method": "GET", "http.route": "^o/(?P<pk>[^/]+)/$"}, "GET /o/{pk}/"),
        (CLIENT, "SELECT shop", {"db.system": "x", "db.statement": "SELECT 1"}, "SELECT shop"),
        (
            CLIENT,
            "x",
            {"db.system": "x", "db.operation": "SELECT", "db.sql.table": "t", "db.statement": "S"},
            "SELECT t",
        ),
        (
            CLIENT,
            "SELECT 1",
            {"db.system": "postgresql", "db.statement": "SELECT 1", "db.operation": "SELECT", "db.name": "shop"},
            "SELECT shop",
        ),
        (CLIENT, "SELECT 1", {"db.system": "postgresql", "db.statement": "SELECT 1"}, "postgresql"),
        (CLIENT, "connect", {"db.system": "sqlite"}, "connect"),
        (SERVER, "x", {"mcp.method.name": "resources/read", "mcp.resource.uri": "file://a/7"}, "resources/read"),
        (INTERNAL, "x", {"cache.key": ["user:7"], "cache.operation": "get"}, "Cache get"),
        (CONSUMER, "run/x", {"celery.action": "run", "celery.task_name": "x"}, "x"),
    ],
)
def test_streamed_names(kind: SpanKind, name: str, attributes: dict[str, Any], expected: str) -> None:
    """Spans that are sent by themselves have names of low cardinality; what identifies stays in attributes."""
    assert streamed_name(infer(name, kind, attributes), name, attributes) == expected


def test_a_custom_name_is_streamed() -> None:
    """The name that a program gave is the name."""
    attributes = {"http.method": "GET", "http.route": "/a", "sentry.custom_span_name": "mine"}
    assert streamed_name(infer("name", SERVER, attributes), "name", attributes) == "mine"


def test_the_head_of_a_trace_shows_no_statement() -> None:
    """A query as head is called by its name in headers that leave, and a URL gives no name at all."""
    assert head_name("SELECT shop", CLIENT, {"db.system": "x", "db.statement": "SELECT 'ann'"}) == "SELECT shop"
    assert head_name("GET", SERVER, {"http.method": "GET", "http.target": "/users/7"}) is None
    assert head_name("GET", SERVER, {"http.method": "GET", "http.route": "/users/{id}"}) == "GET /users/{id}"


@pytest.mark.parametrize(
    ("code", "description", "attributes", "expected"),
    [
        (StatusCode.OK, None, {"http.response.status_code": 500}, "ok"),
        (StatusCode.UNSET, None, {}, "ok"),
        (StatusCode.UNSET, None, {"http.response.status_code": 404}, "not_found"),
        (StatusCode.UNSET, None, {"rpc.grpc.status_code": 5}, "not_found"),
        (StatusCode.UNSET, None, {"rpc.grpc.status_code": "14"}, "unavailable"),
        (StatusCode.UNSET, None, {"rpc.grpc.status_code": 99}, "unknown_error"),
        (StatusCode.ERROR, None, {"rpc.response.status_code": "DEADLINE_EXCEEDED"}, "deadline_exceeded"),
        (StatusCode.ERROR, None, {"rpc.response.status_code": "UNKNOWN"}, "unknown_error"),
        (StatusCode.ERROR, None, {"rpc.connect_rpc.error_code": "not_found"}, "not_found"),
        (StatusCode.ERROR, None, {"rpc.response.status_code": "-32602"}, "internal_error"),
        (StatusCode.UNSET, None, {"rpc.response.status_code": "OK"}, "ok"),
        (StatusCode.ERROR, None, {}, "internal_error"),
        (StatusCode.ERROR, "not_found", {}, "not_found"),
        (StatusCode.ERROR, "ValueError: x", {}, "internal_error"),
        (StatusCode.ERROR, "not_found", {"http.status_code": 403}, "permission_denied"),
        (StatusCode.ERROR, None, {"http.response.status_code": 200}, "internal_error"),
        *[
            (StatusCode.UNSET, None, {"http.status_code": str(http)}, name)
            for http, name in [
                (101, "ok"),
                (302, "ok"),
                (400, "invalid_argument"),
                (401, "unauthenticated"),
                (403, "permission_denied"),
                (409, "already_exists"),
                (413, "failed_precondition"),
                (418, "invalid_argument"),
                (429, "resource_exhausted"),
                (499, "cancelled"),
                (500, "internal_error"),
                (501, "unimplemented"),
                (503, "unavailable"),
                (504, "deadline_exceeded"),
                (599, "internal_error"),
            ]
        ],
    ],
)
def test_status(code: StatusCode, description: str | None, attributes: dict[str, Any], expected: str) -> None:
    """OpenTelemetry's status, then codes, then a description that is a canonical status."""
    assert status(code, description, attributes) == expected


@pytest.mark.parametrize(
    ("url", "cleaned"),
    [("https://u:p@h:1/a?q#f", "https://h:1/a"), ("/a?q", "/a"), ("http://[broken/a?q", "http://[broken/a")],
)
def test_urls_of_names(url: str, cleaned: str) -> None:
    """A name has neither credentials nor query nor fragment."""
    assert clean_url(url) == cleaned


@pytest.mark.parametrize(
    ("attributes", "url"),
    [
        ({"url.full": "http://a/b"}, "http://a/b"),
        ({"http.url": "http://a/b"}, "http://a/b"),
        ({"server.address": "h", "server.port": 8080, "url.scheme": "https", "url.path": "/x"}, "https://h:8080/x"),
        ({"net.peer.name": "h", "net.peer.port": 80, "http.target": "/x"}, "http://h/x"),
        ({}, None),
    ],
)
def test_outgoing_url(attributes: dict[str, Any], url: str | None) -> None:
    """Whole, or put together, by either convention."""
    assert outgoing_url(attributes) == url


texts = st.text(max_size=30)
values = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.lists(texts, max_size=3)
KEYS = (
    "http.method http.url url.full http.route url.path db.system db.statement rpc.system rpc.method messaging.system "
    "faas.trigger sentry.op sentry.source http.status_code server.address net.peer.name mcp.method.name component "
    "gen_ai.operation.name openinference.span.kind celery.action cache.key graphql.path url.query query "
    "process.command_args http.request.header.x rpc.grpc.status_code aws.queue_url"
)
keys = st.sampled_from(KEYS.split())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    texts,
    st.sampled_from(SpanKind),
    st.dictionaries(keys, values, max_size=6),
    st.sampled_from(StatusCode),
    st.booleans(),
)
def test_nothing_breaks_it(
    name: str, kind: SpanKind, attributes: dict[str, Any], code: StatusCode, sends_pii: bool
) -> None:
    """Whatever the attributes hold."""
    found = infer(name, kind, attributes, scope="strawberry")
    assert isinstance(found.description, str)
    assert isinstance(streamed_name(found, name, attributes), str)
    assert isinstance(status(code, name, attributes), str)
    http_status_code(attributes)
    outgoing_url(attributes)
    complete(attributes, kind, cache_prefixes=("a",), streams=True)
    Privacy(send_default_pii=sends_pii, scrub_names=("x",)).clean(attributes, kind)
