"""What may leave of what is collected, and what a program's own is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags
from sentry_sdk.scrubber import DEFAULT_DENYLIST, DEFAULT_PII_DENYLIST

import bridge
from bridge._internal.secret_names import FILTERED
from bridge._internal.semantics.privacy import Privacy
from bridge.testing import BridgeCapture, capture

SERVER, CLIENT, INTERNAL = SpanKind.SERVER, SpanKind.CLIENT, SpanKind.INTERNAL
tracer = trace.get_tracer("instrumentation")


def cleaned(attributes: dict[str, Any], kind: SpanKind = INTERNAL, **options: Any) -> dict[str, Any]:
    return Privacy(**options).clean(attributes, kind)


@pytest.mark.parametrize("name", [*DEFAULT_DENYLIST, *DEFAULT_PII_DENYLIST])
@pytest.mark.parametrize("form", ["{}", "http.request.header.{}", "http.response.header.{}", "app.{}"])
def test_names_of_sentry_sdk_are_filtered(name: str, form: str) -> None:
    """Every name that sentry-sdk scrubs by default, as an attribute and as a header."""
    for key in (form.format(name), form.format(name.lower().replace("-", "_"))):
        assert cleaned({key: ["x"]}) == {key: FILTERED}
        assert cleaned({key: "x"}, send_default_pii=True) == {key: "x"}


WORDS = "auth token secret password passwd pwd key jwt bearer sso saml csrf xsrf credentials session sid identity"


@pytest.mark.parametrize("word", WORDS.split())
@pytest.mark.parametrize("form", ["{}", "x-{}", "x_{}_id", "My{}", "api-{}-v2"])
def test_secret_words_of_headers_cookies_and_parameters(word: str, form: str) -> None:
    """As whole words, whatever separates them."""
    name = form.format(word.title() if form == "My{}" else word)
    for key in (f"http.request.header.{name}", f"rpc.request.metadata.{name}", f"http.request.cookie.{name}"):
        assert cleaned({key: ["x"]}) == {key: FILTERED}
    assert cleaned({"url.full": f"https://h/a?{name}=x&page=2"}) == {
        "url.full": f"https://h/a?{name}=[Filtered]&page=2"
    }
    assert cleaned({"url.query": f"page=2&{name}=x"}) == {"url.query": f"page=2&{name}=[Filtered]"}
    assert cleaned({"http.target": f"/a?{name}=x#{name}=y"}) == {
        "http.target": f"/a?{name}=[Filtered]#{name}=[Filtered]"
    }


@pytest.mark.parametrize(
    "name",
    ["author", "keyword", "monkey", "content_type", "user-agent", "accept", "x-request-id", "traceparent", "host"],
)
def test_words_that_only_contain_a_secret_one(name: str) -> None:
    """A word inside another word is none."""
    header = {f"http.request.header.{name}": ["x"]}
    assert cleaned(header) == header
    url = {"url.full": f"https://h/a?{name}=x"}
    assert cleaned(url) == url


@pytest.mark.parametrize(
    "name",
    ["x_forwarded_for", "forwarded", "x-real-ip", "true_client_ip", "cf-connecting-ip", "via", "remote-addr", "x-user"],
)
def test_headers_that_say_where_a_request_comes_from(name: str) -> None:
    """Addresses and users in headers are filtered."""
    assert cleaned({f"http.request.header.{name}": ["203.0.113.7"]}) == {f"http.request.header.{name}": FILTERED}


NEVER_FILTERED: dict[str, Any] = {
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 5,
    "gen_ai.usage.cache_read.input_tokens": 5,
    "gen_ai.usage.reasoning.output_tokens": 5,
    "gen_ai.request.max_tokens": 10,
    "gen_ai.response.time_to_first_token": 0.5,
    "gen_ai.response.tokens_per_second": 9.5,
    "gen_ai.token.type": "input",
    "llm.token_count.prompt": 12,
    "llm.usage.total_tokens": 17,
    "llm.model_name": "gpt",
    "app.prompt_tokens": 3,
    "session.id": "s",
    "mcp.session.id": "s",
    "mcp.progress.token": "7",
    "gen_ai.conversation.id": "c",
    "cache.key": ["user:7"],
    "messaging.kafka.message.key": "k",
    "messaging.rabbitmq.destination.routing_key": "orders",
    "aws.s3.key": "a/b.txt",
    "gen_ai.prompt.name": "summary",
    "gen_ai.output.type": "json",
    "gen_ai.tool.call.id": "c1",
    "gen_ai.tool.call.result.size": 7,
    "message.type": "SENT",
    "traceloop.entity.name": "retrieve",
    "graphql.operation.name": "GetUser",
    "db.operation.name": "SELECT",
    "user_agent.original": "curl/8",
    "flag": True,
    "shop.items": [1, 2],
}


@pytest.mark.parametrize("key", NEVER_FILTERED)
def test_counts_and_names_stay(key: str) -> None:
    """Numbers of tokens, ids of sessions and keys of data are no secrets."""
    assert cleaned({key: NEVER_FILTERED[key]}) == {key: NEVER_FILTERED[key]}


NOT_SENT: dict[str, Any] = {
    "client.address": "203.0.113.7",
    "http.client_ip": "203.0.113.7",
    "client.socket.address": "203.0.113.7",
    "enduser.id": 7,
    "enduser.role": "admin",
    "user.id": "7",
    "user.email": "a@b",
    "gen_ai.input.messages": "[]",
    "gen_ai.output.messages": "[]",
    "gen_ai.request.messages": "[]",
    "gen_ai.system_instructions": "be kind",
    "gen_ai.prompt": "hi",
    "gen_ai.prompt.0.content": "hi",
    "gen_ai.completion": "hi",
    "gen_ai.completion.0.content": "hi",
    "gen_ai.response.text": "hi",
    "gen_ai.response.tool_calls": "[]",
    "gen_ai.tool.call.arguments": "{}",
    "gen_ai.tool.call.result": "{}",
    "gen_ai.tool.input": "{}",
    "gen_ai.tool.output": "{}",
    "gen_ai.embeddings.input": "hi",
    "ai.prompt": "hi",
    "ai.response.text": "hi",
    "ai.toolCall.args": "{}",
    "input.value": "hi",
    "output.value": "hi",
    "llm.input_messages.0.message.content": "hi",
    "llm.prompts": ["hi"],
    "llm.invocation_parameters": "{}",
    "embedding.embeddings.0.embedding.text": "hi",
    "retrieval.documents.0.document.content": "hi",
    "traceloop.entity.input": "{}",
    "traceloop.entity.output": "{}",
    "pydantic_ai.all_messages": "[]",
    "all_messages_events": "[]",
    "final_result": "hi",
    "tool_arguments": "{}",
    "tool_response": "hi",
    "mcp.request.argument.city": "Wien",
    "mcp.tool.result.content": "hi",
    "db.query.parameter.0": 17,
    "db.statement.parameters": "('ann',)",
    "db.sql.bindings": ["ann"],
    "db.operation.parameter.id": "42",
    "graphql.document": "query { x }",
    "graphql.source": "query { x }",
    "graphql.variables": "{}",
    "graphql.param.mail": "a@b",
    "graphql.arg[mail]": "a@b",
    "http.request.body.content": "{}",
    "messaging.message.body": "{}",
}


@pytest.mark.parametrize("key", NOT_SENT)
def test_people_prompts_and_parameters_are_not_sent(key: str) -> None:
    """Unless personal data may be sent."""
    assert cleaned({key: NOT_SENT[key]}) == {}
    assert cleaned({key: NOT_SENT[key]}, send_default_pii=True) == {key: NOT_SENT[key]}


@pytest.mark.parametrize("key", ["net.peer.ip", "net.sock.peer.addr", "network.peer.address", "net.peer.name"])
def test_the_peer_of_a_server_is_its_client(key: str) -> None:
    """A client's peer is a server, whose address is sent."""
    assert cleaned({key: "203.0.113.7"}, SERVER) == {}
    assert cleaned({key: "203.0.113.7", "http.route": "/a"}, INTERNAL) == {"http.route": "/a"}  # a mounted application
    assert cleaned({key: "203.0.113.7"}, CLIENT) == {key: "203.0.113.7"}


URLS = [
    ("https://u:geheim@h/a?page=2", "https://h/a?page=2"),
    ("postgresql://u:geheim@h:5432/shop", "postgresql://h:5432/shop"),
    ("postgres://u:gehe/im@h/shop", "postgres://h/shop"),
    ("redis://:geheim@h:6379/0", "redis://h:6379/0"),
    ("amqp://guest:ge@heim@mq//", "amqp://mq//"),
    ("mongodb://u:geheim@h1,h2/db", "mongodb://h1,h2/db"),
    ('["amqp://u:geheim@a:1", "amqp://u:geheim@b:2"]', '["amqp://a:1", "amqp://b:2"]'),
    ("could not reach http://u:geheim@h", "could not reach http://h"),
    ("jdbc:sqlserver://h;user=u;password=geheim;x=1", "jdbc:sqlserver://h;user=u;password=[Filtered];x=1"),
    ("https://h:8080/users/@me", "https://h:8080/users/@me"),
    ("https://h/a@b", "https://h/a@b"),
]


@pytest.mark.parametrize(("url", "expected"), URLS)
@pytest.mark.parametrize("sends_pii", [False, True])
@pytest.mark.parametrize("key", ["url.full", "messaging.url", "db.connection_string", "anything", "exception.message"])
def test_passwords_in_urls_never_leave(url: str, expected: str, key: str, *, sends_pii: bool) -> None:
    """In any attribute, with and without personal data."""
    assert cleaned({key: url}, send_default_pii=sends_pii) == {key: expected}
    assert cleaned({key: [url]}, send_default_pii=sends_pii) == {key: [expected]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host=h user=u password=geheim dbname=shop", "host=h user=u password=[Filtered] dbname=shop"),
        ("Server=h;Database=d;Uid=u;Pwd=geheim;", "Server=h;Database=d;Uid=u;Pwd=[Filtered];"),
        ("PASSWORD='ge heim' x=1", "PASSWORD=[Filtered] x=1"),
        ("login with password=geheim failed", "login with password=[Filtered] failed"),
        ("max_tokens=5, x = 7", "max_tokens=5, x = 7"),
    ],
)
def test_passwords_in_connection_strings(text: str, expected: str) -> None:
    """In the form of keys and values too."""
    assert cleaned({"db.connection_string": text, "error": text}) == {
        "db.connection_string": expected,
        "error": expected,
    }
    assert "geheim" not in str(cleaned({"db.connection_string": text}, send_default_pii=True))


def test_texts_with_urls() -> None:
    """Secret parameters go from any URL, the rest of a text stays."""
    assert cleaned({"note": "GET https://h/a?sig=s&page=2 -> 200"}) == {
        "note": "GET https://h/a?sig=[Filtered]&page=2 -> 200"
    }
    referer = {"http.request.header.referer": ["https://h/a?access_token=s"]}
    assert cleaned(referer) == {"http.request.header.referer": ["https://h/a?access_token=[Filtered]"]}
    assert cleaned({"url.full": "https://h/?to%6ben=s"}) == {"url.full": "https://h/?to%6ben=[Filtered]"}
    assert cleaned({"url.full": "https://h/?max_tokens=5"}) == {"url.full": "https://h/?max_tokens=5"}


def test_command_lines() -> None:
    """Options that are named like secrets lose their values."""
    arguments = ["app.py", "--password=geheim", "--api-key", "geheim", "--port", "80", "postgres://u:geheim@h"]
    assert cleaned({"process.command_args": arguments}) == {
        "process.command_args": [
            "app.py",
            "--password=[Filtered]",
            "--api-key",
            "[Filtered]",
            "--port",
            "80",
            "postgres://h",
        ]
    }


def test_names_of_a_program_are_added() -> None:
    """`scrub_names` are filtered as the known ones are, word for word, also where personal data may be sent."""
    given_attributes = {
        "http.request.header.x-tenant": ["t"],
        "url.full": "https://h/?tenantId=7&tenants=8",
        "shop.tenant.id": 7,
        "shop.tenants": 8,
        "taxNumber": "1",
    }
    expected = {
        "http.request.header.x-tenant": FILTERED,
        "url.full": "https://h/?tenantId=[Filtered]&tenants=8",
        "shop.tenant.id": FILTERED,
        "shop.tenants": 8,
        "taxNumber": FILTERED,
    }
    assert cleaned(given_attributes, scrub_names=("tenant", "tax_number")) == expected
    assert cleaned({"tax_number": "1"}, scrub_names=("taxNumber",), send_default_pii=True) == {"tax_number": FILTERED}


# What goes through the bridge, in both lifecycles.

LEAKS: dict[str, Any] = {
    "client.address": "LEAK-address",
    "url.full": "https://u:LEAK-password@h/?token=LEAK-token",
    "http.request.header.authorization": ["Bearer LEAK-header"],
    "gen_ai.input.messages": "LEAK-prompt",
    "password": "LEAK-name",
    "db.system": "postgresql",
    "db.statement": "SELECT 'LEAK-literal'",
}
OTHER = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1))


def everything(sent: BridgeCapture) -> str:
    return "\n".join(envelope.serialize().decode() for envelope in sent.envelopes)


@pytest.mark.parametrize("lifecycle", ["static", "stream"])
@pytest.mark.parametrize("provider", [None, TracerProvider])
def test_one_rule_for_spans_links_events_and_resource(lifecycle: str, provider: type[TracerProvider] | None) -> None:
    """Nothing that is collected leaks anywhere, whichever provider makes the spans."""
    resource = Resource({"db.url": "postgres://u:LEAK-resource@h", "api_key": "LEAK-key"})
    with capture(
        trace_lifecycle=lifecycle,
        resource=None if provider else resource,
        tracer_provider=provider(resource=resource) if provider else None,
    ) as sent:
        ours = trace.get_tracer("instrumentation")
        with ours.start_as_current_span("root https://u:LEAK-name@h?key=LEAK", kind=SERVER, attributes=LEAKS) as root:
            root.set_status(StatusCode.ERROR, "failed: https://u:LEAK-message@h")
            root.add_event("login", LEAKS)
            root.record_exception(ValueError("no https://u:LEAK-exception@h"))
            with ours.start_as_current_span("child", attributes=LEAKS, links=[Link(OTHER, LEAKS)]) as child:
                child.set_attributes(LEAKS)
            headers = sent.headers()
        assert "LEAK" not in everything(sent)
    assert "LEAK" not in str(headers)


@pytest.mark.parametrize("lifecycle", ["static", "stream"])
def test_what_a_program_sets_by_hand_stays(lifecycle: str) -> None:
    """Through bridge's own setters and the arguments of `start_span`; passwords in URLs go."""
    own = {
        "client.address": "OWN-address",
        "token": "OWN-token",
        "gen_ai.input.messages": "OWN-prompt",
        "url.full": "https://u:LEAK@h/?token=OWN-parameter",
        "db.statement": "SELECT 'OWN-literal'",
    }
    with capture(trace_lifecycle=lifecycle) as sent:
        bridge.set_attribute("secret", "OWN-scope")
        bridge.set_tag("url", "https://u:LEAK@h/OWN-tag")
        links = [Link(OTHER, {"key": "OWN-link"})]
        with (
            bridge.start_span("OWN-name https://u:LEAK@h", attributes=own, links=links),
            tracer.start_as_current_span("child", attributes={"jwt": "LEAK"}) as child,
        ):
            child.set_attribute("password", "LEAK")
            current = bridge.get_current_span()
            assert current is not None
            current.set_data("auth", "OWN-data")
            current.set_tag("passwd", "OWN-span-tag")
        text = everything(sent)
    assert "LEAK" not in text
    for value in ("address", "token", "prompt", "parameter", "literal", "scope", "tag", "name", "link", "data"):
        assert f"OWN-{value}" in text
    assert "OWN-span-tag" in text


def test_what_a_program_sets_on_spans_of_another_provider_stays() -> None:
    """The setters of the view, and the arguments of `start_span`."""
    with capture(tracer_provider=TracerProvider()) as sent:
        with bridge.start_span("root", attributes={"token": "OWN-argument"}) as span:
            span.set_data("password", "OWN-data")
            span.set_tag("auth", "OWN-tag")
            span.set_attribute("jwt", "LEAK")
        text = everything(sent)
    assert "LEAK" not in text
    assert all(f"OWN-{name}" in text for name in ("argument", "data", "tag"))


def test_an_error_is_named_by_what_may_leave() -> None:
    """The transaction that an error names shows no literals either."""
    with capture() as sent:
        attributes = {"db.system": "postgresql", "db.statement": "SELECT 'LEAK'"}
        with tracer.start_as_current_span("SELECT", kind=CLIENT, attributes=attributes):
            bridge.capture_message("x")
        assert sent.events[0]["transaction"] == "SELECT ?"


keys = st.sampled_from([*LEAKS, *NEVER_FILTERED, *NOT_SENT, "process.command_args", "query"])
texts = st.text(max_size=30)
values = texts | st.integers() | st.lists(texts, max_size=3) | st.binary(max_size=5) | st.none()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(keys, values, max_size=5), st.sampled_from(SpanKind), st.booleans())
def test_cleaning_twice_changes_nothing(attributes: dict[str, Any], kind: SpanKind, sends_pii: bool) -> None:
    """What may leave may leave."""
    privacy = Privacy(send_default_pii=sends_pii)
    once = privacy.clean(attributes, kind)
    assert privacy.clean(once, kind).keys() == once.keys()


def test_a_database_system_that_is_no_text() -> None:
    """The statement is redacted as that of an unknown system."""
    cleaned = Privacy().clean({"db.system": ["x"], "db.statement": "SELECT 'secret'"}, SpanKind.CLIENT)
    assert "secret" not in str(cleaned["db.statement"])
