"""Data under the names that Sentry's modules read, and caches."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind

import bridge
from bridge._internal.semantics.data import complete
from bridge.testing import capture

SERVER, CLIENT, INTERNAL = SpanKind.SERVER, SpanKind.CLIENT, SpanKind.INTERNAL
PRODUCER, CONSUMER = SpanKind.PRODUCER, SpanKind.CONSUMER


@pytest.mark.parametrize(
    ("kind", "attributes", "added"),
    [
        (CLIENT, {"http.method": "GET"}, {"http.request.method": "GET"}),
        (CLIENT, {"http.status_code": 200}, {"http.response.status_code": 200}),
        (
            CLIENT,
            {"http.url": "https://h:8443/a"},
            {"url.full": "https://h:8443/a", "server.address": "h", "server.port": 8443},
        ),
        (CLIENT, {"url.full": "https://h/a"}, {"server.address": "h"}),
        (CLIENT, {"url.full": "https://h/a", "server.address": "x"}, {}),
        (SERVER, {"url.full": "https://h/a"}, {}),
        (CLIENT, {"net.peer.name": "h", "net.peer.port": 80}, {"server.address": "h", "server.port": 80}),
        (CONSUMER, {"net.peer.name": "broker"}, {"server.address": "broker"}),
        (SERVER, {"net.peer.name": "client", "net.host.name": "h"}, {"server.address": "h"}),
        (
            INTERNAL,
            {"http.route": "/a", "net.peer.name": "client", "net.peer.port": 50000, "http.host": "h"},
            {"server.address": "h"},
        ),
        (SERVER, {"http.host": "h:8000"}, {"server.address": "h", "server.port": 8000}),
        (CLIENT, {"db.system.name": "mysql"}, {"db.system": "mysql"}),
        (CLIENT, {"db.system": "mysql"}, {}),
        (CLIENT, {"db.operation.name": "SELECT"}, {"db.operation": "SELECT"}),
        (CLIENT, {"db.sql.table": "t"}, {"db.collection.name": "t"}),
        (
            CLIENT,
            {"db.system": "mongodb", "db.statement": "find", "db.mongodb.collection": "c"},
            {"db.operation": "find", "db.collection.name": "c"},
        ),
        (
            PRODUCER,
            {"messaging.destination": "q", "messaging.message_id": "1"},
            {"messaging.destination.name": "q", "messaging.message.id": "1"},
        ),
        (CLIENT, {"aws.queue_url": "https://sqs/1/orders"}, {"messaging.destination.name": "orders"}),
        (
            CONSUMER,
            {"celery.action": "run", "celery.routing_key": "q", "celery.retries": 2},
            {"messaging.system": "celery", "messaging.destination.name": "q", "messaging.message.retry.count": 2},
        ),
        (CLIENT, {"gen_ai.system": "openai"}, {"gen_ai.provider.name": "openai"}),
        (CLIENT, {"gen_ai.usage.prompt_tokens": 5}, {"gen_ai.usage.input_tokens": 5}),
        (CLIENT, {"gen_ai.usage.cache_read_input_tokens": 5}, {"gen_ai.usage.cache_read.input_tokens": 5}),
        (
            INTERNAL,
            {"openinference.span.kind": "AGENT", "agent.name": "a", "session.id": "s"},
            {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a", "gen_ai.conversation.id": "s"},
        ),
        (
            INTERNAL,
            {"traceloop.span.kind": "tool", "traceloop.entity.name": "search"},
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"},
        ),
        (
            CLIENT,
            {"llm.request.type": "chat", "llm.usage.total_tokens": 7},
            {"gen_ai.operation.name": "chat", "gen_ai.usage.total_tokens": 7},
        ),
        (SERVER, {"mcp.method.name": "tools/call", "gen_ai.tool.name": "add"}, {"mcp.tool.name": "add"}),
        (SERVER, {"mcp.method.name": "prompts/get", "mcp.prompt.name": "p"}, {"gen_ai.prompt.name": "p"}),
        (CLIENT, {"rpc.system": "grpc"}, {"rpc.system.name": "grpc"}),
        (CLIENT, {"rpc.grpc.status_code": 5}, {"rpc.response.status_code": "NOT_FOUND"}),
        (INTERNAL, {"code": 7, "url": "x", "method": "y", "shop.items": 3}, {}),
    ],
)
def test_names_that_sentry_reads_are_added(kind: SpanKind, attributes: dict[str, Any], added: dict[str, Any]) -> None:
    """The old names stay, and nothing that a span has is overwritten."""
    completed = dict(attributes)
    complete(completed, kind)
    assert completed == {**attributes, **added}


def test_newer_names_win() -> None:
    """Where a span has both, the newer one is as it was set."""
    attributes = {
        "http.status_code": 200,
        "http.response.status_code": 404,
        "net.peer.name": "a",
        "server.address": "b",
    }
    completed = dict(attributes)
    complete(completed, CLIENT)
    assert completed == attributes


def test_streamed_spans_have_the_text_of_a_query_under_its_newer_name() -> None:
    """Their names are short."""
    attributes = {"db.system": "sqlite", "db.statement": "SELECT 1"}
    complete(attributes, CLIENT, streams=True)
    assert attributes["db.query.text"] == "SELECT 1"


@pytest.mark.parametrize(
    ("attributes", "op", "key"),
    [
        ({"db.system": "redis", "db.statement": "GET cache:1"}, "cache.get", ["cache:1"]),
        ({"db.system.name": "redis", "db.query.text": "SETEX cache:1 60 x"}, "cache.put", ["cache:1"]),
        ({"db.system": "redis", "db.statement": "MGET other cache:1"}, "cache.get", ["other", "cache:1"]),
        ({"db.system": "redis", "db.statement": "MSET cache:1 a cache:2 b"}, "cache.put", ["cache:1", "cache:2"]),
        ({"db.system.name": "valkey", "db.query.text": "DEL cache:1"}, "cache.remove", ["cache:1"]),
        ({"db.system": "redis", "db.statement": "GET ?", "db.redis.key": "cache:1"}, "cache.get", ["cache:1"]),
        ({"db.system": "redis", "db.statement": "GET ?", "cache.key": ("cache:1",)}, "cache.get", ["cache:1"]),
        ({"db.system": "memcached", "db.statement": "get_many cache:1 x"}, "cache.get", ["cache:1", "x"]),
        ({"db.system": "memcached", "db.statement": "set cache:1"}, "cache.put", ["cache:1"]),
    ],
)
def test_commands_on_keys_of_a_cache(attributes: dict[str, Any], op: str, key: list[str]) -> None:
    """With `cache_prefixes` a command on such a key is what Sentry's Caches module shows."""
    tracer = trace.get_tracer("instrumentation")
    with capture(cache_prefixes=["cache:"]) as sent:
        with bridge.start_span("root"), tracer.start_as_current_span("GET", kind=CLIENT, attributes=attributes):
            pass
        [span] = sent.transactions[0]["spans"]
    assert (span["op"], span["description"], span["data"]["cache.key"]) == (op, ", ".join(key), key)


@pytest.mark.parametrize(
    "attributes",
    [
        {"db.system": "redis", "db.statement": "GET session:1"},
        {"db.system": "redis", "db.statement": "GET ?"},
        {"db.system": "redis", "db.statement": "INCR cache:1"},
        {"db.system": "redis", "db.statement": ""},
    ],
)
def test_other_commands_stay_queries(attributes: dict[str, Any]) -> None:
    """Other keys, keys that nobody knows, and commands that neither get nor put."""
    completed = dict(attributes)
    complete(completed, CLIENT, cache_prefixes=("cache:",))
    assert completed == attributes


def test_caches_by_hand() -> None:
    """A span with an op and `cache.*` of a program's own is a cache, without any option."""
    with capture() as sent:
        with bridge.start_span("root"), bridge.start_span("user:7", op="cache.get") as span:
            span.set_data("cache.key", ["user:7"])
            span.set_data("cache.hit", True)
        [child] = sent.transactions[0]["spans"]
    assert (child["op"], child["description"]) == ("cache.get", "user:7")
    assert (child["data"]["cache.key"], child["data"]["cache.hit"]) == (["user:7"], True)
