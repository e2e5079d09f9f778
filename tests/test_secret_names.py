"""Which names are those of secrets."""

from __future__ import annotations

import pytest

import bridge
from bridge._internal.secret_names import FILTERED, is_secret_name
from bridge._internal.semantics.privacy import Privacy
from bridge.testing import capture


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_passwd",
        "mysql.pwd",
        "rootPwd",
        "passphrase",
        "client_secret",
        "access_token",
        "accessToken",
        "http.request.header.authorization",
        "Set-Cookie",
        "auth",
        "net.proxy_auth",
        "basicAuth",
        "AUTH_HEADER",
        "aws_credentials",
        "x-api-key",
        "apikey",
        "sshKey",
        "encryption_key",
        "key",
        "session_id",
        "sessionId",
        "csrf",
        "XSRF-TOKEN",
    ],
)
def test_names_of_secrets(name: str) -> None:
    """Whatever separates the words and whatever their case."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "author",
        "authored_by",
        "monkey",
        "keyboard",
        "key_count",
        "cache.key",
        "messaging.rabbitmq.destination.routing_key",
        "gen_ai.usage.input_tokens",
        "gen_ai.request.max_tokens",
        "pwdx",
        "session.duration",
        "sessions",
        "",
    ],
)
def test_names_that_only_look_alike(name: str) -> None:
    """A word inside another word is not a secret, and neither are keys of data and counts of tokens."""
    assert not is_secret_name(name)


@pytest.mark.parametrize("name", ["proxy_auth", "session_id", "monkey", "author", "db_pwd", "max_tokens"])
def test_attributes_and_local_variables_are_filtered_by_the_same_names(name: str) -> None:
    """A value is filtered as a span attribute if and only if it is filtered as a local variable."""
    attribute = Privacy().clean({name: "value"})[name]
    namespace: dict[str, object] = {}
    exec(f"def fail():\n    {name} = 'value'\n    raise ValueError", namespace)
    with capture(send_default_pii=True) as sent:
        try:
            namespace["fail"]()  # type: ignore[operator]  # the function above
        except ValueError as error:
            bridge.capture_exception(error)
        frames = sent.events[0]["exception"]["values"][0]["stacktrace"]["frames"]
    assert (attribute == FILTERED) is (frames[-1]["vars"][name] == FILTERED)
