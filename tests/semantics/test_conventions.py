"""Sentry's own table of attributes, and what is made of it."""

from __future__ import annotations

from bridge._internal.semantics.conventions import PERSONAL
from bridge._internal.semantics.privacy import Privacy
from tests.semantics import convention_table

# Attributes that Sentry scrubs and that are sent as they are, but for passwords and secret parameters in them.
TEXTS = {
    "aws.request.url": "a URL",
    "aws.s3.copy_source": "the name of an object",
    "aws.s3.delete": "the name of an object",
    "aws.s3.key": "the name of an object",
    "cache.tags": "a program's own words",
    "db.connection_string": "a URL",
    "exception.message": "what an error event shows too",
    "exception.stacktrace": "what an error event shows too",
    "file.path": "a place on the machine",
    "grpc.error.*": "what the server says of the failure",
    "http.request.header.<key>": "by the header's name",
    "http.response.header.<key>": "by the header's name",
    "http.url": "a URL",
    "mcp.resource.uri": "part of the name",
    "messaging.bullmq.*": "not of Python",
    "messaging.url": "a URL",
    "net.peer.ip": "only of servers",
    "net.sock.peer.addr": "only of servers",
    "net.sock.peer.name": "only of servers",
    "network.peer.address": "only of servers",
    "otel.status_description": "what an error event shows too",
    "url.full": "a URL",
    "url.path.parameter.<key>": "by the parameter's name",
    "url.path.params.<key>": "by the parameter's name",
}


def test_the_table_is_that_of_the_installed_distribution() -> None:
    """`python -m tests.semantics.convention_table` writes it anew."""
    assert convention_table.PLACE.read_text() == convention_table.text()


def test_every_mark_of_sentry_has_a_rule() -> None:
    """An attribute that Sentry scrubs as personal data is withheld, filtered or cleaned, or is listed here."""
    privacy = Privacy()
    unruled = {key for key in PERSONAL if privacy._treatment(key.replace("<key>", "x"), of_server=False) is None}
    named = {key for key in unruled if key in TEXTS or any(key.startswith(f[:-1]) for f in TEXTS if f.endswith("*"))}
    assert unruled == named
    assert TEXTS.keys() - unruled <= {"grpc.error.*", "messaging.bullmq.*"}
