"""Timestamps as Sentry's parsers take them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def rfc3339(ns: int) -> str:
    """Write nanoseconds since the epoch as RFC 3339 in UTC, with microseconds."""
    moment = _EPOCH + timedelta(microseconds=ns // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
