"""What a span means to Sentry, by both semantic conventions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind, StatusCode

from bridge._internal.semantics.inference import (
    FILTERED,
    Semantics,
    clean_attributes,
    clean_url,
    http_status_code,
    infer,
    outgoing_url,
    scrub_url,
    status,
)

SERVER, CLIENT, INTERNAL = SpanKind.SERVER, SpanKind.CLIENT, SpanKind.INTERNAL


@pytest.mark.parametrize(
    ("kind", "attributes", "expected"),
    [
        (SERVER, {"http.request.method": "GET", "http.route": "/a/{id}"}, ("http.server", "GET /a/{id}", "route")),
        (SERVER, {"http.method": "GET", "http.route": "/a"}, ("http.server", "GET /a", "route")),
        (SERVER, {"http.method": "GET", "http.target": "/a?b=c#d"}, ("http.server", "GET /a", "url")),
        (SERVER, {"http.request.method": "GET", "url.path": "/"}, ("http.server", "GET /", "route")),
        (SERVER, {"http.scheme": "wss", "http.route": "/ws/{id}"}, ("websocket.server", "/ws/{id}", "route")),
        (SERVER, {"url.scheme": "ws", "url.path": "/ws/7"}, ("websocket.server", "/ws/7", "url")),
        (
            CLIENT,
            {"http.request.method": "GET", "url.full": "https://u:p@h.example/a?q=1#f"},
            ("http.client", "GET https://h.example/a", "url"),
        ),
        (CLIENT, {"http.method": "GET", "http.url": "https://h/a?q"}, ("http.client", "GET https://h/a", "url")),
        (INTERNAL, {"http.method": "GET", "http.url": "https://h/"}, ("http", "GET https://h/", "route")),
        (CLIENT, {"http.request.method": "GET"}, ("http.client", "name", "custom")),
        (CLIENT, {"db.system.name": "postgresql", "db.query.text": "SELECT 1"}, ("db", "SELECT 1", "task")),
        (CLIENT, {"db.system": "mysql", "db.statement": "SELECT 2"}, ("db", "SELECT 2", "task")),
        (CLIENT, {"db.system": "redis"}, ("db", "name", "task")),
        (CLIENT, {"db.system": "redis", "sentry.op": "cache.get"}, ("cache.get", "name", "custom")),
        (CLIENT, {"rpc.system": "grpc"}, ("rpc", "name", "route")),
        (SERVER, {"rpc.service": "Shop"}, ("rpc", "name", "route")),
        (SpanKind.PRODUCER, {"messaging.system": "kafka"}, ("queue.publish", "name", "route")),
        (SpanKind.CONSUMER, {"messaging.system": "kafka"}, ("queue.process", "name", "route")),
        (
            INTERNAL,
            {"messaging.system": "kafka", "messaging.operation.type": "publish"},
            ("queue.publish", "name", "route"),
        ),
        (INTERNAL, {"messaging.system": "k", "messaging.operation": "process"}, ("queue.process", "name", "route")),
        (INTERNAL, {"messaging.system": "kafka"}, ("message", "name", "route")),
        (SpanKind.PRODUCER, {"celery.action": "apply_async"}, ("queue.publish", "name", "task")),
        (SpanKind.CONSUMER, {"celery.action": "run"}, ("queue.process", "name", "task")),
        (SERVER, {"faas.trigger": "timer"}, ("timer", "name", "route")),
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
    """First match decides; what is explicit wins."""
    assert infer("name", kind, attributes) == Semantics(*expected)


def test_a_custom_name_wins() -> None:
    """A name that was given stays, with the op that the attributes tell."""
    found = infer("mine", SERVER, {"http.request.method": "GET", "http.route": "/a"}, custom_name=True)
    assert found == Semantics("http.server", "mine", "custom")


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
    ("url", "cleaned", "scrubbed"),
    [
        ("https://u:p@h:1/a?q#f", "https://h:1/a", "https://h:1/a?q#f"),
        ("/a?q", "/a", "/a?q"),
        ("http://[broken/a?q", "http://[broken/a", "http://[broken/a?q"),
    ],
)
def test_urls(url: str, cleaned: str, scrubbed: str) -> None:
    """Credentials always go; query and fragment only from a description."""
    assert (clean_url(url), scrub_url(url)) == (cleaned, scrubbed)


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


def test_secrets_are_filtered() -> None:
    """Well-known names are, unless personal data may be sent; URLs lose their credentials in any case."""
    given_attributes = {
        "http.request.header.authorization": "Bearer x",
        "db.password": "p",
        "api_key": "k",
        "url.full": "https://u:p@h/a",
        "list": (1, 2),
        "plain": "x",
    }
    cleaned = clean_attributes(given_attributes, send_default_pii=False)
    assert [key for key, value in cleaned.items() if value == FILTERED] == list(given_attributes)[:3]
    assert (cleaned["url.full"], cleaned["list"], cleaned["plain"]) == ("https://h/a", [1, 2], "x")
    assert clean_attributes(given_attributes, send_default_pii=True)["db.password"] == "p"


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())
KEYS = (
    "http.method http.url url.full http.route url.path db.system db.statement rpc.system messaging.system faas.trigger "
    "sentry.op sentry.source http.status_code server.address"
)
keys = st.sampled_from(KEYS.split())


@given(st.text(), st.sampled_from(SpanKind), st.dictionaries(keys, values), st.sampled_from(StatusCode))
def test_nothing_breaks_it(name: str, kind: SpanKind, attributes: dict[str, Any], code: StatusCode) -> None:
    """Whatever the attributes hold."""
    assert isinstance(infer(name, kind, attributes).description, str)
    assert isinstance(status(code, name, attributes), str)
    http_status_code(attributes)
    outgoing_url(attributes)
    clean_attributes(attributes, send_default_pii=False)
