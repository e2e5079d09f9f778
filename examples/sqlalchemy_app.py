"""Orders in a database by SQLAlchemy: `python -m examples.sqlalchemy_app URL`, with `SENTRY_DSN` in the environment.

The URL's driver decides whether with asyncio: `sqlite:///shop.db`, `postgresql+psycopg://user@host/shop`, or
`sqlite+aiosqlite:///shop.db`, `postgresql+psycopg_async://user@host/shop`.
"""

from __future__ import annotations

import asyncio
import sys

import sqlalchemy
from opentelemetry import trace
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.trace import SpanKind
from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext import asyncio as sqlalchemy_asyncio

import bridge

tables = MetaData()
orders = Table("orders", tables, Column("id", Integer, primary_key=True), Column("customer", String(50)))
place = insert(orders).values(id=bindparam("number"), customer=bindparam("who"))
find = select(orders.c.customer).where(orders.c.id == bindparam("number"))
broken = text("SELECT * FROM no_such_table")
tracer = trace.get_tracer("shop")


def serve(engine: sqlalchemy.Engine, number: int) -> None:
    """Serve a request."""
    with tracer.start_as_current_span("POST /orders", kind=SpanKind.SERVER):
        bridge.set_tag("order", number)
        with bridge.start_span("place order", op="function"), engine.begin() as connection:
            connection.execute(place, {"number": number, "who": "a secret"})
            connection.execute(find, {"number": number})
        try:
            with engine.begin() as connection:
                connection.execute(broken)
        except DBAPIError:
            pass


async def serve_async(engine: sqlalchemy_asyncio.AsyncEngine, number: int) -> None:
    """Serve a request with asyncio."""
    with tracer.start_as_current_span("POST /orders", kind=SpanKind.SERVER):
        bridge.set_tag("order", number)
        with bridge.start_span("place order", op="function"):
            async with engine.begin() as connection:
                await connection.execute(place, {"number": number, "who": "a secret"})
                await connection.execute(find, {"number": number})
        try:
            async with engine.begin() as connection:
                await connection.execute(broken)
        except DBAPIError:
            pass


async def serve_many(url: str, requests: int) -> None:
    """Serve requests at the same time."""
    # By the module: a function that was imported before `init` is not the instrumented one.
    engine = sqlalchemy_asyncio.create_async_engine(url)
    with bridge.suppress_tracing():
        async with engine.begin() as connection:
            await connection.run_sync(tables.create_all)
    await asyncio.gather(*(serve_async(engine, number) for number in range(requests)))
    await engine.dispose()


def main(url: str, requests: int = 3) -> None:
    """Set up, create the tables and serve requests."""
    bridge.init(traces_sample_rate=1.0, instrumentations=[SQLAlchemyInstrumentor()])
    if sqlalchemy.make_url(url).get_dialect().is_async:
        asyncio.run(serve_many(url, requests))
        return
    engine = sqlalchemy.create_engine(url)
    with bridge.suppress_tracing():
        tables.create_all(engine)
    for number in range(requests):
        serve(engine, number)
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1])
