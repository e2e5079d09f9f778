"""Real libraries with their real instrumentations: what Sentry gets of their spans, by both semantic conventions.

The libraries are the dependency group `libraries`; each test skips with the reason where its library is absent.
"""

from __future__ import annotations

import asyncio
import http.server
import logging
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import bridge
from bridge.testing import BridgeCapture, capture

CONVENTIONS = ["", "http,database"]


@pytest.fixture(params=CONVENTIONS, ids=["old", "new"])
def conventions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Set the generation of conventions; instrumentations read it once a process."""
    semconv = pytest.importorskip("opentelemetry.instrumentation._semconv")
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", request.param)
    monkeypatch.setattr(semconv._OpenTelemetrySemanticConventionStability, "_initialized", False)
    return str(request.param)


def instrumentor(name: str, class_name: str) -> Any:
    return getattr(pytest.importorskip(f"opentelemetry.instrumentation.{name}"), class_name)()


def children(sent: BridgeCapture) -> list[dict[str, Any]]:
    """Return the spans below the one root, in the order of their start."""
    [transaction] = sent.transactions
    return list(transaction["spans"])


def named(sent: BridgeCapture) -> list[tuple[str | None, str]]:
    return [(span.get("op"), span["description"]) for span in children(sent)]


# Key-value stores.


def test_redis(conventions: str) -> None:
    """Commands are queries of redis; those on keys of a cache are accesses to the cache, with hits and misses."""
    fakeredis = pytest.importorskip("fakeredis")
    redis = instrumentor("redis", "RedisInstrumentor")
    with capture(instrumentations=[redis], cache_prefixes=["cache:"]) as sent:
        client = fakeredis.FakeRedis(host="cache.example")
        with bridge.start_span("root"):
            client.set("cache:1", "value")
            client.get("cache:1")
            client.get("cache:2")
            client.mget("cache:1", "x")
            client.delete("cache:1")
            client.get("other")
        spans = children(sent)
    assert named(sent) == [
        ("cache.put", "cache:1"),
        ("cache.get", "cache:1"),
        ("cache.get", "cache:2"),
        ("cache.get", "cache:1, x"),
        ("cache.remove", "cache:1"),
        ("db.redis", "GET ?"),
    ]
    assert [span["data"].get("cache.hit") for span in spans] == [None, True, False, True, None, None]
    assert [span["data"].get("cache.item_size") for span in spans[1:4]] == [5, None, 5]
    assert {(span["data"]["db.system"], span["data"]["server.address"]) for span in spans} == {
        ("redis", spans[0]["data"]["server.address"])
    }


class Memcached(socketserver.StreamRequestHandler):
    """A memcached that knows one value."""

    def handle(self) -> None:
        for line in self.rfile:
            command = line.split()[0]
            if command == b"set":
                self.rfile.readline()
                self.wfile.write(b"STORED\r\n")
            elif command == b"get":
                self.wfile.write(b"VALUE cache:1 0 1\r\nx\r\nEND\r\n")


def test_memcached(conventions: str) -> None:
    """Keys are in the statement, so they tell a cache by themselves."""
    base = pytest.importorskip("pymemcache.client.base")
    with (
        serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Memcached)) as port,
        capture(
            instrumentations=[instrumentor("pymemcache", "PymemcacheInstrumentor")], cache_prefixes=["cache:"]
        ) as sent,
    ):
        client = base.Client(("127.0.0.1", port))
        with bridge.start_span("root"):
            client.set("cache:1", "secret", noreply=False)
            client.get("cache:1")
        client.close()
    assert named(sent) == [("cache.put", "cache:1"), ("cache.get", "cache:1")]
    assert children(sent)[0]["data"]["server.port"] == port
    assert "secret" not in str(children(sent))


# Databases.


class Elastic(http.server.BaseHTTPRequestHandler):
    """An Elasticsearch without documents."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b'{"took":1,"hits":{"total":{"value":0,"relation":"eq"},"hits":[]},"timed_out":false,"_shards":{}}'
        self.send_response(200)
        for name, value in (("X-Elastic-Product", "Elasticsearch"), ("Content-Type", "application/json")):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_POST  # noqa: N815  # the name that http.server looks for

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_elasticsearch() -> None:
    """Its own spans are queries, called by operation and index: no ids of documents, and nothing of the query."""
    elasticsearch = pytest.importorskip("elasticsearch")
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elastic)) as port, capture() as sent:
        client = elasticsearch.Elasticsearch(f"http://127.0.0.1:{port}")
        with bridge.start_span("root"):
            client.search(index="customers", query={"match": {"mail": "ann@example.org"}})
            client.index(index="customers", id="42", document={"mail": "ann@example.org"})
        client.close()
    assert named(sent) == [("db", "search customers"), ("db", "index customers")]
    assert {span["data"]["db.system"] for span in children(sent)} == {"elasticsearch"}
    assert "ann@example.org" not in str(children(sent))


def test_sqlite(conventions: str) -> None:
    """Literals of a statement and its parameters are not sent."""
    sqlite3 = instrumentor("sqlite3", "SQLite3Instrumentor")
    with capture(instrumentations=[sqlite3]) as sent:
        import sqlite3 as database

        connection = database.connect(":memory:")
        with bridge.start_span("root"):
            connection.cursor().execute("SELECT 'ann@example.org', ?", ("ann",))
        connection.close()
    assert named(sent) == [("db", "SELECT ?, ?")]
    assert children(sent)[0]["data"]["db.system"] == "sqlite"
    assert "ann" not in str(children(sent))


# Amazon's services.


def test_aws(conventions: str) -> None:
    """Messages of SQS are Sentry's queues, calls of S3 its object stores."""
    session_of = pytest.importorskip("botocore.session")
    stub = pytest.importorskip("botocore.stub")
    with capture(instrumentations=[instrumentor("botocore", "BotocoreInstrumentor")]) as sent:
        session = session_of.Session()
        session.set_credentials("a", "b")
        sqs, s3 = (session.create_client(name, region_name="eu-west-1") for name in ("sqs", "s3"))
        with stub.Stubber(sqs) as messages, stub.Stubber(s3) as objects, bridge.start_span("root"):
            messages.add_response("send_message", {"MessageId": "m1"})
            messages.add_response("receive_message", {"Messages": []})
            objects.add_response("put_object", {})
            url = "https://sqs.eu-west-1.amazonaws.com/1/orders"
            sqs.send_message(QueueUrl=url, MessageBody="x")
            sqs.receive_message(QueueUrl=url)
            s3.put_object(Bucket="b", Key="k", Body=b"x")
    send, receive, put = children(sent)
    assert [span["op"] for span in (send, receive, put)] == ["queue.publish", "queue.receive", "object.put"]
    assert (send["data"]["messaging.destination.name"], send["data"]["messaging.message.id"]) == ("orders", "m1")
    assert receive["data"]["messaging.destination.name"] == "orders"


# GraphQL.


def test_strawberry() -> None:
    """The operation, its steps and its resolvers; neither its document nor its arguments."""
    strawberry = pytest.importorskip("strawberry")
    tracing = pytest.importorskip("strawberry.extensions.tracing")

    def user(mail: str) -> str:
        return "ann"

    query = strawberry.type(type("Query", (), {"user": strawberry.field(resolver=user), "__annotations__": {}}))
    with capture() as sent, bridge.start_span("root"):
        schema = strawberry.Schema(query, extensions=[tracing.OpenTelemetryExtensionSync])
        assert schema.execute_sync('query GetUser { user(mail: "a@b") }').errors is None
    assert named(sent) == [
        ("graphql.query", "GraphQL Query: GetUser"),
        ("graphql.parse", "GraphQL Parsing"),
        ("graphql.validate", "GraphQL Validation"),
        ("graphql.resolve", "GraphQL Resolving: user"),
    ]
    assert "a@b" not in str(children(sent))


def test_ariadne() -> None:
    """The operation and its resolvers, without arguments."""
    ariadne = pytest.importorskip("ariadne")
    tracing = pytest.importorskip("ariadne.contrib.tracing.opentelemetry")
    query = ariadne.QueryType()
    query.field("user")(lambda _, info, mail: "ann")
    schema = ariadne.make_executable_schema("type Query { user(mail: String!): String }", query)
    with capture() as sent, bridge.start_span("root"):
        request = {"query": 'query GetUser { user(mail: "a@b") }'}
        ok, _ = ariadne.graphql_sync(schema, request, extensions=[tracing.opentelemetry_extension()])
        assert ok
    assert named(sent)[:2] == [("graphql.query", "GraphQL Operation"), ("graphql.resolve", "user")]
    assert "a@b" not in str(children(sent))


# Language models.


@pytest.mark.parametrize("sends_pii", [False, True])
def test_pydantic_ai(*, sends_pii: bool) -> None:
    """An agent, its model and its tools, with numbers of tokens; what was said only with personal data."""
    pydantic_ai = pytest.importorskip("pydantic_ai")
    test_model = pytest.importorskip("pydantic_ai.models.test")
    with capture(send_default_pii=sends_pii) as sent:
        pydantic_ai.Agent.instrument_all()
        try:
            agent = pydantic_ai.Agent(test_model.TestModel(), name="weather")
            agent.tool_plain(weather)
            with bridge.start_span("root"):
                asyncio.run(agent.run("How is it in Wien?"))
        finally:
            pydantic_ai.Agent.instrument_all(False)
    spans = children(sent)
    assert named(sent) == [
        ("gen_ai.invoke_agent", "invoke_agent weather"),
        ("gen_ai.chat", "chat test"),
        ("gen_ai.execute_tool", "execute_tool weather"),
        ("gen_ai.chat", "chat test"),
    ]
    assert spans[1]["data"]["gen_ai.usage.input_tokens"] > 0
    assert spans[1]["data"]["gen_ai.provider.name"] == "test"
    assert spans[2]["data"]["gen_ai.tool.name"] == "weather"
    assert ("How is it in Wien?" in str(spans)) is sends_pii
    assert ("sunny" in str(spans)) is sends_pii


def weather(city: str) -> str:
    """Return the weather of a city."""
    return "sunny"


def test_mcp() -> None:
    """What a server of the Model Context Protocol is asked for."""
    server_of = pytest.importorskip("mcp.server")
    client_of = pytest.importorskip("mcp")
    server = server_of.MCPServer("shop", log_level="CRITICAL")

    def add(a: int, b: int) -> int:
        return a + b

    server.tool()(add)

    async def talk() -> None:
        async with client_of.Client(server) as client:
            await client.call_tool("add", {"a": 1, "b": 4711})

    with capture() as sent:
        with bridge.start_span("root"):
            asyncio.run(talk())
        [call] = [span for span in children(sent) if span["description"].startswith("tools/call")]
    assert (call["op"], call["description"], call["data"]["mcp.tool.name"]) == ("mcp.server", "tools/call add", "add")
    assert "4711" not in str(children(sent))


# Frameworks.


def test_fastapi_by_itself() -> None:
    """Its own spans are one tree, of a mounted application too, and each has an op."""
    fastapi = pytest.importorskip("fastapi")
    pytest.importorskip("fastapi.telemetry")
    client_of = pytest.importorskip("fastapi.testclient")
    inner, outer = fastapi.FastAPI(), fastapi.FastAPI()
    inner.get("/orders/{order}")(lambda order: {"order": order})
    outer.mount("/api", inner)
    with capture() as sent:
        assert client_of.TestClient(outer).get("/api/orders/1?token=s3cret&page=2").status_code == 200
    [transaction] = sent.transactions
    assert transaction["transaction"] == "GET /api/orders/{order}"
    assert transaction["contexts"]["trace"]["op"] == "http.server"
    assert transaction["contexts"]["trace"]["data"]["url.query"] == "token=[Filtered]&page=2"
    assert set(named(sent)) == {
        ("function", "fastapi.dependencies"),
        ("function", "fastapi.endpoint"),
        ("serialize", "fastapi.serialization"),
    }


def test_jinja2() -> None:
    """Rendering a template."""
    jinja2 = pytest.importorskip("jinja2")
    with capture(instrumentations=[instrumentor("jinja2", "Jinja2Instrumentor")]) as sent, bridge.start_span("root"):
        jinja2.Template("x").render()
    assert ("template.render", "jinja2.render") in named(sent)


def test_asyncio() -> None:
    """Coroutines that are traced."""
    with capture(instrumentations=[instrumentor("asyncio", "AsyncioInstrumentor")]) as sent:

        async def main() -> None:
            with bridge.start_span("root"):
                await asyncio.to_thread(len, "x")

        asyncio.run(main())
    assert [op for op, _ in named(sent)] in ([], ["function"])  # which are traced is the instrumentation's own choice


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    """Serve in a thread; yield the port."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]  # type: ignore[misc]  # of an internet socket
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


logging.getLogger("elastic_transport").setLevel(logging.WARNING)
