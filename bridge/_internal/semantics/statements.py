"""Statements of databases without their literals, which hold the values of a program's users."""

from __future__ import annotations

import re

PLACEHOLDER = "?"
KEY_VALUE_STORES = frozenset({"redis", "valkey", "memcached"})
"""Systems whose statements are a command with its arguments."""

# Where a text in double quotes is an identifier, as the SQL standard has it. Elsewhere it may be a literal.
_QUOTED_IDENTIFIERS = frozenset(
    {
        *("postgresql", "oracle", "oracle.db", "sqlite", "mssql", "microsoft.sql_server", "db2", "ibm.db2"),
        *("redshift", "aws.redshift", "cockroachdb", "snowflake", "trino", "presto", "h2", "h2database", "hsqldb"),
        *("firebirdsql", "firebird", "derby", "hanadb", "sap.hana", "teradata", "vertica", "clickhouse", "cassandra"),
        *("duckdb", "other_sql"),
    }
)
_SINGLE = r"'(?:[^'\\]|''|\\.)*(?:'|\Z)"
_DOUBLE = r'"(?:[^"\\]|""|\\.)*(?:"|\Z)'
# Each match begins with one of these characters, which is how the engine finds it quickly (benchmarks/export.py); what
# follows is told by the character before: a comment, an identifier, a text, a number that is no part of a name.
_SQL = re.compile(
    r"""[-/"'`$\[\d](?:"""
    r"""(?<=')(?:[^'\\]|''|\\.)*(?:'|\Z)"""
    r"""|(?<=")(?:[^"\\]|""|\\.)*(?:"|\Z)"""
    r"""|(?<=\d)(?<![\w$@?%{:]\d)(?:[xX][0-9a-fA-F]+|[\d.]*(?:[eE][-+]?\d+)?)(?![\w}])"""
    r"""|(?<=\$)(?P<tag>[A-Za-z_]*)\$.*?(?:\$(?P=tag)\$|\Z)"""
    r"""|(?<=-)-[^\n]*|(?<=/)\*.*?(?:\*/|\Z)|(?<=`)[^`]*`|(?<=\[)[A-Za-z_][\w ]*\])""",
    re.DOTALL,
)
_NUMBER = re.compile(
    r"\d(?<![\w$@?%{:]\d)(?:[xX][0-9a-fA-F]+|[\d.]*(?:[eE][-+]?\d+)?)(?![\w}])",
)
_HAS_QUOTES = re.compile(r"""["'`$\[]|--|/\*""")
_KEPT = "-/`["
# Documents: JSON, or the repr of a dict. What a colon follows is the name of a field.
_DOCUMENT = re.compile(
    rf"(?P<field>(?:{_DOUBLE}|{_SINGLE})\s*:)|{_DOUBLE}|{_SINGLE}|(?<![\w.])-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", re.DOTALL
)
_DOCUMENT_STORES = frozenset(
    {"mongodb", "elasticsearch", "opensearch", "couchdb", "documentdb", "dynamodb", "aws.dynamodb", "solr"}
)


def without_literals(statement: str, system: str = "") -> str:
    """Return a statement with `?` in place of each literal: of SQL, of a document, of a key-value store.

    The keys of a key-value store stay, as in sentry-sdk; where the instrumentation has replaced arguments already, the
    statement stays as it is.
    """
    if system in KEY_VALUE_STORES:
        return _without_arguments(statement)
    if system in _DOCUMENT_STORES or statement.lstrip()[:1] in ("{", "["):
        return _DOCUMENT.sub(_document_part, statement)
    if _HAS_QUOTES.search(statement) is None:
        return _NUMBER.sub(PLACEHOLDER, statement)
    return _SQL.sub(_with_identifiers if system in _QUOTED_IDENTIFIERS else _with_texts, statement)


def _with_identifiers(found: re.Match[str]) -> str:
    part = found.group()
    return part if part[0] in _KEPT or part[0] == '"' else PLACEHOLDER


def _with_texts(found: re.Match[str]) -> str:
    part = found.group()
    return part if part[0] in _KEPT else PLACEHOLDER


def _document_part(found: re.Match[str]) -> str:
    if found.lastgroup == "field":
        return found.group()
    return f'"{PLACEHOLDER}"' if found.group()[0] in "\"'" else PLACEHOLDER


# Their first argument is no key: a credential, or a script.
_WITHOUT_KEY = frozenset({"auth", "hello", "acl", "migrate", "config", "eval", "evalsha", "script", "function"})
# All of their arguments are keys.
_OF_KEYS = frozenset(
    {
        *("mget", "del", "unlink", "exists", "touch", "get", "gets", "get_many", "gets_many", "get_multi"),
        *("delete_many", "delete_multi"),
    }
)


def _without_arguments(statement: str) -> str:
    """Return a command with its key, and the further commands of a pipeline if they hold no arguments.

    A line break may also be part of an argument, so a line that is not known to be a command goes whole.
    """
    first, *others = statement.split("\n")
    return "\n".join([_command(first), *[line if _is_bare(line) else PLACEHOLDER for line in others]])


def _command(line: str) -> str:
    command, *arguments = line.split(" ")
    name = command.lower()
    if name in _OF_KEYS:
        return line
    key, rest = ([], arguments) if name in _WITHOUT_KEY else (arguments[:1], arguments[1:])
    return " ".join([command, *key, *[PLACEHOLDER] * len(rest)])


def _is_bare(line: str) -> bool:
    command, *arguments = line.split(" ")
    return command.isupper() and all(argument == PLACEHOLDER for argument in arguments)
