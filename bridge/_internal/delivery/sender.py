"""Sender: the worker and the transport of one client, and what becomes of everything that is given to them."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from bridge._internal.delivery import outcomes as reasons
from bridge._internal.delivery.custom import CountingTransport, CustomTransport
from bridge._internal.delivery.envelope import SPAN_CATEGORY, TRANSACTION_CATEGORY, Envelope, envelope_headers
from bridge._internal.delivery.observer import DeliveryObserver
from bridge._internal.delivery.outcomes import Outcomes
from bridge._internal.delivery.spotlight import SpotlightTransport
from bridge._internal.delivery.transport import HttpTransport
from bridge._internal.delivery.worker import Worker
from bridge._internal.guard import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge._internal.delivery.envelope import Item
    from bridge._internal.delivery.transport import Transport
    from bridge._internal.options import Options

_MAX_QUEUE = 1000
_MAX_QUEUED_SPANS = 100_000
"""Jobs, and spans in them, that may wait for the worker; past that they are counted as `queue_overflow`."""
TICK_EVERY_S = 5.0
"""How long spans that are streamed wait at most."""
CHECK_EVERY_S = 10.0
MAX_HALVINGS = 10


class Sender:
    """Carries what was recorded to the transport, from one thread; what does not arrive is counted."""

    def __init__(self, options: Options, observer: DeliveryObserver | None, before_tick: Callable[[], None]) -> None:
        self._options = options
        self.outcomes = Outcomes()
        self.transport = _transport_for(options, self.outcomes)
        self.observer = observer or DeliveryObserver()
        self.is_observed = observer is not None
        self.is_closed = False
        self._before_tick = before_tick
        self.trace_category = SPAN_CATEGORY if options.trace_lifecycle == "stream" else TRANSACTION_CATEGORY
        """The category that a lost root is counted in."""
        ticks = self.is_observed or options.trace_lifecycle == "stream"
        self.worker = Worker(
            "bridge-delivery",
            max_jobs=_MAX_QUEUE,
            max_weight=_MAX_QUEUED_SPANS,
            tick=self.tick if ticks else None,
            tick_every_s=TICK_EVERY_S,
        )
        self.backpressure = Backpressure(self.is_healthy)
        if self.is_observed:
            self.worker.submit(partial(self.observer.begin, options))

    @property
    def sends(self) -> bool:
        """Whether anything is sent: a DSN, a transport, `spotlight` or `console` was given; not once closed."""
        return self.transport is not None and not self.is_closed

    def is_healthy(self) -> bool:
        """Whether delivery keeps up: the queue was not full, and the server does not refuse traces."""
        is_limited = self.transport is not None and self.transport.is_limited(self.trace_category)
        return not self.worker.was_full() and not is_limited

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
        return Envelope(envelope_headers(self._options.dsn, dsc, event_id), items)

    def tick(self) -> None:
        """Do what is due every few seconds, in the worker's thread."""
        self._before_tick()
        self.observer.tick()

    def flush(self, timeout: float) -> bool:
        """Wait until everything queued so far was sent; `False` if that took longer than `timeout` seconds."""
        deadline = time.monotonic() + timeout
        flushed = self.worker.flush(timeout)
        if self.transport is None:
            return flushed
        return self.transport.flush(_remaining(deadline)) and flushed

    def close(self, deadline: float) -> None:
        """Stop the worker and close the transport, until `deadline` of the monotonic clock."""
        if self.transport is not None:
            self.transport.stop_retrying()
        if self.is_observed:
            self.worker.submit(self.observer.end)
        self.worker.close(_remaining(deadline))
        if self.transport is not None:
            self.transport.close(_remaining(deadline))


def _remaining(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _transport_for(options: Options, outcomes: Outcomes) -> Transport | None:
    transport: Transport | None = None
    if options.transport is not None:
        transport = CustomTransport(options.transport, outcomes)
    elif options.dsn is not None:
        transport = HttpTransport(
            options.dsn,
            outcomes,
            http_client=options.http_client,
            send_client_reports=options.send_client_reports,
        )
    elif options.spotlight is not None or options.console:
        transport = CountingTransport(outcomes)
    if options.spotlight is not None:
        return SpotlightTransport(options.spotlight, transport)
    return transport


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
