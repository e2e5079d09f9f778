"""Statements without literals."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge._internal.semantics.statements import without_literals


@pytest.mark.parametrize(
    ("system", "statement", "expected"),
    [
        ("postgresql", "SELECT * FROM t WHERE id = 17 AND m = 'a@b'", "SELECT * FROM t WHERE id = ? AND m = ?"),
        ("postgresql", "SELECT $1, %s, %(name)s, :n, ? FROM t1", "SELECT $1, %s, %(name)s, :n, ? FROM t1"),
        ("postgresql", 'SELECT "e mail" FROM "t 2"', 'SELECT "e mail" FROM "t 2"'),
        ("postgresql", "SELECT E'it\\'s', 'it''s', $$ann's$$, $q$x$q$", "SELECT E?, ?, ?, ?"),
        ("postgresql", "SELECT ARRAY[a, 'ann']", "SELECT ARRAY[a, ?]"),
        ("postgresql", "SELECT 1::int, -2.5e3, .5, 0xFF, a-1", "SELECT ?::int, -?, .?, ?, a-?"),
        ("postgresql", "SELECT 'open", "SELECT ?"),
        ("postgresql", "SELECT 1 /* it's 5 */ -- don't\n, 'x'", "SELECT ? /* it's 5 */ -- don't\n, ?"),
        ("mysql", 'SELECT `a b` FROM t WHERE m = "ann"', "SELECT `a b` FROM t WHERE m = ?"),
        ("mssql", "SELECT [order 5] FROM t WHERE a = N'x'", "SELECT [order 5] FROM t WHERE a = N?"),
        ("", 'SELECT "ann" WHERE x = 1', "SELECT ? WHERE x = ?"),
        ("cassandra", "SELECT * FROM u WHERE id = 5", "SELECT * FROM u WHERE id = ?"),
        ("neo4j", 'MATCH (u:User {mail: "a@b"}) RETURN u', "MATCH (u:User {mail: ?}) RETURN u"),
        ("elasticsearch", '{"query": {"term": {"mail": "a@b", "n": 5}}}', '{"query": {"term": {"mail": "?", "n": ?}}}'),
        ("mongodb", "find {'mail': 'a@b', 'age': {'$gt': 5}}", "find {'mail': \"?\", 'age': {'$gt': ?}}"),
        ("", '[{"name": "ann"}]', '[{"name": "?"}]'),
        ("redis", "SET user:7 ann", "SET user:7 ?"),
        ("redis", "GET ?", "GET ?"),
        ("redis", "MGET a b", "MGET a b"),
        ("valkey", "AUTH default geheim", "AUTH ? ?"),
        ("redis", "SET ? ?\nGET ?\nPING", "SET ? ?\nGET ?\nPING"),
        ("redis", "SET k two\nlines of it", "SET k ?\n?"),
        ("memcached", "get_many a b", "get_many a b"),
        ("memcached", "set k ann", "set k ?"),
    ],
)
def test_literals_go(system: str, statement: str, expected: str) -> None:
    """Identifiers, placeholders, keys and comments stay."""
    assert without_literals(statement, system) == expected


@settings(deadline=None)
@given(st.text(max_size=60), st.sampled_from(["", "postgresql", "mysql", "mongodb", "redis"]))
def test_any_text_is_taken(statement: str, system: str) -> None:
    """Nothing raises, and what has no literals any more stays as it is."""
    once = without_literals(statement, system)
    assert isinstance(once, str)


@settings(deadline=None)
@given(st.text(max_size=60, alphabet=st.characters(exclude_characters="'\\")))
def test_a_text_in_quotes_never_stays(secret: str) -> None:
    """Whatever stands between two quotes of SQL."""
    assert without_literals(f"SELECT 'x{secret}'", "postgresql") == "SELECT ?"
