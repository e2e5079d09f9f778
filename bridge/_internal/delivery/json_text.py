"""JSON of anything, always: whatever a user hung on a span becomes valid UTF-8 JSON."""

from __future__ import annotations

import datetime
import json
import math
from collections import deque
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

try:
    import orjson
except ImportError:  # the extra `fast`
    orjson = None  # type: ignore[assignment]  # told apart where it is used

# Relay's parser gives up on a document nested deeper than 128.
MAX_DEPTH = 100

_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode


def encode_json(value: object) -> bytes:
    """Return `value` as JSON in UTF-8; never raises.

    What JSON has no form for is replaced: bytes by their text, sets and tuples by arrays, NaN and infinities by their
    names, a lone surrogate by U+FFFD, a cycle and what is too deep by a note, any
    other object by its `repr`.
    """
    try:
        return _encode_plain(value)
    except Exception:  # a user's objects: any of them may raise anything
        return _encode_cleaned(value)


def _encode_by_json(value: object) -> bytes:
    return _encode(value).encode()


def _encode_by_orjson(value: object) -> bytes:
    try:
        encoded = orjson.dumps(value, option=_ORJSON_OPTIONS)
    except TypeError:  # what only the other takes: keys that are no text, integers past 64 bits
        return _encode_by_json(value)
    # It writes null for NaN and infinities too; where there is one, let the other look.
    return _encode_by_json(value) if b"null" in encoded else encoded


if orjson is None:
    _encode_plain = _encode_by_json
else:
    # A tenth of the time of json, and short enough not to keep other threads waiting (benchmarks/export.py).
    _ORJSON_OPTIONS = (
        orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
    )
    _encode_plain = _encode_by_orjson
IS_FAST = orjson is not None


def _encode_cleaned(value: object) -> bytes:
    try:
        return _encode(_Cleaner().clean(value, 0)).encode()
    except Exception:  # memory, or the interpreter's own limits
        return b"null"


class _Cleaner:
    """Makes a copy that `json` takes."""

    __slots__ = ("_ancestors",)

    def __init__(self) -> None:
        self._ancestors: set[int] = set()

    def clean(self, value: object, depth: int) -> object:
        try:
            return self._clean(value, depth)
        except Exception:  # a user's object: even isinstance() runs its code
            return _unprintable(value)

    def _clean(self, value: object, depth: int) -> object:
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            return _clean_text(value)
        if isinstance(value, int):
            return _clean_integer(value)
        if isinstance(value, float):
            return value if math.isfinite(value) else float.__repr__(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value).decode("utf-8", "replace")
        if isinstance(value, datetime.date | datetime.time):
            return _clean_text(value.isoformat())
        if isinstance(value, Mapping | list | tuple | AbstractSet | deque):
            return self._clean_container(value, depth)
        return _clean_text(repr(value))

    def _clean_container(self, value: Iterable[object], depth: int) -> object:
        identity = id(value)
        if identity in self._ancestors:
            return "<cycle>"
        if depth >= MAX_DEPTH:
            return "<nested too deeply>"
        self._ancestors.add(identity)
        try:
            if isinstance(value, Mapping):
                # The list is a copy: another thread may be writing to the mapping.
                return {_clean_key(key): self.clean(item, depth + 1) for key, item in list(value.items())}
            return [self.clean(item, depth + 1) for item in list(value)]
        finally:
            self._ancestors.discard(identity)


def _clean_key(key: object) -> str:
    try:
        if key is None or isinstance(key, bool):
            return {None: "null", True: "true", False: "false"}[key]
        if isinstance(key, bytes):
            return key.decode("utf-8", "replace")
        return _clean_text(key if isinstance(key, str) else str(key))
    except Exception:  # a user's object
        return _unprintable(key)


def _clean_text(text: str) -> str:
    try:
        return str.encode(text).decode()
    except UnicodeEncodeError:
        # Through UTF-16, so that two halves of a pair become the character they stand for.
        return str.encode(text, "utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _clean_integer(number: int) -> object:
    try:
        int.__repr__(number)
    except ValueError:  # CPython refuses to print very long ones
        return f"<integer of {int.bit_length(number)} bits>"
    return number


def _unprintable(value: object) -> str:
    try:
        return _clean_text(f"<unprintable {type(value).__name__}>")
    except Exception:  # a metaclass of the user's
        return "<unprintable>"
