"""One tree, whichever of the three APIs started which span."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sentry_sdk
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import bridge
from tests.sentry_sdk.worlds import HAS_STREAMS, ORDERS, one_world


def headers_agree() -> str:
    """Both SDKs write the same headers here; returns the span that they name."""
    theirs = dict(sentry_sdk.get_current_scope().iter_trace_propagation_headers())
    ours = bridge.trace_headers()
    assert theirs["sentry-trace"] == ours["sentry-trace"]
    assert set(theirs["baggage"].split(",")) == set(ours["baggage"].split(","))
    assert theirs["traceparent"] == ours["traceparent"]
    span_id = theirs["sentry-trace"].split("-")[1]
    assert span_id == f"{trace.get_current_span().get_span_context().span_id:016x}"
    return span_id


def test_a_root_of_opentelemetrys_has_spans_of_all_three(world):
    """Below a native root spans of all APIs are one chain in one tree, and each level writes the same headers."""
    wrote = {}
    with world.native("root"):
        wrote["root"] = headers_agree()
        with world.sdk("theirs"):
            wrote["theirs"] = headers_agree()
            with world.native("native"):
                wrote["native"] = headers_agree()
                with bridge.start_span("ours"):
                    wrote["ours"] = headers_agree()
    assert world.parents() == {"root": None, "theirs": "root", "native": "theirs", "ours": "native"}
    assert {span["name"]: span["span_id"] for span in world.spans()} == wrote
    assert len({span["root"] for span in world.spans()}) == 1
    assert [span["name"] for span in world.spans() if span["is_root"]] == ["root"]
    assert {span["dsc"]["transaction"] for span in world.spans()} == {"root"}


def test_a_child_of_what_sentry_sdk_sees_as_active(static_world):
    """`get_current_span().start_child` below a native span is that span's child, and natives below it are its."""
    world = static_world
    with world.native("root"), bridge.start_span("ours"):
        child = sentry_sdk.get_current_span().start_child(op="cache", name="child")
        with child, world.native("native"):
            headers_agree()
    assert static_world.parents() == {"root": None, "ours": "root", "child": "ours", "native": "child"}


def test_a_root_of_sentry_sdks_has_spans_of_all_three(world):
    """The same below a transaction, or a segment, which sentry-sdk sends with the spans of the other APIs."""
    with world.sdk_root("root"):
        headers_agree()
        with world.native("native"):
            headers_agree()
            with world.sdk("theirs"):
                headers_agree()
                with bridge.start_span("ours"):
                    headers_agree()
    assert world.parents() == {"root": None, "native": "root", "theirs": "native", "ours": "theirs"}
    assert {span["dsc"]["transaction"] for span in world.spans()} == {"root"}
    assert len({span["dsc"]["sample_rand"] for span in world.spans()}) == 1
    assert {span["root"] for span in world.spans()} == {world.named("root")["span_id"]}


def test_nothing_is_active_after(world):
    """When the blocks have ended nothing is active on either side."""
    with world.native("a"), world.sdk("b"):
        pass
    with world.sdk_root("c"), world.native("d"):
        pass
    assert world.sdk_active() is None
    assert bridge.get_current_span() is None


def test_the_view_of_a_span_is_one_object(world):
    """`scope.span is scope.span`, and it has the ids of the native span."""
    with world.native("root"), world.native("child") as span:
        seen = world.sdk_active()
        assert seen is world.sdk_active()
        assert seen.span_id == f"{span.get_span_context().span_id:016x}"


async def _mixed(world, number: int, seeded: random.Random, wrong: list[str]) -> None:
    def step(depth: int, parent: str | None):
        kind = seeded.choice(["native", "sdk", "ours"])
        make = {"native": world.native, "sdk": world.sdk, "ours": bridge.start_span}[kind]
        return make(f"{number}.{depth}.{seeded.random()}")

    async def nest(depth: int) -> None:
        before = trace.get_current_span().get_span_context().span_id
        with step(depth, None):
            now = bridge.get_current_span()
            assert now is not None
            if now.parent_span_id != f"{before:016x}":
                wrong.append(f"{number}.{depth}")
            seen = world.sdk_active()
            if seen is None or seen.span_id != now.span_id:
                wrong.append(f"seen {number}.{depth}")
            await asyncio.sleep(0)
            if depth < 5:
                await asyncio.gather(*(nest(depth + 1) for _ in range(seeded.choice([1, 1, 2]))))
            if sentry_sdk.get_isolation_scope()._tags.get("number") != number:
                wrong.append(f"tag {number}.{depth}")

    with sentry_sdk.isolation_scope() as scope:
        scope.set_tag("number", number)
        with (world.sdk_root if number % 2 else world.native)(f"root {number}"):
            await nest(0)


def test_many_tasks_never_mix(world):
    """Two hundred tasks with random APIs, and no AsyncioIntegration: no wrong parent, no foreign tag."""
    wrong: list[str] = []

    async def main() -> None:
        await asyncio.gather(*(_mixed(world, number, random.Random(number), wrong) for number in range(200)))

    asyncio.run(main())
    assert not wrong
    spans = world.spans()
    known = {span["span_id"] for span in spans}
    assert all(span["parent"] in known for span in spans if not span["is_root"])
    assert len(known) == len(spans)
    assert sum(span["is_root"] for span in spans) == 200


def test_threads_and_pools_carry_both(world):
    """A thread, a pool's task and `to_thread` are below the span of their starter, in its isolation scope."""
    sentry_sdk.set_tag("who", "starter")
    seen = []

    def work(name: str) -> None:
        with world.native(name):
            seen.append((name, world.sdk_active().span_id, dict(sentry_sdk.get_isolation_scope()._tags)))

    async def main() -> None:
        await asyncio.to_thread(work, "to_thread")

    with world.sdk_root("root"):
        thread = threading.Thread(target=work, args=("thread",))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work, "pool").result()
            # What the pool's thread has between tasks is nothing.
            assert pool.submit(lambda: None).result() is None
        asyncio.run(main())
    assert all(tags == {"who": "starter"} for _, _, tags in seen)
    assert world.parents() == {"root": None, "thread": "root", "pool": "root", "to_thread": "root"}


def test_bind_takes_scope_and_span_along(world):
    """A bound function sees the scope and the span of where it was bound, and leaves nothing."""
    with sentry_sdk.isolation_scope() as scope, world.sdk_root("root"):
        scope.set_tag("inside", "yes")
        bound = bridge.bind(lambda: (sentry_sdk.get_isolation_scope()._tags.get("inside"), world.sdk_active().name))
    assert bound() == ("yes", "root")
    assert sentry_sdk.get_isolation_scope()._tags == {}
    assert world.sdk_active() is None


def test_orphans_change_nothing(static_world):
    """`sentry_sdk.start_span` with no transaction is not sent; a native span below it is a root."""
    with sentry_sdk.start_span(name="orphan", op="db"), static_world.native("native"):
        pass
    assert static_world.parents() == {"native": None}


def test_a_span_put_on_a_scope_by_hand(static_world):
    """`scope.span = t` in a `new_scope()` block is active inside, and nothing is after."""
    transaction = sentry_sdk.start_transaction(name="by hand")
    with sentry_sdk.new_scope() as scope:
        scope.span = transaction
        with static_world.native("native"):
            pass
    assert bridge.get_current_span() is None
    transaction.finish()
    assert static_world.parents() == {"by hand": None, "native": "by hand"}


def test_clearing_the_scope_clears_the_span(static_world):
    """`Scope.clear()` on the current scope makes nothing active, as sentry-sdk says."""
    with sentry_sdk.start_transaction(name="root"), sentry_sdk.new_scope() as scope:
        scope.clear()
        assert sentry_sdk.get_current_span() is None
        assert bridge.get_current_span() is None


def test_another_scope_has_no_span(static_world):
    """In `use_scope(Scope())` no span is active, and what was is again after."""
    with sentry_sdk.start_transaction(name="root") as root:
        with sentry_sdk.scope.use_scope(sentry_sdk.Scope()):
            assert sentry_sdk.get_current_span() is None
        assert sentry_sdk.get_current_span() is root


@pytest.mark.parametrize("lifecycle", ["static", "stream"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_provider_of_the_users_own_exports_the_same_tree(order, lifecycle):
    """With a provider of their own both root kinds are the same tree in the exporter and in Sentry, each span once."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with one_world(order, lifecycle, ours={"tracer_provider": provider}) as world:
        tracer = provider.get_tracer("theirs")
        with tracer.start_as_current_span("root"), world.sdk("theirs"), tracer.start_as_current_span("native"):
            pass
        with world.sdk_root("root 2"), tracer.start_as_current_span("native 2"), world.sdk("theirs 2"):
            pass
        expected = {
            "root": None, "theirs": "root", "native": "theirs",
            "root 2": None, "native 2": "root 2", "theirs 2": "native 2",
        }  # fmt: skip
        assert world.parents() == expected
        finished = exporter.get_finished_spans()
        names = {span.context.span_id: span.name for span in finished}
        assert len(finished) == 6
        assert {span.name: span.parent and names[span.parent.span_id] for span in finished} == expected
        assert {f"{i:016x}" for i in names} == {span["span_id"] for span in world.spans()}


@pytest.mark.parametrize("order", ORDERS)
def test_a_view_of_a_span_that_is_exported_alone_ends_it(order):
    """Sentry's rate is zero, the exporter gets all: what sentry-sdk sees as unsampled is a span that it can end."""
    if not HAS_STREAMS:
        pytest.skip("this sentry-sdk sends no spans by themselves")
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with one_world(order, "stream", ours={"tracer_provider": provider}, traces_sample_rate=0.0) as world:
        with trace.use_span(provider.get_tracer("theirs").start_span("native")):
            world.sdk_active().end()
        assert [span.name for span in exporter.get_finished_spans()] == ["native"]
        assert world.spans() == []


@pytest.mark.parametrize("order", ORDERS)
def test_a_sampler_that_drops_leaves_the_exporter_empty(order):
    """The provider's sampler decides for exporters: one that drops all leaves sentry-sdk's spans alone."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with one_world(order, ours={"tracer_provider": provider}) as world:
        with world.sdk_root("root"), world.sdk("child"):
            pass
        assert world.parents() == {"root": None, "child": "root"}
        assert not exporter.get_finished_spans()


def test_late_children(static_world):
    """A native child that ends after its transaction follows in one of its own; one of sentry-sdk's does not."""
    with sentry_sdk.start_transaction(name="root") as root:
        late = static_world.tracer.start_span("late")
        theirs = sentry_sdk.start_span(name="theirs")
    late.end()
    theirs.finish()
    assert static_world.parents() == {"root": None, "late": "root"}
    assert len(static_world.transactions) == 2
    assert {t["contexts"]["trace"]["trace_id"] for t in static_world.transactions} == {root.trace_id}
