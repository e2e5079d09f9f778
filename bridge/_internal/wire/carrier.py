"""Headers as users and frameworks bring them: any case, `str`, `bytes` or lists, WSGI and environment names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping

from bridge._internal.wire.baggage import BAGGAGE
from bridge._internal.wire.sentry_trace import SENTRY_TRACE
from bridge._internal.wire.tracestate import TRACESTATE

TRACEPARENT = "traceparent"
AUTHORIZATION = "authorization"
_WRITTEN = frozenset({SENTRY_TRACE, BAGGAGE, AUTHORIZATION})
_WRITTEN_LENGTHS = frozenset(map(len, _WRITTEN))
READ = (SENTRY_TRACE, BAGGAGE, TRACEPARENT, TRACESTATE)
_ENVIRONMENT_NAMES = {"sentry-baggage": BAGGAGE}
_LONGER_BY = (0, len("http-"), len("sentry-"))
_OFF = frozenset({"false", "no", "off", "n", "0"})


def as_mapping(carrier: object) -> Mapping[object, object]:
    """Return what a carrier holds: a mapping, pairs (ASGI, gRPC, Kafka), or the headers of a request object."""
    if isinstance(carrier, dict | Mapping):
        return carrier
    if isinstance(carrier, list | tuple) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in carrier):
        found: dict[object, list[object]] = {}
        for name, value in carrier:
            found.setdefault(name, []).append(value)
        return found
    if hasattr(carrier, "keys") and hasattr(carrier, "__getitem__"):  # grpc.aio's metadata say not that they are one
        return {key: carrier[key] for key in carrier.keys()}  # noqa: SIM118
    headers = getattr(carrier, "headers", None)
    return headers if isinstance(headers, Mapping) else {}


def written_headers(carrier: object) -> dict[str, str]:
    """Return what matters of the headers that an outgoing request has already, by their lower-case names."""
    found: dict[str, str] = {}
    headers = as_mapping(carrier)
    for key in headers:
        if isinstance(key, str | bytes) and len(key) in _WRITTEN_LENGTHS:
            name = _normal_name(key)
            if name in _WRITTEN and name not in found and (text := header_text(headers[key])) is not None:
                found[name] = text
    return found


def name_on(carrier: object, name: str) -> str:
    """Return the name under which a carrier has a header, in whichever case; the given one if it has none."""
    if isinstance(carrier, Mapping) and name not in carrier:
        for key in carrier:
            if isinstance(key, str) and len(key) == len(name) and key.lower() == name:
                return key
    return name


def remove_header(carrier: object, name: str) -> None:
    """Remove a header from a carrier that can be written to, in whichever case it is there."""
    if isinstance(carrier, MutableMapping):
        for key in [key for key in carrier if _is_named(key, name)]:
            del carrier[key]
    elif isinstance(carrier, list):
        carrier[:] = [pair for pair in carrier if not (isinstance(pair, tuple) and pair and _is_named(pair[0], name))]


def replace_header(carrier: object, name: str, value: str) -> None:
    """Replace the value of a header that a carrier has; an empty value removes it."""
    written = name_on(carrier, name)
    if not value:
        remove_header(carrier, name)
    elif isinstance(carrier, MutableMapping) and written in carrier:
        carrier[written] = value
    elif isinstance(carrier, list):
        carrier[:] = [(key, value) if _is_named(key, name) else (key, old) for key, old in carrier]


def read_header(headers: Mapping[object, object], name: str) -> str | None:
    """Return a header's value, several joined by commas; `None` if it is not there."""
    value = headers.get(name)
    if isinstance(value, str):
        return value
    wanted = name.lower()
    for key in headers:
        if _is_named(key, wanted) and (text := header_text(headers[key])) is not None:
            return text
    return None


def read_headers(carrier: object) -> dict[str, str]:
    """Return those of `sentry-trace`, `baggage`, `traceparent` and `tracestate` that are there."""
    headers = as_mapping(carrier)
    found: dict[str, str] = {}
    for key in headers:
        name = _normal_name(key)
        if name in READ and name not in found and (text := header_text(headers[key])) is not None:
            found[name] = text
    return found


def environment_carrier(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that a parent process left in the environment, unless `SENTRY_USE_ENVIRONMENT` is off."""
    if environ.get("SENTRY_USE_ENVIRONMENT", "").strip().lower() in _OFF:
        return {}
    return read_headers(environ)


def _is_named(key: object, wanted: str) -> bool:
    # Of most keys the length tells that they are another header's: no name is made of them.
    return isinstance(key, str | bytes) and len(key) - len(wanted) in _LONGER_BY and _normal_name(key) == wanted


def _normal_name(key: object) -> str:
    text = key.decode("latin-1") if isinstance(key, bytes) else key
    if not isinstance(text, str):
        return ""
    name = text.lower().replace("_", "-")
    name = name.removeprefix("http-")
    return _ENVIRONMENT_NAMES.get(name, name)


def header_text(value: object) -> str | None:
    """Return a value as text: `str`, `bytes`, or several of them joined by commas; `None` if it is none of these."""
    if type(value) is list and len(value) == 1:  # what getters return
        value = value[0]
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        parts = [text for part in value if (text := header_text(part)) is not None]
        return ",".join(parts) if parts else None
    return None
