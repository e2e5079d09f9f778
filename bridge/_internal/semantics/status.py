"""Sentry's status of a span, from OpenTelemetry's status and from the codes of HTTP and gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import StatusCode

from bridge._internal.semantics.attributes import integer, text

if TYPE_CHECKING:
    from collections.abc import Mapping

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
GRPC_CODES = {name.removesuffix("_error").upper(): code for code, name in enumerate(_GRPC_STATUS)}
"""gRPC's name of a status -> its number."""


_HTTP_KEYS = ("http.response.status_code", "http.status_code")
_NAMED_GRPC_KEYS = ("rpc.response.status_code", "rpc.connect_rpc.error_code")
_CODES = frozenset({*_HTTP_KEYS, *_NAMED_GRPC_KEYS, "rpc.grpc.status_code"})


def status(code: StatusCode, description: str | None, attributes: Mapping[str, Any]) -> str:
    """Return Sentry's status of a span."""
    if code is StatusCode.OK:
        return "ok"
    from_codes = None if _CODES.isdisjoint(attributes) else _status_of_codes(attributes)
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
    """Return the status code of gRPC by either convention: a number, or in the newer one its name.

    Connect writes the same names in lower case. The codes of JSON-RPC, which are numbers of its own, are none.
    """
    code = integer(attributes.get("rpc.grpc.status_code"))
    if code is not None:
        return code
    for key in _NAMED_GRPC_KEYS:
        value = attributes.get(key)
        named = GRPC_CODES.get(text(value).upper())
        if named is not None:
            return named
        if (code := integer(value)) is not None:
            return code
    return None


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
    for key in _HTTP_KEYS:
        code = integer(attributes.get(key))
        if code is not None:
            return code
    return None
