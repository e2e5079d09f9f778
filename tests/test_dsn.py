"""DSNs: what is taken, what is refused and in which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge._internal.dsn import Dsn

SECRET = "s3cr3t-t0k3n"

VALID = {
    "https://key@o123.ingest.sentry.io/42": Dsn("https", "key", "o123.ingest.sentry.io", None, "", "42"),
    "http://key@localhost:8000/1": Dsn("http", "key", "localhost", 8000, "", "1"),
    "https://key@sentry.example.com/a/b/7": Dsn("https", "key", "sentry.example.com", None, "/a/b", "7"),
    "http://key@[::1]:9000/1": Dsn("http", "key", "::1", 9000, "", "1"),
    "https://key@[2001:db8::1]/x/1": Dsn("https", "key", "2001:db8::1", None, "/x", "1"),
    f"https://key:{SECRET}@example.com/1": Dsn("https", "key", "example.com", None, "", "1", SECRET),
    "https://key@example.com:443/1": Dsn("https", "key", "example.com", 443, "", "1"),
}

INVALID = {
    "": "empty",
    "   ": "empty",
    "nonsense": "scheme",
    "ftp://key@example.com/1": "scheme",
    "//key@example.com/1": "scheme",
    "https://example.com/1": "no public key",
    "https://@example.com/1": "no public key",
    "https://k,y@example.com/1": "public key has a character",
    "https://key:@example.com/1": "secret key",
    "https://key@/1": "no host",
    "https://key@exa mple.com/1": "space",
    "https://key@example.com/1\nX-Evil: 1": "space or a control",
    "https://key@example.com": "project id",
    "https://key@example.com/": "project id",
    "https://key@example.com/name": "project id",
    "https://key@example.com/1/": "project id",
    "https://key@example.com//1": "before its project id",
    "https://key@example.com/1?x=1": "query",
    "https://key@example.com/1#x": "fragment",
    "https://key@example.com:0/1": "port",
    "https://key@example.com:65536/1": "port",
    "https://key@example.com:http/1": "port",
    "https://key@[::g]/1": "not ",
    "https://key@[::1/1": "not a URL",
    "https://key@[v1.x:y]/1": "not an IPv6 address",
    "https://key@a<b/1": "host has a character",
}


@pytest.mark.parametrize(("text", "dsn"), VALID.items())
def test_a_dsn_is_taken_apart_and_put_together_again(text, dsn):
    """A valid DSN is read into its parts, and its text is the DSN again."""
    assert Dsn.parse(text) == dsn
    assert str(Dsn.parse(text)) == text


@pytest.mark.parametrize(("text", "why"), INVALID.items())
def test_a_wrong_dsn_says_what_is_wrong_and_what_a_dsn_looks_like(text, why):
    """The error names what was given, what is wrong with it, and the form of a DSN."""
    with pytest.raises(ValueError, match="http\\(s\\)://PUBLIC_KEY@HOST") as caught:
        Dsn.parse(text)
    assert why in str(caught.value)
    assert repr(text.strip()) in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_dsn_that_is_no_string_is_refused():
    """Not a string: the error says the type."""
    with pytest.raises(ValueError, match="got int"):
        Dsn.parse(42)


@pytest.mark.parametrize(
    "text",
    [
        f"https://key:{SECRET}@/1",
        f"https://key:{SECRET}@example.com/x",
        f"https://key:{SECRET}@[::x/1",
        f"https:key:{SECRET}@example.com/1",
        f"key:{SECRET}@example.com/1",
        f"https://key:a@{SECRET}@example.com/",
        f"https://key:{SECRET}",
        f"https://key:{SECRET}://x@example.com/name",
        f"https://key:{SECRET}\uff0f@example.com/1",
        f"ftp://key:{SECRET} @example.com/1",
    ],
)
def test_a_secret_key_is_never_printed(text):
    """Whatever is wrong with a DSN, the error does not quote its secret key."""
    with pytest.raises(ValueError, match=r"\*\*\*") as caught:
        Dsn.parse(text)
    assert SECRET not in str(caught.value)


def test_only_the_text_form_shows_the_secret_key():
    """The repr and the public form leave the secret key out."""
    dsn = Dsn.parse(f"https://key:{SECRET}@example.com/1")
    assert SECRET not in repr(dsn)
    assert dsn.public == "https://key@example.com/1"


def test_addresses_come_from_the_dsn():
    """Envelopes and OTLP traces go below the prefix, to the project; the authentication names key and client."""
    dsn = Dsn.parse("https://key@sentry.example.com:9000/prefix/42")
    assert dsn.base_url == "https://sentry.example.com:9000/prefix"
    assert dsn.envelope_url == "https://sentry.example.com:9000/prefix/api/42/envelope/"
    assert dsn.otlp_traces_url == "https://sentry.example.com:9000/prefix/api/42/integration/otlp/v1/traces/"
    assert dsn.auth_header("me/1.0") == "Sentry sentry_key=key, sentry_version=7, sentry_client=me/1.0"
    assert Dsn.parse("http://key@[::1]/1").envelope_url == "http://[::1]/api/1/envelope/"


@pytest.mark.parametrize(
    ("host", "org_id"),
    [("o123.ingest.sentry.io", "123"), ("o1.ingest.de.sentry.io", "1"), ("sentry.io", None), ("o12x.y", None)],
)
def test_the_organisation_is_in_the_host(host, org_id):
    """A host that begins with `o<digits>.` names the organisation."""
    assert Dsn.parse(f"https://key@{host}/1").org_id == org_id


@pytest.mark.parametrize(
    ("dsn", "url", "own"),
    [
        ("https://k@o1.ingest.sentry.io/1", "https://o1.ingest.sentry.io/api/1/envelope/", True),
        ("https://k@o1.ingest.sentry.io/1", "https://O1.ingest.SENTRY.io:443/anything?x#y", True),
        ("https://k@sentry.io:443/1", "https://sentry.io/", True),
        ("http://k@[::1]:9000/1", "http://[::1]:9000/x", True),
        ("https://k@sentry.io/1", "http://sentry.io/", False),
        ("https://k@sentry.io/1", "https://sentry.io:8443/", False),
        ("https://k@sentry.io/1", "https://not-sentry.io/", False),
        ("https://k@sentry.io/1", "https://sentry.io.evil.com/", False),
        ("https://k@sentry.io/1", "https://evil.com/?next=https://sentry.io/", False),
        ("https://k@sentry.io/1", "https://sentry.io@evil.com/", False),
        ("https://k@host/sentry/1", "https://host/sentry/api/1/envelope/", True),
        ("https://k@host/sentry/1", "https://host/sentry", True),
        ("https://k@host/sentry/1", "https://host/sentry-docs/", False),
        ("https://k@host/sentry/1", "https://host/shop", False),
        ("https://k@sentry.io/1", "https://sentry.io:http/", False),
        ("https://k@sentry.io/1", "http://[::1", False),
        ("https://k@sentry.io/1", "", False),
    ],
)
def test_own_requests_are_told_by_scheme_host_and_port(dsn, url, own):
    """A request is the DSN's own by where it goes, never by a piece of its text."""
    assert Dsn.parse(dsn).is_own_request(url) is own


keys = st.text("abcdef0123456789", min_size=1, max_size=32)
names = st.from_regex(r"[a-z][a-z0-9-]{0,10}(\.[a-z]{1,5}){0,3}", fullmatch=True)
hosts = names | st.ip_addresses(v=6).map(str) | st.ip_addresses(v=4).map(str)


@given(
    scheme=st.sampled_from(["http", "https"]),
    public_key=keys,
    secret_key=st.none() | keys,
    host=hosts,
    port=st.none() | st.integers(1, 65535),
    path=st.from_regex(r"(/[a-z0-9_-]{1,8}){0,3}", fullmatch=True),
    project_id=st.integers(0, 10**12).map(str),
)
def test_every_dsn_survives_its_text_form(scheme, public_key, secret_key, host, port, path, project_id):
    """Parsing the text of a DSN gives the DSN, and its own envelope URL is its own request."""
    dsn = Dsn(scheme, public_key, host, port, path, project_id, secret_key)
    assert Dsn.parse(str(dsn)) == dsn
    assert dsn.is_own_request(dsn.envelope_url)


@given(st.text(max_size=60) | st.from_regex(r"https?://[^ ]{0,20}@?[^ ]{0,20}/[^ ]{0,5}"))
def test_any_text_is_a_dsn_or_a_value_error(text):
    """Nothing else than `ValueError` comes out, and what is taken gives a usable URL."""
    try:
        dsn = Dsn.parse(text)
    except ValueError:
        return
    assert Dsn.parse(str(dsn)) == dsn


@given(st.text(), st.text())
def test_asking_for_own_requests_never_raises(prefix, url):
    """Whatever the URL of a request is, there is an answer."""
    dsn = Dsn.parse("https://key@example.com/1")
    assert dsn.is_own_request(prefix + url) in (True, False)
