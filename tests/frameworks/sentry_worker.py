"""A worker with sentry-sdk alone: `celery -A tests.frameworks.sentry_worker worker`."""

from __future__ import annotations

import os

import sentry_sdk
from celery import Celery
from sentry_sdk.integrations.celery import CeleryIntegration

sentry_sdk.init(traces_sample_rate=0.0, integrations=[CeleryIntegration()])
app = Celery("theirs", broker=os.environ["CELERY_BROKER_URL"])


@app.task(name="sentry.work")
def work() -> None:
    """Do nothing."""
