"""DSN: where a project's events go, in one URL."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

_TAKES = "it takes https://<public key>@<host>/<project id>"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Dsn:
    """A parsed DSN. `path` is the prefix before the project id, empty or starting with `/`."""

    scheme: str
    public_key: str
    host: str
    port: int | None
    path: str
    project_id: str
    secret_key: str | None = None

    @classmethod
    def parse(cls, text: str) -> Dsn:
        """Read a DSN. Raises `ValueError` that says what is wrong with it; a secret key is never shown."""
        try:
            url = urlsplit(text.strip())
            port = url.port
        except ValueError as error:
            raise ValueError(f"this DSN is no URL ({error}); {_TAKES}") from None
        if url.scheme not in _DEFAULT_PORTS:
            raise ValueError(f"this DSN has the scheme {url.scheme!r}, not http or https; {_TAKES}")
        if not url.hostname:
            raise ValueError(f"this DSN has no host; {_TAKES}")
        if not url.username:
            raise ValueError(f"this DSN for {url.hostname} has no public key; {_TAKES}")
        path, _, project_id = url.path.rstrip("/").rpartition("/")
        if not project_id.isdigit():
            raise ValueError(f"this DSN for {url.hostname} has no project id, a number; {_TAKES}")
        return cls(url.scheme, url.username, url.hostname, port, path, project_id, url.password)

    @property
    def netloc(self) -> str:
        """Host and, where it is given, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """The server, with the prefix."""
        return f"{self.scheme}://{self.netloc}{self.path}"

    @property
    def envelope_url(self) -> str:
        """Where envelopes are posted."""
        return f"{self.base_url}/api/{self.project_id}/envelope/"

    @property
    def otlp_traces_url(self) -> str:
        """Where OpenTelemetry's own exporter can post traces."""
        return f"{self.base_url}/api/{self.project_id}/integration/otlp/v1/traces/"

    @property
    def org_id(self) -> str | None:
        """The organisation, where the host says it (`o123.`)."""
        first = self.host.partition(".")[0]
        return first[1:] if first[:1] == "o" and first[1:].isdigit() else None

    def auth_header(self, client: str) -> str:
        """Return the value of `X-Sentry-Auth`; `client` is `<name>/<version>`."""
        return f"Sentry sentry_key={self.public_key}, sentry_version=7, sentry_client={client}"

    def is_own_request(self, url: str) -> bool:
        """Whether a URL leads to this DSN's server: scheme, host and port compared, not substrings."""
        try:
            other = urlsplit(url)
            port = other.port or _DEFAULT_PORTS.get(other.scheme)
        except ValueError:
            return False
        mine = self.port or _DEFAULT_PORTS[self.scheme]
        return (other.scheme, other.hostname, port) == (self.scheme, self.host, mine)

    def __str__(self) -> str:
        """Give the DSN back, without its secret key."""
        return f"{self.scheme}://{self.public_key}@{self.netloc}{self.path}/{self.project_id}"
