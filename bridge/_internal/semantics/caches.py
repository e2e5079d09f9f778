"""Caches: commands of key-value stores that Sentry's Caches module shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._internal.semantics.attributes import first_text
from bridge._internal.semantics.statements import KEY_VALUE_STORES, PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEY, OPERATION, HIT, SIZE = "cache.key", "cache.operation", "cache.hit", "cache.item_size"

_OPERATIONS = {
    **dict.fromkeys(("get", "mget", "getex", "gets", "get_many", "gets_many", "get_multi", "gat", "getdel"), "get"),
    **dict.fromkeys(("set", "setex", "psetex", "setnx", "mset", "getset", "add", "replace", "cas"), "put"),
    **dict.fromkeys(("set_many", "set_multi", "append", "prepend"), "put"),
    **dict.fromkeys(("del", "unlink", "delete", "delete_many", "delete_multi"), "remove"),
}
_SYNONYMS = {"set": "put", "save": "put", "delete": "remove", "clear": "remove", "flush": "remove"}
# Those that take keys and values in turn, or keys alone; every other one takes a single key.
_KEYS_AND_VALUES = frozenset({"mset"})
_SEVERAL_KEYS = frozenset(
    {"mget", "get_many", "gets_many", "get_multi", "del", "unlink", "delete_many", "delete_multi"}
)


def cache_op(attributes: Mapping[str, Any]) -> str:
    """Return the op of a span that has attributes of a cache."""
    operation = first_text(attributes, OPERATION).lower()
    operation = _SYNONYMS.get(operation, operation)
    if not operation and attributes.get("cache.write") is True:
        operation = "put"
    if not operation and HIT in attributes:
        operation = "get"
    return f"cache.{operation}" if operation else "cache"


def keys_of(attributes: Mapping[str, Any]) -> list[str]:
    """Return the keys that a span of a cache names."""
    keys = attributes.get(KEY)
    if isinstance(keys, str):
        return [keys]
    return [str(key) for key in keys] if isinstance(keys, list | tuple) else []


def complete(attributes: dict[str, Any], prefixes: Sequence[str]) -> None:
    """Make a command of redis, valkey or memcached an access to a cache, if one of its keys starts with a prefix."""
    if OPERATION in attributes or first_text(attributes, "db.system.name", "db.system") not in KEY_VALUE_STORES:
        return
    statement = first_text(attributes, "db.query.text", "db.statement").partition("\n")[0]
    command, *arguments = statement.split(" ")
    operation = _OPERATIONS.get(command.lower())
    if operation is None:
        return
    named = first_text(attributes, "db.redis.key")
    keys = keys_of(attributes) or ([named] if named else keys_of_command(command, arguments))
    if any(key.startswith(tuple(prefixes)) for key in keys):
        attributes[OPERATION] = operation
        attributes[KEY] = keys
        if operation != "get":
            attributes.pop(HIT, None)  # what comes back is no value


def keys_of_command(command: str, arguments: Sequence[str]) -> list[str]:
    """Return the keys that a command names; those that the instrumentation replaced are not known."""
    command = command.lower()
    if command in _KEYS_AND_VALUES:
        arguments = arguments[::2]
    elif command not in _SEVERAL_KEYS:
        arguments = arguments[:1]
    return [argument for argument in arguments if argument != PLACEHOLDER]
