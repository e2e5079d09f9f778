"""Double instrumentation: two spans for the same thing are one."""

from __future__ import annotations

import pytest
import sentry_sdk
from opentelemetry import context as context_api
from opentelemetry.trace import SpanKind

import bridge
from tests.sentry_sdk.worlds import HAS_STREAMS, ORDERS, one_world

SERVER = {"http.method": "GET", "http.target": "/"}


def incoming(**given):
    """What an integration of sentry-sdk does with a request."""
    transaction = sentry_sdk.continue_trace({}, op="http.server", name="GET /", source="url", origin="auto.http.asgi")
    for key, value in given.items():
        transaction.set_tag(key, value)
    return sentry_sdk.start_transaction(transaction)


def test_their_server_outside(static_world):
    """OpenTelemetry's server span right below sentry-sdk's is folded into it; what it writes is there."""
    world = static_world
    with sentry_sdk.isolation_scope(), incoming():
        context = bridge.get_client().propagator.extract({})
        with world.tracer.start_as_current_span(
            "GET", context=context, kind=SpanKind.SERVER, attributes=SERVER
        ) as span:
            span.set_attribute("http.route", "/")
            with world.native("work"):
                pass
    assert world.parents() == {"GET /": None, "work": "GET /"}
    assert world.named("GET /")["data"]["http.route"] == "/"


def test_their_server_outside_one_that_attaches(static_world):
    """The same where an instrumentation attaches what it extracted, and then starts its span."""
    world = static_world
    with sentry_sdk.isolation_scope(), incoming():
        token = context_api.attach(bridge.get_client().propagator.extract({}))
        with world.native("GET", kind=SpanKind.SERVER, attributes=SERVER), world.native("work"):
            pass
        context_api.detach(token)
    assert world.parents() == {"GET /": None, "work": "GET /"}


def test_our_server_outside(static_world):
    """sentry-sdk's transaction right below OpenTelemetry's server span is folded: one root, with what it brought."""
    world = static_world
    context = bridge.get_client().propagator.extract({})
    with world.tracer.start_as_current_span("GET", context=context, kind=SpanKind.SERVER, attributes=SERVER):  # noqa: SIM117 - a block for each span
        with sentry_sdk.isolation_scope() as scope, incoming(early="1"):
            scope.set_tag("request", "tag")
            sentry_sdk.get_current_scope().set_transaction_name("/items/{id}", source="route")
            with sentry_sdk.start_span(name="work", op="function"):
                pass
            sentry_sdk.capture_message("inside")
    assert world.parents() == {"/items/{id}": None, "work": "/items/{id}"}
    (transaction,) = world.transactions
    assert transaction["tags"]["request"] == "tag"
    assert transaction["tags"]["early"] == "1"
    assert transaction["transaction_info"]["source"] == "route"
    assert world.events[0]["contexts"]["trace"]["span_id"] == transaction["contexts"]["trace"]["span_id"]


def test_a_root_that_ends_first_waits(static_world):
    """The outer root may end while the folded transaction is open: what ends in that is still the root's."""
    world = static_world
    outer = world.tracer.start_as_current_span("GET", kind=SpanKind.SERVER, attributes=SERVER)
    span = outer.__enter__()
    with incoming():
        span.end()
        with sentry_sdk.start_span(name="middleware", op="function"):
            pass
    outer.__exit__(None, None, None)
    assert len(world.transactions) == 1
    assert set(world.parents()) == {"GET /", "middleware"}


@pytest.mark.parametrize("order", ORDERS)
def test_streamed_servers(order):
    """The same where spans are sent by themselves."""
    if not HAS_STREAMS:
        pytest.skip("this sentry-sdk sends no spans by themselves")
    facts = {"sentry.op": "http.server", "sentry.origin": "auto.http.asgi"}
    with one_world(order, "stream") as world:
        with world.tracer.start_as_current_span("GET", kind=SpanKind.SERVER, attributes=SERVER):  # noqa: SIM117 - a block for each span
            with sentry_sdk.traces.start_span("GET /", facts, parent_span=None), world.sdk("work"):
                pass
        with sentry_sdk.traces.start_span("GET /2", facts, parent_span=None):  # noqa: SIM117 - a block for each span
            with (
                world.tracer.start_as_current_span("GET", kind=SpanKind.SERVER, attributes=SERVER),
                world.sdk("work 2"),
            ):
                pass
        # A native root without a route is streamed by its method alone, since names group streamed spans.
        assert world.parents() == {"GET": None, "work": "GET", "GET /2": None, "work 2": "GET /2"}


def test_clients_of_both(static_world):
    """An outgoing request that both trace is one span, with one set of headers."""
    world = static_world
    http = {"http.method": "GET", "http.url": "https://a.example/"}
    with world.native("root"):
        with (
            world.native("GET", kind=SpanKind.CLIENT, attributes=http),
            sentry_sdk.start_span(op="http.client", origin="auto.http.stdlib.httplib", name="GET https://a.example/"),
        ):
            pass
        with sentry_sdk.start_span(op="http.client", origin="auto.http.httpx", name="GET b"):  # noqa: SIM117 - a block for each span
            with world.native("GET", kind=SpanKind.CLIENT, attributes=http):
                pass
        # A redirect: the second request of one span is a span of its own.
        with world.native("GET 3", kind=SpanKind.CLIENT, attributes=http):
            for number in (1, 2):
                with sentry_sdk.start_span(op="http.client", origin="auto.http.stdlib.httplib", name=f"hop {number}"):
                    pass
    names = sorted(span["name"] for span in world.spans())
    assert names == ["GET b", "GET https://a.example/", "GET https://a.example/", "hop 2", "root"]


def test_what_is_not_the_same_stays(static_world):
    """Spans by hand, of another category, or not right below one another, are two."""
    world = static_world
    http = {"http.method": "GET", "http.url": "https://a.example/"}
    with world.native("root"):
        with sentry_sdk.start_span(op="http.client", name="by hand"):  # noqa: SIM117 - a block for each span
            with world.native("client", kind=SpanKind.CLIENT, attributes=http):
                pass
        with sentry_sdk.start_span(op="db", origin="auto.db.sqlalchemy", name="SELECT"):  # noqa: SIM117 - a block for each span
            with world.native("client 2", kind=SpanKind.CLIENT, attributes=http):
                pass
        with sentry_sdk.start_span(op="http.client", origin="auto.http.httpx", name="outer"), world.native("between"):  # noqa: SIM117 - a block for each span
            with world.native("client 3", kind=SpanKind.CLIENT, attributes=http):
                pass
    assert len(world.spans()) == 8


@pytest.mark.parametrize("order", ORDERS)
def test_fold_false(order):
    """With `fold=False` both spans stay."""
    with one_world(order, ours={"fold": False}) as world:
        with incoming(), world.tracer.start_as_current_span("GET", kind=SpanKind.SERVER, attributes=SERVER):
            pass
        assert len(world.spans()) == 2
