"""Transport: envelopes to Sentry over HTTP."""

from __future__ import annotations

import gzip
import os
import random
import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from bridge._guard import guard
from bridge._version import __version__
from bridge.delivery import outcomes as reasons
from bridge.delivery.envelope import CONTENT_TYPE, INTERNAL, Envelope, Item
from bridge.delivery.rate_limits import RateLimits

if TYPE_CHECKING:
    import httpx

    from bridge.delivery.dsn import Dsn
    from bridge.delivery.outcomes import Outcomes

SDK_NAME = "sentry-otel-bridge"
_TIMEOUT_S = 5.0
_GZIP_FROM_BYTES = 1024
_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 4.0


class Transport(Protocol):
    """Where envelopes go. All three are called by one thread, that of the client's worker or of `close`."""

    def send(self, envelope: Envelope) -> None:
        """Send an envelope, or count it as lost; never raises."""

    def flush(self, timeout: float | None) -> bool:
        """Send what is held back; `False` if that was not done in `timeout` seconds."""

    def close(self, timeout: float | None) -> None:
        """Send what is held back and let go of connections."""


class HttpTransport:
    """Posts envelopes over one kept `httpx` connection; proxies and certificates by httpx's own environment.

    Network errors and 5xx are tried again, with growing pauses, a few times; rate limits are obeyed by category. What
    is lost is counted in `outcomes` and reported with the next envelope that goes out.
    """

    def __init__(
        self,
        dsn: Dsn,
        outcomes: Outcomes,
        *,
        http_client: httpx.Client | None = None,
        send_client_reports: bool = True,
    ) -> None:
        self._url = dsn.envelope_url
        self._dsn = str(dsn)
        self._headers = {
            "X-Sentry-Auth": dsn.auth_header(f"{SDK_NAME}/{__version__}"),
            "User-Agent": f"{SDK_NAME}/{__version__}",
            "Content-Type": CONTENT_TYPE,
        }
        self._outcomes = outcomes
        self._limits = RateLimits()
        self._given_client = http_client
        self._client: httpx.Client | None = http_client
        self._reports = send_client_reports
        self._closing = threading.Event()
        if hasattr(os, "register_at_fork"):
            forget = weakref.WeakMethod(self._forget_connections)

            def after_in_child() -> None:
                if (method := forget()) is not None:
                    method()

            os.register_at_fork(after_in_child=after_in_child)

    def _forget_connections(self) -> None:
        """Leave the parent's sockets to the parent."""
        self._client = self._given_client
        self._closing = threading.Event()

    def send(self, envelope: Envelope) -> None:
        """Send an envelope; what is not wanted or cannot be sent is counted."""
        kept = [item for item in envelope.items if not self._is_limited(item)]
        if kept and self._reports and (report := self._outcomes.take_report()) is not None:
            kept.append(Item("client_report", report))
        if kept:
            self._post(Envelope(envelope.headers, kept))

    def _is_limited(self, item: Item) -> bool:
        if not self._limits.is_limited(item.category):
            return False
        self._lose(reasons.RATELIMIT_BACKOFF, item)
        return True

    def _lose(self, reason: str, item: Item) -> None:
        if item.type == "client_report" and isinstance(item.payload, dict):
            self._outcomes.restore(item.payload)
        for category, quantity in item.losses().items():
            self._outcomes.lost(reason, category, quantity)

    def _post(self, envelope: Envelope) -> None:
        body = envelope.serialize()
        headers = self._headers
        if len(body) >= _GZIP_FROM_BYTES:
            body = gzip.compress(body, compresslevel=1)
            headers = {**headers, "Content-Encoding": "gzip"}
        reason = self._attempts(body, headers)
        for item in envelope.items:
            if reason is not None:
                self._lose(reason, item)
                continue
            for category, quantity in item.losses().items():
                self._outcomes.delivered(category, quantity)

    def _attempts(self, body: bytes, headers: dict[str, str]) -> str | None:
        """Post until it is taken or given up; returns why it was given up."""
        reason: str | None = None
        for attempt in range(_ATTEMPTS):
            if attempt and self._closing.wait(_pause_s(attempt)):
                return reason
            reason, again = self._attempt(body, headers)
            if not again:
                return reason
        return reason

    def _attempt(self, body: bytes, headers: dict[str, str]) -> tuple[str | None, bool]:
        """Post once: why it was not taken, if it was not, and whether to try again."""
        import httpx

        try:
            response = self._http().post(self._url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, RuntimeError):
            return reasons.NETWORK_ERROR, True
        self._limits.update(response.status_code, response.headers)
        if response.is_success:
            return None, False
        if response.status_code == 429:
            return reasons.RATELIMIT_BACKOFF, False
        return reasons.SEND_ERROR, response.is_server_error

    def _http(self) -> httpx.Client:
        if self._client is None:
            import httpx

            self._client = httpx.Client(timeout=_TIMEOUT_S)
        return self._client

    def flush(self, timeout: float | None) -> bool:
        """Send the client report that is due, if there is one."""
        if self._reports and not self._limits.is_limited(INTERNAL):
            report = self._outcomes.take_report()
            if report is not None:
                headers: dict[str, Any] = {"dsn": self._dsn}
                self._post(Envelope(headers, [Item("client_report", report)]))
        return True

    def stop_retrying(self) -> None:
        """Cut pauses short: what is tried now is tried for the last time. From any thread."""
        self._closing.set()

    def close(self, timeout: float | None) -> None:
        """Send the last client report and close the connection, unless the client was given to `init`."""
        self._closing.set()
        with guard("delivery", "the transport could not be closed"):
            self.flush(timeout)
            if self._client is not None and self._client is not self._given_client:
                self._client.close()


def _pause_s(attempt: int) -> float:
    longest: float = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 4 ** (attempt - 1))
    return random.uniform(0.5, 1.0) * longest
