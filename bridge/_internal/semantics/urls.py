"""URLs of requests: put together from attributes, and without what a name must not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from bridge._internal.semantics.attributes import first_text, integer

if TYPE_CHECKING:
    from collections.abc import Mapping

_URL_ATTRIBUTES = ("url.full", "http.url")
_HTTP_PORTS = (80, 443)


def outgoing_url(attributes: Mapping[str, Any]) -> str | None:
    """Return the URL of a request, by either convention, put together from its parts where it is not whole."""
    whole = first_text(attributes, *_URL_ATTRIBUTES)
    if whole:
        return whole
    host = first_text(attributes, "server.address", "net.peer.name", "http.host", "net.host.name")
    if not host:
        return None
    scheme = first_text(attributes, "url.scheme", "http.scheme") or "http"
    port = integer(attributes.get("server.port", attributes.get("net.peer.port")))
    path = first_text(attributes, "url.path", "http.target")
    place = f"{host}:{port}" if port and ":" not in host and port not in _HTTP_PORTS else host
    return f"{scheme}://{place}{path}"


def target_path(attributes: Mapping[str, Any]) -> str:
    """Return the path of a request where it is an attribute of its own, by either convention."""
    return first_text(attributes, "url.path", "http.target").partition("?")[0].partition("#")[0]


def url_path(attributes: Mapping[str, Any]) -> str:
    """Return the path in the URL of a request, by either convention."""
    whole = first_text(attributes, *_URL_ATTRIBUTES)
    return split(whole).path if "://" in whole else ""


def clean_url(url: str) -> str:
    """Return a URL without credentials, query and fragment."""
    parts = split(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def host_and_port(url: str) -> tuple[str | None, int | None]:
    """Return host and port of a URL, `None` for what it does not name."""
    try:
        parts = urlsplit(url)
        return parts.hostname, parts.port
    except ValueError:
        return None, None


def split(url: str) -> SplitResult:
    """Split a URL; of one that is broken only the path is known."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", url.partition("?")[0].partition("#")[0].rpartition("@")[2], "", "")
