"""What was recorded goes through sentry-sdk's client, with its hooks, once."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
import threading

import pytest
import sentry_sdk
from opentelemetry.trace import Status, StatusCode

import bridge
from tests.sentry_sdk.worlds import ORDERS, one_world


def test_hooks_and_options_apply_to_native_roots(order):
    """`before_send_transaction`, processors, release and environment of sentry-sdk apply to a native root."""

    def hook(event, hint):
        event["tags"] = {**event.get("tags", {}), "seen": "1"}
        return event

    with one_world(order, before_send_transaction=hook, release="r1", environment="e1", server_name="s1") as world:
        with world.native("root", attributes={"password": "secret"}):
            pass
        (transaction,) = world.transactions
        assert transaction["tags"] == {"seen": "1"}
        assert (transaction["release"], transaction["environment"], transaction["server_name"]) == ("r1", "e1", "s1")
        assert "secret" not in str(transaction)
        assert transaction["sdk"]["name"].startswith("sentry.python")
        assert world.transport.envelopes[0].headers["trace"]["release"] == "r1"


def test_a_dropped_root_is_reported_once(order):
    """A transaction that the hook drops is reported as one transaction and its spans, and is lost in the account."""
    with one_world(order, before_send_transaction=lambda event, hint: None) as world:
        with world.native("root"), world.native("child"):
            pass
        assert world.transactions == []
        assert [loss for loss in world.transport.lost if loss[1] == "transaction"] == [
            ("before_send", "transaction", 1)
        ]
        assert [loss for loss in world.transport.lost if loss[1] == "span"] == [("before_send", "span", 2)]
        account = bridge.get_client().accounting()
        assert (account.started, account.delivered, account.pending, dict(account.lost)) == (
            2,
            0,
            0,
            {"before_send": 2},
        )


def test_most_spans(order):
    """`_experiments.max_spans` bounds what goes with a root of either API."""
    with one_world(order, _experiments={"max_spans": 3}) as world:
        for root in (world.native, world.sdk_root):
            with root("root"):
                for number in range(10):
                    with world.native(f"{number}"):
                        pass
        assert all(len(transaction["spans"]) <= 4 for transaction in world.transactions)
        account = bridge.get_client().accounting()
        assert account.started == account.delivered + sum(account.lost.values())
        assert account.pending == 0


def test_the_account_balances(world):
    """Every span that was started sampled is delivered once all is sent, whichever API started it."""
    for root in (world.native, world.sdk_root):
        with root("root"), world.native("a"), world.sdk("b"), bridge.start_span("c"):
            pass
    world.flush()
    account = bridge.get_client().accounting()
    assert (account.delivered, dict(account.lost), account.pending) == (account.started, {}, 0)
    assert account.started == 8


def test_each_api_on_the_others_span(static_world):
    """OpenTelemetry's API on a sentry-sdk span, and sentry-sdk's on a native one, are in what is sent."""
    with sentry_sdk.start_transaction(name="root"), sentry_sdk.start_span(name="theirs") as theirs:
        ours = bridge.get_current_span()
        ours.set_attribute("color", "red")
        ours.record_exception(ValueError("broken"))
        ours.set_status(Status(StatusCode.ERROR, "bad"))
        ours.update_name("renamed")
        theirs.set_data("size", 3)
    sent = static_world.named("renamed")
    assert sent["data"]["color"] == "red"
    assert sent["data"]["size"] == 3
    assert sent["data"]["otel.events"][0]["attributes"]["exception.message"] == "broken"
    assert sent["status"] == "internal_error"

    with static_world.native("native root"), static_world.native("native"):
        span = sentry_sdk.get_current_span()
        span.set_data("size", 4)
        span.set_tag("tag", "t")
        sentry_sdk.get_current_scope().set_transaction_name("named", source="route")
        sentry_sdk.get_current_scope().transaction.set_http_status(404)
    native = static_world.named("native")
    assert native["data"]["size"] == 4
    assert native["tags"]["tag"] == "t"
    root = static_world.named("named")
    assert root["status"] == "not_found"
    transaction = static_world.transactions[-1]
    assert transaction["transaction_info"]["source"] == "route"
    assert transaction["contexts"]["response"]["status_code"] == 404


def test_errors_of_both_apis(static_world):
    """An exception is linked to the span that it came through, sent once, by sentry-sdk's transport."""
    with pytest.raises(ValueError, match="one"), static_world.native("root"), static_world.native("inner"):
        raise ValueError("one")
    error = None
    try:
        with static_world.native("second"), static_world.native("deep"):
            raise ValueError("two")
    except ValueError as caught:
        error = caught
        event_id = bridge.capture_exception(caught, tags={"by": "hand"})
    (event,) = [event for event in static_world.events if event.get("tags")]
    assert event["event_id"] == event_id == bridge.last_event_id() == sentry_sdk.last_event_id()
    assert event["contexts"]["trace"]["span_id"] == static_world.named("deep")["span_id"]
    assert event["exception"]["values"][0]["mechanism"]["handled"] is True
    envelope = next(e for e in static_world.transport.envelopes if e.headers["event_id"] == event_id)
    assert envelope.headers["trace"]["transaction"] == "second"
    assert error is not None


def test_logs_have_the_native_span(static_world):
    """A structured log below a native span has its trace and its id."""
    pytest.importorskip("sentry_sdk.logger")
    sentry_sdk.get_client().options["enable_logs"] = True
    with static_world.native("root") as root:
        sentry_sdk.logger.info("hello")
    static_world.flush()
    items = [item for e in static_world.transport.envelopes for item in e.items if item.type == "log"]
    assert items
    (log,) = items[0].payload.json["items"]
    context = root.get_span_context()
    assert log["trace_id"] == f"{context.trace_id:032x}"
    assert log["span_id"] == f"{context.span_id:016x}"


def test_check_ins_are_in_the_jobs_trace(static_world):
    """A cron monitor below a native root sends two check-ins in the root's trace."""
    from sentry_sdk.crons import monitor

    with static_world.native("job") as root, monitor(monitor_slug="nightly"):
        pass
    check_ins = static_world.items("check_in")
    assert [one["status"] for one in check_ins] == ["in_progress", "ok"]
    assert {one["contexts"]["trace"]["trace_id"] for one in check_ins} == {f"{root.get_span_context().trace_id:032x}"}


def test_breadcrumbs_and_errors_of_logging(order, caplog):
    """sentry-sdk's logging integration is linked to native spans, and its breadcrumbs are on the bridge's events."""
    from sentry_sdk.integrations.logging import LoggingIntegration

    caplog.set_level(logging.INFO, "a program")
    with one_world(order, integrations=[LoggingIntegration()]) as world:
        with world.native("root") as root:
            logging.getLogger("a program").info("crumb")
            logging.getLogger("a program").error("failed")
            bridge.capture_message("ours")
        logged, ours = world.events
        assert logged["contexts"]["trace"]["span_id"] == f"{root.get_span_context().span_id:016x}"
        assert [crumb["message"] for crumb in ours["breadcrumbs"]["values"]] == ["crumb", "failed"]


@pytest.mark.filterwarnings("ignore:Transaction-based profiling:DeprecationWarning")
def test_profiles_of_native_roots(order):
    """With `profiles_sample_rate` a native root has a profile."""
    from sentry_sdk.profiler import teardown_profiler

    teardown_profiler()
    try:
        with one_world(order, profiles_sample_rate=1.0) as world:
            stop = threading.Event()
            with world.native("root"):
                stop.wait(0.3)
            world.flush()
            kinds = [item.type for envelope in world.transport.envelopes for item in envelope.items]
            assert "profile" in kinds
            assert world.transactions[0]["contexts"]["trace"]["data"]["thread.name"] == "MainThread"
    finally:
        teardown_profiler()


@pytest.mark.parametrize("order", ORDERS)
def test_all_is_sent_at_exit(order):
    """A program that ends at once has its native root, its late child and its transaction delivered, in both orders."""
    program = textwrap.dedent(
        """
        import sys, sentry_sdk, bridge
        from sentry_sdk.transport import Transport
        class Printing(Transport):
            def __init__(self): super().__init__({})
            def capture_envelope(self, envelope):
                for item in envelope.items:
                    print(item.type, item.payload.json.get("transaction"), flush=True)
        steps = [
            lambda: sentry_sdk.init("https://k@o1.ingest.example.com/1", transport=Printing(), traces_sample_rate=1.0),
            lambda: bridge.init(),
        ]
        for step in steps if sys.argv[1] == "0" else reversed(steps):
            step()
        tracer = bridge.get_client().tracer
        with sentry_sdk.start_transaction(name="theirs"):
            late = tracer.start_span("late")
        late.end()
        with tracer.start_as_current_span("ours"):
            pass
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(ORDERS.index(order))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split("\n")) == sorted(["", "transaction late", "transaction ours", "transaction theirs"])
