"""Rate limits: the grammar of the headers, and what holds when."""

from __future__ import annotations

from email.utils import formatdate

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge._internal.delivery.rate_limits import RateLimits

NOW = 1_800_000_000.0
CATEGORIES = ("error", "transaction", "span", "attachment", "internal")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limits(clock):
    return RateLimits(clock, lambda: NOW)


def in_force(limits, clock):
    """For how long each category is limited, to the quarter second."""
    start, found = clock.now, {}
    for quarter in range(4 * 200):
        clock.now = start + quarter / 4
        for category in CATEGORIES:
            if limits.is_limited(category):
                found[category] = quarter / 4 + 0.25
    clock.now = start
    return found


def everything(seconds):
    return dict.fromkeys(CATEGORIES, seconds)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {}, {}),
        (200, {"Retry-After": "60"}, {}),
        (503, {"Retry-After": "60"}, {}),
        (200, {"X-Sentry-Rate-Limits": "60:error:organization"}, {"error": 60}),
        (429, {"X-Sentry-Rate-Limits": "60:error:organization"}, {"error": 60}),
        (500, {"x-sentry-rate-limits": "60:error"}, {"error": 60}),
        (200, {"X-Sentry-Rate-Limits": "60:error;transaction:key:quota_exceeded"}, {"error": 60, "transaction": 60}),
        (200, {"X-Sentry-Rate-Limits": "60:error:key, 30:span:key"}, {"error": 60, "span": 30}),
        (200, {"X-Sentry-Rate-Limits": "60:error:key,30:error:key"}, {"error": 60}),
        (200, {"X-Sentry-Rate-Limits": "30:error:key,60:error:key"}, {"error": 60}),
        (200, {"X-Sentry-Rate-Limits": "2.5:error:key"}, {"error": 2.5}),
        (200, {"X-Sentry-Rate-Limits": " 60 : error ; span : key "}, {"error": 60, "span": 60}),
        (200, {"X-Sentry-Rate-Limits": "60::organization"}, everything(60)),
        (200, {"X-Sentry-Rate-Limits": "60"}, everything(60)),
        (200, {"X-Sentry-Rate-Limits": "60:;:key"}, everything(60)),
        (200, {"X-Sentry-Rate-Limits": "10::key, 60:error:key"}, {**everything(10), "error": 60}),
        (200, {"X-Sentry-Rate-Limits": "60:unknown_one;error:key:reason:namespaces:more"}, {"error": 60}),
        (200, {"X-Sentry-Rate-Limits": "x:error:key, 60:span:key"}, {"span": 60}),
        (200, {"X-Sentry-Rate-Limits": "-1:error:key, nan:span, inf:span, :error, ,"}, {}),
        (200, {"X-Sentry-Rate-Limits": "0:error:key"}, {}),
        (429, {"X-Sentry-Rate-Limits": ""}, everything(60)),
        (429, {"X-Sentry-Rate-Limits": "nonsense"}, everything(60)),
        (429, {"X-Sentry-Rate-Limits": "20:error", "Retry-After": "60"}, {"error": 20}),
        (429, {}, everything(60)),
        (429, {"Retry-After": "10"}, everything(10)),
        (429, {"retry-after": "1.5"}, everything(1.5)),
        (429, {"Retry-After": formatdate(NOW + 30, usegmt=True)}, everything(30)),
        (429, {"Retry-After": formatdate(NOW - 30, usegmt=True)}, {}),
        (429, {"Retry-After": "soon"}, everything(60)),
        (429, {"Retry-After": "-5"}, everything(60)),
        (429, {"Retry-After": "Mon, 99 Foo 2026 99:99:99 GMT"}, everything(60)),
    ],
)
def test_what_the_server_says_is_understood(limits, clock, status, headers, expected):
    """Each form of the headers limits the categories it names, for as long as it says."""
    limits.update(status, headers)
    assert in_force(limits, clock) == expected


def test_headers_of_a_response_are_understood(limits, clock):
    """The headers of an httpx response are taken, several of the same name too."""
    limits.update(200, httpx.Headers([("X-Sentry-Rate-Limits", "5:error"), ("X-Sentry-Rate-Limits", "6:span")]))
    assert in_force(limits, clock) == {"error": 5, "span": 6}


def test_the_longest_limit_wins_over_time(limits, clock):
    """A later, shorter limit does not shorten one that holds."""
    limits.update(200, {"X-Sentry-Rate-Limits": "60:error"})
    clock.now += 10
    limits.update(200, {"X-Sentry-Rate-Limits": "5:error"})
    assert in_force(limits, clock) == {"error": 50}


def test_limits_pass(limits, clock):
    """When its time has passed, a limit is gone."""
    limits.update(200, {"X-Sentry-Rate-Limits": "5:error"})
    assert limits.any_limited()
    assert limits.is_limited("error")
    assert not limits.is_limited("span")
    clock.now += 5
    assert not limits.any_limited()
    assert not limits.is_limited("error")


part = st.from_regex(r"[0-9.:;, a-z-]{0,30}") | st.text(max_size=30)


@given(st.integers(100, 599), part, part)
def test_no_header_can_raise_or_limit_for_nan(status, rate_limits, retry_after):
    """Whatever a server sends, there is an answer for every category."""
    limits = RateLimits(lambda: 0.0, lambda: NOW)
    limits.update(status, {"X-Sentry-Rate-Limits": rate_limits, "Retry-After": retry_after})
    assert limits.any_limited() in (True, False)
    assert all(limits.is_limited(category) in (True, False) for category in CATEGORIES)


quotas = st.lists(
    st.tuples(
        st.integers(0, 100),
        st.lists(st.sampled_from(CATEGORIES), max_size=3),
        st.sampled_from(["", ":key", ":key:why"]),
    ),
    max_size=5,
)


@given(quotas)
def test_any_combination_of_quotas_means_the_longest_for_each(quotas):
    """However limits are combined, each category is limited by the longest one that names it or names none."""
    header = ", ".join(f"{seconds}:{';'.join(names)}{rest}" for seconds, names, rest in quotas)
    clock = Clock()
    limits = RateLimits(clock)
    limits.update(200, {"X-Sentry-Rate-Limits": header})
    for category in CATEGORIES:
        until = max((seconds for seconds, names, _ in quotas if category in names or not names), default=0)
        clock.now = 1000.0 + until
        assert not limits.is_limited(category)
        clock.now = 1000.0 + max(0, until - 0.5)
        assert limits.is_limited(category) is (until > 0)
