"""A program with sentry-sdk alone that enqueues jobs: BROKER FIRST LAST. Of every third it leaves the decision open."""

from __future__ import annotations

import sys

import sentry_sdk
from celery import Celery
from sentry_sdk.integrations.celery import CeleryIntegration

from tests.frameworks.enqueuers.orders import job


def set_up(rate: float | None) -> None:
    """Initialise the SDK; without a rate it takes part in traces and decides nothing."""
    sentry_sdk.init(
        "http://upstream@127.0.0.1:9/1",
        traces_sample_rate=rate,
        integrations=[CeleryIntegration()],
        before_send_transaction=lambda event, hint: None,
        release="shop@7",
        environment="tests of bridge",
    )


def enqueue(app: Celery, order: int) -> None:
    """Enqueue the job for an order, with baggage of the user's."""
    app.send_task(job(order), args=[order], headers={"baggage": f"customer={order}"})


def main() -> None:
    """Enqueue."""
    app = Celery("upstream", broker=sys.argv[1])
    orders = range(int(sys.argv[2]), int(sys.argv[3]))
    set_up(0.5)
    for order in orders:
        if order % 3:
            with sentry_sdk.start_transaction(name=f"checkout {order % 7}", source="route"):
                enqueue(app, order)
    set_up(None)
    for order in orders:
        if not order % 3:
            with sentry_sdk.isolation_scope() as scope:
                scope.set_new_propagation_context()
                enqueue(app, order)


if __name__ == "__main__":
    main()
