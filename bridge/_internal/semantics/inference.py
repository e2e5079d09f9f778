"""Semantics: what a span means to Sentry: op, description, source, status, by both semantic conventions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit, urlunsplit

from opentelemetry.trace import SpanKind, StatusCode

from bridge._internal.secret_names import FILTERED, is_secret_name

_URL_ATTRIBUTES = ("url.full", "http.url")

_HTTP_STATUS = {
    400: "invalid_argument",
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    409: "already_exists",
    413: "failed_precondition",
    429: "resource_exhausted",
    499: "cancelled",
    501: "unimplemented",
    503: "unavailable",
    504: "deadline_exceeded",
}
_GRPC_STATUS = (
    "ok",
    "cancelled",
    "unknown_error",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal_error",
    "unavailable",
    "data_loss",
    "unauthenticated",
)
_CANONICAL = frozenset(_GRPC_STATUS)
_GRPC_CODES = {name.removesuffix("_error").upper(): code for code, name in enumerate(_GRPC_STATUS)}


class Semantics(NamedTuple):
    """How Sentry names a span; `op` is `None` where nothing tells it."""

    op: str | None
    description: str
    source: str


def infer(name: str, kind: SpanKind, attributes: Mapping[str, Any], *, custom_name: bool = False) -> Semantics:
    """Return op, description and source of a span. What was given explicitly wins, a custom name too."""
    if not attributes:
        return Semantics(None, name, "custom")
    found = _inferred(name, kind, attributes)
    explicit_name = _text(attributes.get("sentry.custom_span_name"))
    op = _text(attributes.get("sentry.op")) or found.op
    if explicit_name or custom_name:
        found = Semantics(op, explicit_name or name, "custom")
    return Semantics(op, found.description, _text(attributes.get("sentry.source")) or found.source)


def _inferred(name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Semantics:
    method = _first(attributes, "http.request.method", "http.method")
    if method:
        return _http(name, kind, attributes, method)
    if kind is SpanKind.SERVER and _first(attributes, "url.scheme", "http.scheme") in _WEBSOCKET_SCHEMES:
        return _websocket(name, attributes)
    if _first(attributes, "db.system.name", "db.system") and not str(attributes.get("sentry.op", "")).startswith(
        "cache."
    ):
        return Semantics("db", _first(attributes, "db.query.text", "db.statement") or name, "task")
    if _first(attributes, "rpc.system", "rpc.system.name", "rpc.service"):
        return Semantics("rpc", name, "route")
    if _first(attributes, "messaging.system"):
        return Semantics(_messaging_op(kind, attributes), name, "route")
    if _first(attributes, "celery.action"):  # its instrumentation names no messaging system
        return Semantics(_messaging_op(kind, attributes), name, "task")
    trigger = _first(attributes, "faas.trigger")
    if trigger:
        return Semantics(trigger, name, "route")
    return Semantics(None, name, "custom")


_HTTP_OPS = {SpanKind.SERVER: "http.server", SpanKind.CLIENT: "http.client"}


def _http(name: str, kind: SpanKind, attributes: Mapping[str, Any], method: str) -> Semantics:
    op = _HTTP_OPS.get(kind, "http")
    route = _first(attributes, "http.route")
    if route:
        return Semantics(op, f"{method} {route}", "route")
    if kind is not SpanKind.CLIENT:
        path = _target_path(attributes)
        if path:
            return Semantics(op, f"{method} {path}", "route" if path == "/" else "url")
    url = outgoing_url(attributes)
    if url:
        cleaned = clean_url(url)
        path = _split(cleaned).path
        return Semantics(op, f"{method} {cleaned}", "route" if path == "/" else "url")
    path = _target_path(attributes)
    if path:
        return Semantics(op, f"{method} {path}", "route" if path == "/" else "url")
    return Semantics(op, name, "custom")


_WEBSOCKET_SCHEMES = ("ws", "wss")


def _websocket(name: str, attributes: Mapping[str, Any]) -> Semantics:
    route = _first(attributes, "http.route")
    return Semantics("websocket.server", route or _target_path(attributes) or name, "route" if route else "url")


def _target_path(attributes: Mapping[str, Any]) -> str:
    target = _first(attributes, "url.path", "http.target")
    return target.partition("?")[0].partition("#")[0] if target else ""


_PUBLISH = frozenset({"publish", "send", "create", "enqueue"})
_PROCESS = frozenset({"process", "receive", "deliver", "consume", "settle"})


def _messaging_op(kind: SpanKind, attributes: Mapping[str, Any]) -> str:
    operation = _first(attributes, "messaging.operation.type", "messaging.operation", "messaging.operation.name")
    if operation in _PUBLISH or (not operation and kind is SpanKind.PRODUCER):
        return "queue.publish"
    if operation in _PROCESS or (not operation and kind is SpanKind.CONSUMER):
        return "queue.process"
    return "message"


def status(code: StatusCode, description: str | None, attributes: Mapping[str, Any]) -> str:
    """Return Sentry's status of a span from OpenTelemetry's, and from HTTP and gRPC codes."""
    if code is StatusCode.OK:
        return "ok"
    from_codes = _status_of_codes(attributes)
    if code is StatusCode.UNSET:
        return from_codes or "ok"
    if from_codes and from_codes != "ok":
        return from_codes
    return description if description in _CANONICAL else "internal_error"


def _status_of_codes(attributes: Mapping[str, Any]) -> str | None:
    http = http_status_code(attributes)
    if http is not None:
        return _status_of_http(http)
    grpc = grpc_status_code(attributes)
    if grpc is not None:
        return _GRPC_STATUS[grpc] if 0 <= grpc < len(_GRPC_STATUS) else "unknown_error"
    return None


def grpc_status_code(attributes: Mapping[str, Any]) -> int | None:
    """Return the status code of gRPC by either convention: a number, or in the newer one its name."""
    code = _int(attributes.get("rpc.grpc.status_code"))
    if code is not None:
        return code
    newer = attributes.get("rpc.response.status_code")
    return _GRPC_CODES.get(newer) if newer in _GRPC_CODES else _int(newer)


def _status_of_http(code: int) -> str | None:
    if 100 <= code < 400:
        return "ok"
    if 400 <= code < 500:
        return _HTTP_STATUS.get(code, "invalid_argument")
    if 500 <= code < 600:
        return _HTTP_STATUS.get(code, "internal_error")
    return None


def http_status_code(attributes: Mapping[str, Any]) -> int | None:
    """Return the HTTP status code by either convention."""
    for key in ("http.response.status_code", "http.status_code"):
        code = _int(attributes.get(key))
        if code is not None:
            return code
    return None


def outgoing_url(attributes: Mapping[str, Any]) -> str | None:
    """Return the URL of a request, by either convention, put together from its parts where it is not whole."""
    whole = _first(attributes, *_URL_ATTRIBUTES)
    if whole:
        return whole
    host = _first(attributes, "server.address", "net.peer.name", "http.host", "net.host.name")
    if not host:
        return None
    scheme = _first(attributes, "url.scheme", "http.scheme") or "http"
    port = _int(attributes.get("server.port", attributes.get("net.peer.port")))
    path = _first(attributes, "url.path", "http.target") or ""
    place = f"{host}:{port}" if port and ":" not in host and port not in (80, 443) else host
    return f"{scheme}://{place}{path}"


def clean_url(url: str) -> str:
    """Return a URL without credentials, query and fragment."""
    parts = _split(url)
    return urlunsplit((parts.scheme, _without_credentials(parts.netloc), parts.path, "", ""))


def scrub_url(url: str) -> str:
    """Return a URL without its credentials, the rest as it is."""
    parts = _split(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=_without_credentials(parts.netloc)))


def _without_credentials(netloc: str) -> str:
    return netloc.rpartition("@")[2]


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", url.partition("?")[0].partition("#")[0].rpartition("@")[2], "", "")


_PLAIN = frozenset({str, int, float, bool})


def clean_attributes(attributes: Mapping[str, Any], *, send_default_pii: bool) -> dict[str, Any]:
    """Return attributes as they are sent: URLs without credentials, secrets filtered, sequences as lists."""
    cleaned: dict[str, Any] = {}
    for key, value in attributes.items():
        if not send_default_pii and is_secret_name(str(key)):
            cleaned[key] = FILTERED
        elif key in _URL_ATTRIBUTES and isinstance(value, str):
            cleaned[key] = scrub_url(value)
        elif type(value) in _PLAIN:  # most are, and asking for an abstract class costs ten times as much
            cleaned[key] = value
        else:
            cleaned[key] = list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else value
    return cleaned


def _first(attributes: Mapping[str, Any], *keys: str) -> str:
    """Return the first of these attributes that is a text and not empty."""
    for key in keys:
        value = attributes.get(key)
        if value and isinstance(value, str):
            return value
    return ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _int(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return None
