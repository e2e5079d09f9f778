"""One set of scopes: what is set on either API is on what both send, in the layer that it was set on."""

from __future__ import annotations

import asyncio

import pytest
import sentry_sdk
import sentry_sdk.scope
from opentelemetry.trace import SpanKind

import bridge
from tests.sentry_sdk.worlds import ORDERS, one_world


def test_tags_of_both_are_on_both_events(static_world):
    """A message of either API has the tags, the user and the breadcrumbs that were set on either."""
    bridge.set_tag("ours", "1")
    sentry_sdk.set_tag("theirs", "2")
    bridge.set_user({"id": "7"})
    sentry_sdk.add_breadcrumb(message="theirs")
    bridge.add_breadcrumb(message="ours")
    bridge.capture_message("a")
    sentry_sdk.capture_message("b")
    assert len(static_world.events) == 2
    for event in static_world.events:
        assert event["tags"] == {"ours": "1", "theirs": "2"}
        assert event["user"] == {"id": "7"}
        assert [crumb["message"] for crumb in event["breadcrumbs"]["values"]] == ["theirs", "ours"]


def test_layers_are_the_same(static_world):
    """The three scopes of the bridge read and write the three of sentry-sdk."""
    bridge.get_global_scope().set_tag("layer", "global")
    assert sentry_sdk.get_global_scope()._tags == {"layer": "global"}
    sentry_sdk.get_isolation_scope().set_tag("layer", "isolation")
    assert bridge.get_isolation_scope().tags == {"layer": "isolation"}
    with sentry_sdk.new_scope() as scope:
        scope.set_tag("layer", "current")
        assert bridge.get_current_scope().tags == {"layer": "current"}
        bridge.get_current_scope().set_tag("more", "x")
        assert sentry_sdk.get_current_scope()._tags == {"layer": "current", "more": "x"}
    assert bridge.get_current_scope().tags == {}


def test_new_scope_of_either_ends_for_both(static_world):
    """What was set in a `new_scope()` of the bridge is gone after, for sentry-sdk too."""
    with bridge.new_scope() as scope:
        scope.set_tag("inside", "1")
        sentry_sdk.capture_message("inside")
    sentry_sdk.capture_message("outside")
    assert [event.get("tags", {}) for event in static_world.events] == [{"inside": "1"}, {}]


def test_isolation_scopes_end_in_any_order(static_world):
    """sentry-sdk resets its two variables in the order they were set, not in reverse: all is as before."""
    before = sentry_sdk.get_current_scope(), sentry_sdk.get_isolation_scope()
    for _ in range(3):
        with sentry_sdk.isolation_scope() as outer:
            outer.set_tag("outer", "1")
            with static_world.native("span"), sentry_sdk.isolation_scope() as inner:
                assert inner._tags == {"outer": "1"}
                assert bridge.get_current_span() is not None
            assert sentry_sdk.get_isolation_scope() is outer
            assert bridge.get_current_span() is None
        assert (sentry_sdk.get_current_scope(), sentry_sdk.get_isolation_scope()) == before


def test_each_request_has_its_own(world):
    """Concurrent requests of an OpenTelemetry instrumentation: what each sets is on its own events only."""

    async def request(number: int) -> None:
        context = bridge.get_client().propagator.extract({})
        with world.tracer.start_as_current_span(f"GET /{number}", context=context, kind=SpanKind.SERVER):
            sentry_sdk.set_tag("number", number)
            await asyncio.sleep(0)
            with world.sdk(f"work {number}"):
                await asyncio.sleep(0)
            sentry_sdk.capture_message(f"message {number}")

    async def main() -> None:
        await asyncio.gather(*(request(number) for number in range(50)))

    asyncio.run(main())
    assert "number" not in sentry_sdk.get_isolation_scope()._tags
    for event in world.events:
        assert event["message"] == f"message {event['tags']['number']}"
    roots = {span["span_id"]: span for span in world.spans() if span["is_root"]}
    assert len(roots) == 50
    for event in world.events:
        assert event["contexts"]["trace"]["span_id"] in roots
    if not world.streams:
        for transaction in world.transactions:
            assert transaction["transaction"] == f"GET /{transaction['tags']['number']}"


def test_resetting_everything(world):
    """A test-suite that sets both variables to None and takes a new client has no span and no tag left."""
    sentry_sdk.set_tag("left", "behind")
    world.tracer.start_as_current_span("left").__enter__()
    sentry_sdk.scope._isolation_scope.set(None)
    sentry_sdk.scope._current_scope.set(None)
    assert bridge.get_current_span() is None
    assert sentry_sdk.get_isolation_scope()._tags == {}
    assert world.sdk_active() is None


def test_scope_attachments_and_extras_travel(static_world):
    """Extras, contexts, level and fingerprint of the bridge's setters are sentry-sdk's."""
    bridge.set_extra("e", 1)
    bridge.set_context("c", {"x": 1})
    bridge.set_level("warning")
    bridge.get_isolation_scope().set_fingerprint(["f"])
    sentry_sdk.capture_message("m")
    (event,) = static_world.events
    assert (event["extra"]["e"], event["contexts"]["c"], event["level"]) == (1, {"x": 1}, "warning")
    assert event["fingerprint"] == ["f"]


def test_the_transactions_scope(static_world):
    """The transaction of a native root has what its request set, and what its block wrote to the current scope."""
    with static_world.native("root"):
        sentry_sdk.set_tag("isolation", "1")
        bridge.get_current_scope().set_tag("current", "2")
    (transaction,) = static_world.transactions
    assert transaction["tags"] == {"isolation": "1", "current": "2"}


def test_what_was_set_before_both_were_there():
    """Tags that were set through the bridge before sentry-sdk was initialised are not lost."""
    from tests.sentry_sdk.worlds import DSN, KeepingTransport, World, forget_sentry_sdk

    transport = KeepingTransport()
    bridge.init()
    bridge.set_tag("early", "1")
    bridge.get_global_scope().set_tag("global", "2")
    try:
        sentry_sdk.init(dsn=DSN, transport=transport, traces_sample_rate=1.0, default_integrations=False)
        sentry_sdk.capture_message("m")
        assert World("static", transport).events[0]["tags"] == {"early": "1", "global": "2"}
    finally:
        bridge.close()
        forget_sentry_sdk()


@pytest.mark.parametrize("order", ORDERS)
def test_event_processors_of_the_request_see_its_transaction(order):
    """An event processor on the isolation scope is asked for the transaction of a native root, which it may change."""
    with one_world(order) as world:
        with sentry_sdk.isolation_scope() as scope:
            scope.add_event_processor(lambda event, hint: {**event, "extra": {"seen": event.get("type")}})
            with world.native("root"):
                pass
        assert world.transactions[0]["extra"] == {"seen": "transaction"}


def test_a_root_that_waits_has_the_scopes_of_its_end(static_world):
    """A native job leaves a span open; what the next one says of its user is on the next one's transaction alone."""
    for user in ("alice", "bob"):
        with static_world.native(user):
            sentry_sdk.set_user({"id": user})
            static_world.tracer.start_span("left open")
    found = {one["transaction"]: one["user"]["id"] for one in static_world.transactions}
    assert found == {"alice": "alice", "bob": "bob"}
