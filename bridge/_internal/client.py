"""Client: options, provider, capture and delivery wired together."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from opentelemetry import trace as trace_api

from bridge._internal import active
from bridge._internal.capture.errors import ErrorCapture
from bridge._internal.capture.span_sink import SpanSink
from bridge._internal.capture.transaction import PayloadOptions
from bridge._internal.delivery.sender import Sender
from bridge._internal.guard import guard
from bridge._internal.integrations.instrumentors import Instrumentations
from bridge._internal.propagation.propagator import SentryPropagator
from bridge._internal.sampling.sampler import SentrySampler
from bridge._internal.semantics.privacy import Privacy
from bridge._internal.version import __version__

if TYPE_CHECKING:
    from bridge._internal.delivery.observer import DeliveryObserver
    from bridge._internal.delivery.outcomes import Accounting
    from bridge._internal.dsn import Dsn
    from bridge._internal.integrations.instrumentors import Instrumentation
    from bridge._internal.options import Options


class Client:
    """What `init` makes: it decides nothing and measures nothing, it carries what was recorded to Sentry.

    `tracer` and `tracer_provider` are OpenTelemetry's; `options` says what is in force.
    """

    def __init__(self, options: Options, observer: DeliveryObserver | None = None) -> None:
        self.options = options
        self.tracer_provider: trace_api.TracerProvider = trace_api.NoOpTracerProvider()
        self._tracer: trace_api.Tracer | None = None
        payload_options = PayloadOptions(
            release=options.release,
            environment=options.environment,
            dist=options.dist,
            server_name=options.server_name or socket.gethostname(),
            privacy=Privacy(send_default_pii=options.send_default_pii, scrub_names=options.scrub_names),
            cache_prefixes=options.cache_prefixes,
        )
        # What the other modules of the bridge use, in the order in which something recorded passes through.
        self.instrumentors = Instrumentations(
            options.instrumentations, carries_context=options.patch_threads, cache_prefixes=options.cache_prefixes
        )
        self.propagator = SentryPropagator()
        self.sender = Sender(options, observer, before_tick=self._send_waiting)
        self.errors = ErrorCapture(options, payload_options, self.sender)
        self.decides_twice = options.decides_twice
        self.sampler = SentrySampler(
            options.traces_sample_rate,
            options.traces_sampler,
            lowering=self.sender.backpressure.factor,
            follows_client=False,
        )
        self.sink = SpanSink(options, payload_options, self.sender, self.errors.capture_exception)

    @property
    def dsn(self) -> Dsn | None:
        """Where this client sends to."""
        return self.options.dsn

    @property
    def transport(self) -> object:
        """What sends: what was given to `init`, else the HTTP transport; `None` where nobody would get anything."""
        return self.sender.transport if self.options.transport is None else self.options.transport

    @property
    def trace_provider(self) -> trace_api.TracerProvider:
        """Another name for `tracer_provider`."""
        return self.tracer_provider

    @property
    def tracer(self) -> trace_api.Tracer:
        """The OpenTelemetry tracer that `start_span` uses."""
        # Kept: the SDK's get_tracer takes a lock and changes the warning filters at every call.
        if self._tracer is None:
            self._tracer = self.tracer_provider.get_tracer("bridge", __version__)
        return self._tracer

    def instrumentations(self) -> tuple[Instrumentation, ...]:
        """Return what became of each instrumentation that `init` was given, or found with `"auto"`."""
        return self.instrumentors.report()

    def accounting(self) -> Accounting:
        """Return where the spans are that were started sampled, since `init`."""
        self.sink.count_started()
        return self.sender.outcomes.accounting()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything recorded so far was sent, at most `timeout` seconds (`shutdown_timeout` by default).

        `True` if it was; `True` at once with nothing to send.
        """
        with guard("client", "flushing failed"):
            if active.guest is not None:
                return active.guest.flush(self.options.shutdown_timeout if timeout is None else timeout)
        return self.sink.flush(timeout)

    def close(self, timeout: float | None = None) -> None:
        """Send what there is, at most `timeout` seconds (`shutdown_timeout` by default), and stop."""
        if self.sender.is_closed:
            return
        seconds = self.options.shutdown_timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        with guard("client", "closing failed"):
            self.sink.hand_over()
            self.sender.worker.flush(seconds)
            self.sender.is_closed = True
            self.sink.close()
            self.sender.close(deadline)

    def _send_waiting(self) -> None:
        self.sink.send_waiting()
