"""The books."""

from __future__ import annotations

import threading

from bridge._internal.delivery import outcomes as reasons
from bridge._internal.delivery.outcomes import Outcomes
from tests.delivery.totals import Totals, totals_of


def test_losses_become_a_client_report():
    """What was lost is reported once, by reason and category, with the time."""
    outcomes = Outcomes(clock=lambda: 12.5)
    outcomes.lost("before_send", "error")
    outcomes.lost("queue_overflow", "span", 3)
    outcomes.lost("queue_overflow", "span", 2)
    assert outcomes.take_report() == {
        "timestamp": 12.5,
        "discarded_events": [
            {"reason": "before_send", "category": "error", "quantity": 1},
            {"reason": "queue_overflow", "category": "span", "quantity": 5},
        ],
    }
    assert outcomes.take_report() is None


def test_a_report_that_was_not_sent_goes_with_the_next():
    """Restoring a report adds it to what was lost since; the totals do not count it twice."""
    outcomes = Outcomes(clock=lambda: 0.0)
    outcomes.lost("before_send", "error", 2)
    report = outcomes.take_report()
    outcomes.lost("before_send", "error")
    outcomes.restore(report)
    assert outcomes.take_report()["discarded_events"] == [{"reason": "before_send", "category": "error", "quantity": 3}]
    assert outcomes.lost_of("error") == {"before_send": 3}


def test_what_the_server_counted_is_not_reported():
    """A loss can be kept from the report, and is in the totals all the same."""
    outcomes = Outcomes()
    outcomes.lost("ratelimit_backoff", "span", 4, report=False)
    assert outcomes.take_report() is None
    assert totals_of(outcomes, "span") == Totals(0, {"ratelimit_backoff": 4})


def test_totals_are_by_category():
    """The account of a category has what was delivered and what was lost, by reason."""
    outcomes = Outcomes()
    outcomes.delivered("span", 7)
    outcomes.delivered("transaction")
    outcomes.lost("send_error", "span", 2)
    outcomes.lost("network_error", "span")
    outcomes.take_report()
    assert totals_of(outcomes) == Totals(7, {"send_error": 2, "network_error": 1})
    assert totals_of(outcomes).lost_in_all == 3
    assert totals_of(outcomes, "transaction") == Totals(1, {})
    assert totals_of(outcomes, "error") == Totals(0, {})


def test_nothing_is_nothing():
    """Quantities of zero leave no trace."""
    outcomes = Outcomes()
    outcomes.lost("send_error", "attachment", 0)
    outcomes.delivered("attachment", 0)
    assert outcomes.take_report() is None
    assert totals_of(outcomes, "attachment") == Totals(0, {})


def test_threads_lose_nothing_while_counting():
    """Eight threads count, one takes reports: every loss is in exactly one report."""
    outcomes = Outcomes()
    reported = 0

    def lose():
        for _ in range(1000):
            outcomes.lost("queue_overflow", "span")
            outcomes.delivered("span")

    threads = [threading.Thread(target=lose) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        report = outcomes.take_report()
        reported += report["discarded_events"][0]["quantity"] if report else 0
    for thread in threads:
        thread.join()
    report = outcomes.take_report()
    reported += report["discarded_events"][0]["quantity"] if report else 0
    assert reported == 8000
    assert totals_of(outcomes, "span") == Totals(8000, {"queue_overflow": 8000})


def test_reasons_are_those_that_sentry_knows():
    """Every reason of the protocol has its constant."""
    known = {
        value
        for name, value in vars(reasons).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, str)
    }
    assert known == {
        "queue_overflow", "ratelimit_backoff", "network_error", "send_error", "sample_rate", "backpressure",
        "before_send", "event_processor", "buffer_overflow", "internal_sdk_error",
    }  # fmt: skip
