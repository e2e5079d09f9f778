"""A copy of every envelope for a local user interface: Spotlight, or anything that takes envelopes by POST."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from bridge._internal.delivery.transport import Transport

if TYPE_CHECKING:
    import httpx

    from bridge._internal.delivery.envelope import Envelope

logger = logging.getLogger("bridge.delivery")
_TIMEOUT_S = 2.0
_FIRST_BACK_OFF_S = 1.0
_LONGEST_BACK_OFF_S = 60.0


class SpotlightTransport(Transport):
    """Sends each envelope to the local address as well, and then to the transport behind it, if there is one.

    The copy is a courtesy: it is neither retried nor counted, and after a failure none is tried for a while.
    Called by the worker thread only.
    """

    def __init__(self, url: str, behind: Transport | None) -> None:
        self._url = url
        self.behind = behind
        self._client: httpx.Client | None = None
        self._resume_at = 0.0
        self._back_off_s = _FIRST_BACK_OFF_S

    def send(self, envelope: Envelope) -> None:
        """Send the envelope to both."""
        if time.monotonic() >= self._resume_at:
            self._copy(envelope.serialize())
        if self.behind is not None:
            self.behind.send(envelope)

    def _copy(self, body: bytes) -> None:
        import httpx

        if self._client is None:
            self._client = httpx.Client(timeout=_TIMEOUT_S, trust_env=False)
        try:
            response = self._client.post(
                self._url, content=body, headers={"Content-Type": "application/x-sentry-envelope"}
            )
            response.raise_for_status()
        except httpx.HTTPError as error:
            logger.debug("spotlight at %s did not take an envelope: %s", self._url, error)
            self._resume_at = time.monotonic() + self._back_off_s
            self._back_off_s = min(2 * self._back_off_s, _LONGEST_BACK_OFF_S)
        else:
            self._back_off_s = _FIRST_BACK_OFF_S

    def stop_retrying(self) -> None:
        if self.behind is not None:
            self.behind.stop_retrying()

    def is_limited(self, category: str) -> bool:
        return self.behind is not None and self.behind.is_limited(category)

    def flush(self, timeout: float | None) -> bool:
        """Flush the transport behind."""
        return self.behind is None or self.behind.flush(timeout)

    def close(self, timeout: float | None) -> None:
        """Close both."""
        if self._client is not None:
            self._client.close()
        if self.behind is not None:
            self.behind.close(timeout)
