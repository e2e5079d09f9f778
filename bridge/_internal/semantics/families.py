"""Families of attributes that hold what people are, write or ask for, by name.

Sentry's own marks (`conventions.PERSONAL`) are half of it. The others belong to instrumentations that Sentry's table
does not know; `*` stands for anything.
"""

from __future__ import annotations

import re

from bridge._internal.semantics.conventions import PERSONAL, REPLACEMENTS


def _names(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(pattern).replace(r"\*", ".*") for pattern in patterns))


_PEOPLE = _names("enduser.*", "client.socket.address", "http.client_ip", "tls.client.subject")
# Sentry marks these as personal; other attributes with its mark are URLs, headers, statements or messages.
_MARKED_NAMESPACES = ("ai.", "client.", "gen_ai.", "graphql.", "mcp.tool.", "mcp.request.", "mcp.prompt.", "user.")

_PEERS = _names("net.peer.ip", "net.peer.name", "net.sock.peer.addr", "net.sock.peer.name", "network.peer.address")

_PARAMETERS = _names(
    *("db.query.parameter.*", "db.query.parameters", "db.statement.parameters", "db.params", "db.sql.bindings"),
    *("db.redis.parameters", "db.operation.parameter.*", "db.elasticsearch.path_parts.*", "elasticsearch.params"),
    *("elasticsearch.id", "graphql.document", "graphql.source", "graphql.variable*", "graphql.param.*", "graphql.arg*"),
)
_NOT_PARAMETERS = _names("db.operation.parameter.index", "db.elasticsearch.path_parts.index")

# What people write to language models, what those answer, what goes in and out of tools, and bodies of messages.
_CONTENT = _names(
    # OpenTelemetry's conventions, old and new
    *("gen_ai.*messages", "gen_ai.prompt", "gen_ai.prompt.*", "gen_ai.completion", "gen_ai.completion.*"),
    *("gen_ai.system_instructions", "gen_ai.system.message", "gen_ai.response.text", "gen_ai.response.object"),
    *("gen_ai.response.tool_calls", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.tool.input"),
    *("gen_ai.tool.output", "gen_ai.tool.message", "gen_ai.tool.parameters", "gen_ai.embeddings.input"),
    *("gen_ai.memory.query.text", "gen_ai.memory.records", "gen_ai.retrieval.query.text", "gen_ai.retrieval.documents"),
    *("gen_ai.event.content", "gen_ai.content.*", "gen_ai.evaluation.explanation"),
    # OpenInference
    *("input.value", "output.value", "llm.*", "embedding.embeddings*", "embedding.text", "embedding.vector"),
    *("retrieval.documents*", "reranker.query", "reranker.*documents*", "document.content", "document.metadata"),
    *("message.content*", "message.tool_calls*", "tool.parameters", "tool_call.function.arguments"),
    "prompt_template.variables",
    # Traceloop, Pydantic AI, Langfuse, MLflow
    *("traceloop.entity.input", "traceloop.entity.output", "traceloop.prompt.*", "pydantic_ai.all_messages*"),
    *("all_messages_events", "final_result", "tool_arguments", "tool_response", "langfuse.observation.*put"),
    *("langfuse.trace.*put", "mlflow.spanInputs", "mlflow.spanOutputs"),
    # MCP, HTTP, messages, remote calls, searches in Redis
    *("mcp.request.argument.*", "mcp.tool.result.*", "mcp.prompt.result.*", "mcp.logging.message"),
    *("http.request.body", "http.request.body.content", "http.request.body.data", "http.response.body"),
    *("http.response.body.content", "http.response.body.data", "messaging.message.body", "messaging.message.payload"),
    *("rpc.request.body", "rpc.response.body", "redis.search.query", "redis.search.xdoc_*"),
)
_NOT_CONTENT = _names(
    *("gen_ai.prompt.name", "llm.system", "llm.provider", "llm.model_name", "llm.request.type", "llm.finish_reason"),
)

_NAMED_PART = re.compile(
    r"(?:\.(?:request|response)\.(?:header|metadata|cookie)s?\.|^messaging\.headers?\.|\.cookies?\."
    r"|^url\.path\.param(?:eter|s)\.|^url\.query\.|^query\.)(.+)$"
)
_STATEMENTS = frozenset({"db.query.text", "db.statement"})
_QUERIES = frozenset({"url.query", "http.query", "http.target", "url.fragment", "http.fragment", "url.path"})
_CONNECTIONS = ("connection_string", ".dsn")


def is_personal(key: str) -> bool:
    """Whether an attribute tells about a person, or is a parameter of a statement or of a GraphQL operation."""
    for name in (key, REPLACEMENTS.get(key, key)):
        if _PEOPLE.fullmatch(name) or (_PARAMETERS.fullmatch(name) and not _NOT_PARAMETERS.fullmatch(name)):
            return True
        if name in PERSONAL and name.startswith(_MARKED_NAMESPACES):
            return True
    return False


def is_peer(key: str) -> bool:
    """Whether an attribute tells the other side's address: on spans of servers, the client's."""
    return _PEERS.fullmatch(key) is not None


def is_content(key: str) -> bool:
    """Whether an attribute holds what people or language models wrote, or a body."""
    names = (key, REPLACEMENTS.get(key, key))
    return any(_CONTENT.fullmatch(name) and not _NOT_CONTENT.fullmatch(name) for name in names)


def is_statement(key: str) -> bool:
    """Whether an attribute holds the text of a query."""
    return key in _STATEMENTS


def is_query(key: str) -> bool:
    """Whether an attribute holds parameters of a URL without the URL's scheme and host."""
    return key in _QUERIES


def is_connection(key: str) -> bool:
    """Whether an attribute holds a connection string."""
    return key.endswith(_CONNECTIONS)


def named_part(key: str) -> str:
    """Return the name of the header, cookie or parameter that an attribute holds; else the empty text."""
    found = _NAMED_PART.search(key)
    return "" if found is None else found.group(1)
