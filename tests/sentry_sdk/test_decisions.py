"""Decided once for each local root, by sentry-sdk's options, whoever starts it."""

from __future__ import annotations

import pytest
import sentry_sdk

import bridge
from tests.sentry_sdk.worlds import ORDERS, one_world


@pytest.mark.parametrize("order", ORDERS)
def test_the_sampler_is_asked_once_a_root(order, lifecycle):
    """`traces_sampler` is called once for each root of either API, with the name and the parent's decision."""
    asked = []

    def sampler(context):
        asked.append((context["transaction_context"]["name"], context["parent_sampled"]))
        return 1.0

    with one_world(order, lifecycle, traces_sampler=sampler) as world:
        with world.native("native"), world.sdk("a"), world.native("b"):
            pass
        with world.sdk_root("theirs"), world.native("c"), world.sdk("d"):
            pass
    assert asked == [("native", None), ("theirs", None)]


def test_a_share_of_whole_traces(order, lifecycle):
    """At a rate of 0.25 every trace is whole or absent, rand < rate says which, and each drop is counted once."""
    with one_world(order, lifecycle, traces_sample_rate=0.25) as world:
        sampled = 0
        for number in range(800):
            root = world.sdk_root if number % 2 else world.native
            child = world.native if number % 3 else world.sdk
            with root(f"root {number}"), child(f"child {number}"):
                flag = bridge.get_traceparent()[-1]
                sampled += flag == "1"
        spans = world.spans()
        assert len(spans) == 2 * sampled
        assert 120 < sampled < 280
        for span in spans:
            assert float(span["dsc"]["sample_rand"]) < float(span["dsc"]["sample_rate"])
        category = "span" if world.streams else "transaction"
        lost = sum(
            quantity for reason, kind, quantity in world.transport.lost if (reason, kind) == ("sample_rate", category)
        )
        if world.streams:  # a child of a dropped segment is counted by itself
            assert lost >= 800 - sampled
        else:
            assert lost == 800 - sampled


def test_rate_zero_agrees(world, order):
    """With a rate of 0 nothing is sent, and both APIs write `-0`."""
    sentry_sdk.get_client().options["traces_sample_rate"] = 0.0
    for root in (world.native, world.sdk_root):
        with root("root"), world.sdk("child"):
            theirs = dict(sentry_sdk.get_current_scope().iter_trace_propagation_headers())
            assert theirs["sentry-trace"] == bridge.get_traceparent()
            assert theirs["sentry-trace"].endswith("-0")
    assert world.spans() == []


def test_the_custom_sampling_context_is_known(order):
    """What the program said with `set_custom_sampling_context` is given to the sampler for native roots too."""
    if not hasattr(sentry_sdk.Scope, "set_custom_sampling_context"):
        pytest.skip("of newer versions")
    seen = []
    with one_world(order, traces_sampler=lambda context: seen.append(context.get("plan")) or 1.0) as world:
        sentry_sdk.Scope.set_custom_sampling_context({"plan": "gold"})
        with world.native("root"):
            pass
    assert seen == ["gold"]


def test_a_sampler_that_raises_drops(order):
    """As in sentry-sdk, a `traces_sampler` that raises drops the trace, and does not reach the program."""

    def sampler(context):
        raise ValueError("no")

    with one_world(order, traces_sampler=sampler) as world:
        for root in (world.native, world.sdk_root):
            with root("root"):
                pass
        assert world.spans() == []


def test_a_client_on_a_scope_decides_and_sends(static_world):
    """A client that is bound to a scope decides about roots that start there, and gets them."""
    from tests.sentry_sdk.worlds import KeepingTransport

    other = KeepingTransport()
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(
            sentry_sdk.Client(
                dsn="https://other@o2.ingest.example.com/2",
                transport=other,
                traces_sample_rate=1.0,
                release="other",
                default_integrations=False,
                auto_enabling_integrations=False,
            )
        )
        with static_world.native("root"):
            pass
    bridge.flush()
    assert static_world.transactions == []
    (envelope,) = other.envelopes
    assert envelope.headers["trace"]["public_key"] == "other"
    assert envelope.items[0].payload.json["release"] == "other"
