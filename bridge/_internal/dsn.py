"""The DSN: where to send, and as whom."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_FORM = "http(s)://PUBLIC_KEY@HOST[:PORT][/PREFIX]/PROJECT_ID"
_KEY = re.compile(r"[A-Za-z0-9._~-]+")
_HOST = re.compile(r"[^\s\x00-\x20\x7f/?#@:\[\]\\%<>\"'`{}|^]+")
_PREFIX = re.compile(r"(/[^\s\x00-\x20\x7f/?#\\\"<>]+)*")
_PROJECT = re.compile(r"[0-9]+")
_BLANK = re.compile(r"[\s\x00-\x20\x7f]")
_ORG_HOST = re.compile(r"o([0-9]+)\.")
# After a colon, anything that is neither "//" nor a port may be a secret.
_MAYBE_SECRET = re.compile(r":(?!//)(?![0-9]{1,5}(?:/|$)).*")


@dataclass(frozen=True, slots=True)
class Dsn:
    """A parsed DSN. `str(dsn)` gives the DSN back, secret key and all; `public` leaves that one out."""

    scheme: str
    public_key: str
    host: str
    port: int | None
    path: str
    project_id: str
    secret_key: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Dsn:
        """Parse a DSN.

        Raises `ValueError`, saying what was given (never its secret key), what is wrong and what a DSN looks like.
        """
        if not isinstance(text, str):
            raise ValueError(f"The DSN must be a string, got {type(text).__name__}. A DSN is {_FORM}.")
        text = text.strip()
        parts = _split(text)
        path, _, project_id = parts.path.rpartition("/")
        port = _port(parts, text)
        public_key, colon, secret_key = parts.netloc.rpartition("@")[0].partition(":")
        if not _KEY.fullmatch(public_key):
            _refuse(
                text,
                "it has no public key" if not public_key else "its public key has a character no key has",
            )
        if colon and not _KEY.fullmatch(secret_key):
            _refuse(text, "its secret key is empty or has a character no key has")
        if not _PROJECT.fullmatch(project_id):
            _refuse(text, "its last path segment is not a project id (a number)")
        if not _PREFIX.fullmatch(path):
            _refuse(text, "the path before its project id is malformed")
        return cls(parts.scheme, public_key, _host(parts, text), port, path, project_id, secret_key or None)

    @property
    def org_id(self) -> str | None:
        """The organisation, which Sentry's own hosts begin with: `o123.ingest.sentry.io`."""
        match = _ORG_HOST.match(self.host)
        return match[1] if match else None

    @property
    def is_sentrys_own(self) -> bool:
        """Whether it is of sentry.io, and not of a Sentry that somebody hosts."""
        return self.host == "sentry.io" or self.host.endswith(".sentry.io")

    @property
    def base_url(self) -> str:
        """Scheme, host, port and prefix, without a slash at the end."""
        return f"{self.scheme}://{self._authority}{self.path}"

    @property
    def envelope_url(self) -> str:
        return f"{self.base_url}/api/{self.project_id}/envelope/"

    @property
    def otlp_traces_url(self) -> str:
        return f"{self.base_url}/api/{self.project_id}/integration/otlp/v1/traces/"

    @property
    def public(self) -> str:
        """The DSN without its secret key: the form for headers, logs and browsers."""
        return f"{self.scheme}://{self.public_key}@{self._authority}{self.path}/{self.project_id}"

    def auth_header(self, client: str) -> str:
        """Return the value of `X-Sentry-Auth` for a client named `name/version`."""
        return f"Sentry sentry_key={self.public_key}, sentry_version=7, sentry_client={client}"

    def is_own_request(self, url: str) -> bool:
        """Say whether a request to `url` goes to this DSN's server (below its prefix, if it has one)."""
        try:
            parts = urlsplit(url)
            port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
            host = parts.hostname
        except (ValueError, TypeError, AttributeError):
            return False
        own_port = self.port or _DEFAULT_PORTS[self.scheme]
        if (parts.scheme, host, port) != (self.scheme, self.host, own_port):
            return False
        return not self.path or f"{parts.path}/".startswith(f"{self.path}/")

    @property
    def _authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def __str__(self) -> str:
        if self.secret_key is None:
            return self.public
        return self.public.replace(f"{self.public_key}@", f"{self.public_key}:{self.secret_key}@", 1)


def _split(text: str) -> SplitResult:
    if not text:
        _refuse(text, "it is empty")
    if _BLANK.search(text):
        _refuse(text, "it has a space or a control character in it")
    try:
        parts = urlsplit(text)
    except ValueError:
        _refuse(text, "it is not a URL")
    if parts.scheme not in _DEFAULT_PORTS:
        _refuse(text, "its scheme is neither http nor https")
    if "?" in text or "#" in text:
        _refuse(text, "it has a query or a fragment")
    return parts


def _port(parts: SplitResult, text: str) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        _refuse(text, "its port is not a number from 1 to 65535")
    return port


def _host(parts: SplitResult, text: str) -> str:
    host = parts.hostname
    if not host:
        _refuse(text, "it has no host")
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            _refuse(text, "its host is not an IPv6 address")
    elif not _HOST.fullmatch(host):
        _refuse(text, "its host has a character no host has")
    return host


def _refuse(text: str, why: str) -> NoReturn:
    # `from None`: the URL parser's own message may quote the secret key.
    raise ValueError(f"The DSN {_mask(text)!r} cannot be used: {why}. A DSN is {_FORM}.") from None


def _mask(text: str) -> str:
    head, at, tail = text.rpartition("@")
    if not at:
        return _MAYBE_SECRET.sub(":***", text)
    scheme, slashes, keys = head.partition("://")
    if not slashes:
        scheme, keys = "", head
    public_key, colon, secret_key = keys.partition(":")
    return f"{scheme}{slashes}{public_key}{colon}{'***' if secret_key else ''}@{tail}"
