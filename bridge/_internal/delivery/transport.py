"""From envelopes to the server: each is delivered, or counted with the reason why not."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge._internal.delivery.connection import Answer, Connection, UnreachableError, UnsendableError
from bridge._internal.delivery.envelope import CONTENT_TYPE, Envelope, envelope_headers
from bridge._internal.delivery.outcomes import (
    INTERNAL_SDK_ERROR,
    NETWORK_ERROR,
    QUEUE_OVERFLOW,
    RATELIMIT_BACKOFF,
    SEND_ERROR,
    Outcomes,
)
from bridge._internal.delivery.rate_limits import TOO_MANY_REQUESTS, RateLimits
from bridge._internal.delivery.shipment import Shipment, compression_for
from bridge._internal.forking import reset_in_children
from bridge._internal.guard import guard
from bridge._internal.local import in_untraced_context
from bridge._internal.sources import chance
from bridge._internal.version import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from bridge._internal.dsn import Dsn


class Transport(ABC):
    """Where envelopes go. `send` is called by one thread, the worker's."""

    @abstractmethod
    def send(self, envelope: Envelope) -> None:
        """Send an envelope or count it as lost; never raises."""

    @abstractmethod
    def flush(self, timeout: float | None) -> bool:
        """Send what is held back; `False` if that was not done within `timeout` seconds."""

    @abstractmethod
    def close(self, timeout: float | None) -> None:
        """Send what is held back within `timeout` seconds, and let go of connections."""

    def stop_retrying(self) -> None:  # noqa: B027 - most transports never retry
        """Cut every wait short: what is tried now is tried for the last time. From any thread."""

    def is_limited(self, category: str) -> bool:
        """Whether the server asked not to be sent items of this category for now."""
        return False


@dataclass(frozen=True, slots=True)
class Retries:
    """Waits that double from `first_wait_s` to `longest_wait_s`, each cut at random by up to a half.

    At most `attempts` are made, and none begins later than `total_s` after the first. By default a server that is away
    for ten seconds costs nothing.
    """

    attempts: int = 12
    first_wait_s: float = 0.1
    longest_wait_s: float = 5.0
    total_s: float = 30.0

    def waits(self, clock: Callable[[], float], chance: Callable[[], float] = chance) -> Iterator[float]:
        """Yield how long to wait before each further attempt, until there is to be none."""
        give_up_at = clock() + self.total_s
        for retry in range(self.attempts - 1):
            longest = min(self.longest_wait_s, self.first_wait_s * 2**retry)
            wait_s = longest * (1.0 - chance() / 2)
            if clock() + wait_s > give_up_at:
                return
            yield wait_s


class HttpTransport(Transport):
    """Posts envelopes over one connection that is kept; proxies and certificates as httpx's environment has them.

    Network errors and 5xx are tried again, anything else the server says is obeyed. Everything that `send` was given is
    in the outcomes exactly once when it returns.
    """

    def __init__(
        self,
        dsn: Dsn,
        outcomes: Outcomes,
        *,
        http_client: httpx.Client | None = None,
        send_client_reports: bool = True,
        retries: Retries | None = None,
    ) -> None:
        self.rate_limits = RateLimits()
        self._outcomes = outcomes
        self._send_client_reports = send_client_reports
        self.retries = retries or Retries()
        self._connection = Connection(dsn.envelope_url, request_headers(dsn), http_client)
        self._compression = compression_for(dsn)
        self._dsn = dsn
        self._begin_anew()
        reset_in_children(self)

    def send(self, envelope: Envelope) -> None:
        """Send an envelope, trying again where that may help. Called by the worker's thread only."""
        shipment = self._shipment(envelope)
        if self._closed.is_set():
            shipment.lost(QUEUE_OVERFLOW)
            return
        with self._turn:
            self._deliver(shipment, self.retries.waits(time.monotonic))
            if self._closed.is_set():
                self._close_connection()

    def flush(self, timeout: float | None = None) -> bool:
        """Send the client report that is due; `False` if that was not done within `timeout` seconds.

        From any thread. What the worker is sending at the moment is waited for.
        """
        return self._flush(_deadline(timeout))

    def stop_retrying(self) -> None:
        self._last_try.set()

    def is_limited(self, category: str) -> bool:
        return self.rate_limits.is_limited(category)

    def close(self, timeout: float | None = None) -> None:
        """Send the last client report and close the connection, all within `timeout` seconds. From any thread.

        A request that hangs is broken off after that time. What is sent afterwards is counted as lost.
        """
        self.stop_retrying()
        self._closed.set()
        deadline = _deadline(timeout)
        if not self._flush(deadline, then_close=True):
            # The thread that is in the middle of a request closes the connection when the request has failed.
            self._connection.interrupt()

    def reset_after_fork(self) -> None:
        was_closed = self._closed.is_set()
        self._begin_anew()
        if was_closed:
            self._last_try.set()
            self._closed.set()

    def _begin_anew(self) -> None:
        self._turn = threading.RLock()  # protects the connection: one request at a time
        self._last_try = threading.Event()
        self._closed = threading.Event()

    def _shipment(self, envelope: Envelope) -> Shipment:
        headers = {**envelope_headers(self._dsn), **envelope.headers}
        return Shipment(headers, envelope.items, self._outcomes, self._compression)

    def _deliver(self, shipment: Shipment, waits: Iterator[float], deadline: float | None = None) -> None:
        """Bring a shipment to its end."""
        try:
            with guard("delivery", "sending an envelope failed"):
                self._attempt_all(shipment, waits, deadline)
        finally:
            shipment.lost(INTERNAL_SDK_ERROR)  # nothing is left in it, but for a fault

    def _attempt_all(self, shipment: Shipment, waits: Iterator[float], deadline: float | None) -> None:
        while True:
            shipment.drop_limited(self.rate_limits)
            if shipment.is_empty:
                return
            if self._send_client_reports:
                shipment.attach_report(self.rate_limits)
            reason = self._attempt(shipment, deadline)
            if reason is None:
                return
            wait_s = next(waits, None)
            if wait_s is None or self._last_try.wait(wait_s):
                shipment.lost(reason)
                return

    def _attempt(self, shipment: Shipment, deadline: float | None) -> str | None:
        """Try once. `None` if that settled it, else the reason it is lost for unless it is tried again."""
        body = shipment.body()
        try:
            answer = self._connection.post(body, shipment.encoding, _remaining(deadline))
        except UnreachableError:
            return NETWORK_ERROR
        except UnsendableError:
            shipment.lost(SEND_ERROR)
            return None
        self.rate_limits.update(answer.status, answer.headers)
        return self._settle(shipment, answer)

    @staticmethod
    def _settle(shipment: Shipment, answer: Answer) -> str | None:
        if 200 <= answer.status < 300:
            shipment.delivered()
        elif answer.status == TOO_MANY_REQUESTS:
            # Sentry counts what it refuses for its limits; a report of it would count it twice.
            shipment.lost(RATELIMIT_BACKOFF, report=False)
        elif answer.status < 500:
            shipment.lost(SEND_ERROR)
        else:
            return SEND_ERROR
        return None

    def _flush(self, deadline: float | None, *, then_close: bool = False) -> bool:
        if not self._turn.acquire(timeout=_lock_timeout(deadline)):
            return False
        try:
            done = in_untraced_context(self._send_report)(deadline)
            if then_close:
                self._close_connection()
            return done
        finally:
            self._turn.release()

    def _send_report(self, deadline: float | None) -> bool:
        if not self._send_client_reports:
            return True
        shipment = self._shipment(Envelope({}, []))
        shipment.attach_report(self.rate_limits)
        if shipment.is_empty:
            return True
        self._deliver(shipment, iter(()), deadline)
        return shipment.was_delivered

    def _close_connection(self) -> None:
        with guard("delivery", "closing the connection failed"):
            self._connection.close()


def request_headers(dsn: Dsn) -> dict[str, str]:
    """Return the headers of every request to a DSN."""
    return {"X-Sentry-Auth": dsn.auth_header(USER_AGENT), "User-Agent": USER_AGENT, "Content-Type": CONTENT_TYPE}


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _remaining(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _lock_timeout(deadline: float | None) -> float:
    remaining = _remaining(deadline)
    return -1 if remaining is None else min(remaining, threading.TIMEOUT_MAX)
