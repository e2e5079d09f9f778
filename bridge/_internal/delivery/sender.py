"""Sender: what everything that leaves goes through: users' hooks, envelopes, the worker, the transport."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from bridge._internal.delivery import outcomes as reasons
from bridge._internal.delivery.envelope import SPAN_CATEGORY, Envelope, envelope_headers
from bridge._internal.delivery.observer import DeliveryObserver
from bridge._internal.delivery.worker import Worker
from bridge._internal.guard import guard, report_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge._internal.capture.transaction import PayloadOptions
    from bridge._internal.delivery.envelope import Item
    from bridge._internal.delivery.outcomes import Outcomes
    from bridge._internal.delivery.transport import Transport
    from bridge._internal.options import Options

_MAX_QUEUE = 1000
_MAX_QUEUED_SPANS = 100_000
"""Jobs, and spans in them, that may wait for the worker; past that they are counted as `queue_overflow`."""


TICK_EVERY_S = 5.0
"""How long spans that are streamed wait at most."""


class Sender:
    """Carries what was recorded to the transport, from one thread; what does not arrive is counted."""

    def __init__(
        self,
        options: Options,
        payload_options: PayloadOptions,
        outcomes: Outcomes,
        transport: Transport | None,
        *,
        tick: Callable[[], None] | None = None,
        observer: DeliveryObserver | None = None,
    ) -> None:
        self.options = options
        self.payload_options = payload_options
        self.outcomes = outcomes
        self.transport = transport
        self.observer = observer or DeliveryObserver()
        self.worker = Worker(
            "bridge-delivery",
            max_jobs=_MAX_QUEUE,
            max_weight=_MAX_QUEUED_SPANS,
            tick=tick,
            tick_every_s=TICK_EVERY_S,
        )

    def submit(self, job: Callable[[], Sequence[Envelope]], losses: Mapping[str, int]) -> bool:
        """Have a job make envelopes and send them, in the worker's thread. What is lost with it is `losses`.

        What a job left out of its envelopes, it has counted.
        """
        if self.worker.submit(partial(self._run, job, losses), losses.get(SPAN_CATEGORY, 0)):
            return True
        self.lose(reasons.QUEUE_OVERFLOW, losses)
        return False

    def _run(self, job: Callable[[], Sequence[Envelope]], losses: Mapping[str, int]) -> None:
        try:
            envelopes = job()
        except Exception as error:
            self.lose(reasons.INTERNAL_SDK_ERROR, losses)
            with guard("capture", "what was recorded could not be made into an envelope"):
                raise error
            return
        for envelope in envelopes:
            self.observer.sent(envelope)
            if self.transport is not None:
                self.transport.send(envelope)

    def lose(self, reason: str, losses: Mapping[str, int]) -> None:
        """Count losses, as category -> quantity."""
        for category, quantity in losses.items():
            self.outcomes.lost(reason, category, quantity)

    def envelope(self, dsc: Mapping[str, str], items: list[Item], event_id: str | None = None) -> Envelope:
        """Return an envelope for items of one trace."""
        return Envelope(envelope_headers(self.options.dsn, dsc, event_id), items)

    @staticmethod
    def ask_hook(
        hook: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any] | None] | None,
        name: str,
        payload: dict[str, Any],
        hint: dict[str, Any],
    ) -> dict[str, Any] | None:
        """Return what a user's hook makes of a payload, `None` to drop it; one that fails is reported and ignored."""
        if hook is None:
            return payload
        try:
            answer = hook(payload, hint)
        except Exception as error:  # a user's callback
            report_fault("capture", f"{name} raised; the event was sent as it was", error)
            return payload
        if answer is not None and not isinstance(answer, dict):
            report_fault(
                "capture",
                f"{name} returned something else than an event or None; the event was sent as it was",
                TypeError(f"{name} returned {answer!r}"),
            )
            return payload
        return answer


CHECK_EVERY_S = 10.0
MAX_HALVINGS = 10


class Backpressure:
    """Says by what factor the rate of new traces is lowered: halved at each check that finds delivery unhealthy.

    The first check that finds it healthy again ends that. It is checked when it is asked, at most every
    `check_every_s`, so it needs no thread. The rule is that of Sentry's SDKs.
    """

    def __init__(
        self,
        is_healthy: Callable[[], bool],
        *,
        check_every_s: float = CHECK_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_healthy = is_healthy
        self.check_every_s = check_every_s
        self._clock = clock
        self.next_check = clock() + check_every_s
        self._halvings = 0

    def factor(self) -> float:
        """Return 1.0 while delivery is healthy, else 0.5, 0.25 and so on, at least `0.5 ** MAX_HALVINGS`."""
        now = self._clock()
        if now >= self.next_check:
            # Two threads may both come here; then it is halved once more than it had to be, once.
            self.next_check = now + self.check_every_s
            self._halvings = 0 if self._is_healthy() else min(self._halvings + 1, MAX_HALVINGS)
        return 0.5**self._halvings
