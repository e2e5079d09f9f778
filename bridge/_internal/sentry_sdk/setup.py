"""What is in force between the two SDKs: whose options, which tracer, where segments go."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sentry_sdk

from bridge._internal.dsn import Dsn
from bridge._internal.sentry_sdk import private
from bridge._internal.tracing.provider import TracerProvider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.trace import Tracer

    from bridge._internal.client import Client
    from bridge._internal.delivery.outcomes import Outcomes
    from bridge._internal.options import Options
    from bridge._internal.tracing.segment import SegmentSink


_SHARED = (
    *("release", "environment", "dist", "server_name", "org_id", "traces_sample_rate", "traces_sampler"),
    *("trace_propagation_targets", "send_default_pii", "max_breadcrumbs", "before_send", "before_send_transaction"),
    *("before_send_span", "before_breadcrumb", "ignore_spans", "max_spans", "trace_lifecycle", "shutdown_timeout"),
)
"""Options that both take: sentry-sdk's are in force."""


class Setup:
    """The client of the bridge, and what it goes by while the two SDKs are one."""

    def __init__(self, client: Client, sink: SegmentSink, *, decides: bool) -> None:
        """`decides`: sentry-sdk's rate decides; else the bridge's own does."""
        self.client = client
        self.sink = sink
        self.decides = decides
        self.own = client.options
        self.folds = decides and client.options.fold
        self._known: tuple[Any, Options] | None = None

    @property
    def tracer(self) -> Tracer:
        """The tracer that companions are made with."""
        return self.client.tracer

    @property
    def outcomes(self) -> Outcomes:
        """The books of the bridge's client."""
        return self.client.sender.outcomes

    @property
    def is_observed(self) -> bool:
        """Whether processors of OpenTelemetry's are told of spans."""
        provider = self.client.tracer_provider
        return not isinstance(provider, TracerProvider) or provider.has_processors

    def options(self) -> Options:
        """Return the options of the sentry-sdk client that is active here, as the bridge has them."""
        active = sentry_sdk.get_client()
        known = self._known
        if known is None or known[0] is not active:
            known = self._known = (active, self.options_of(active) if active.is_active() else self.own)
        return known[1]

    def conflicts(self) -> Iterator[str]:
        """Name the options that both were given, with two values; sentry-sdk's are in force."""
        theirs = self.options()
        for name in _SHARED:
            if self.own.sources.get(name) == "argument" and getattr(self.own, name) != getattr(theirs, name):
                yield name

    def forget(self) -> None:
        """Read the options anew: sentry-sdk has another client."""
        self._known = None

    def options_of(self, sdk: Any) -> Options:
        """Return the bridge's options where those of a sentry-sdk client that both have are in force."""
        theirs: Mapping[str, Any] = sdk.options
        own = self.own
        targets = theirs.get("trace_propagation_targets")
        made = replace(
            own,
            dsn=Dsn.parse(str(sdk.dsn)) if sdk.dsn else None,
            release=theirs.get("release"),
            environment=theirs.get("environment") or own.environment,
            dist=theirs.get("dist"),
            server_name=theirs.get("server_name"),
            org_id=private.org_id_of(sdk),
            send_default_pii=bool(theirs.get("send_default_pii")),
            max_breadcrumbs=theirs.get("max_breadcrumbs", own.max_breadcrumbs),
            max_spans=private.max_spans(theirs),
            strict_trace_continuation=bool(theirs.get("strict_trace_continuation")),
            trace_propagation_targets=None if targets is None else _targets(targets),
            trace_lifecycle="stream" if private.streams(theirs) else "static",
            shutdown_timeout=float(theirs.get("shutdown_timeout", own.shutdown_timeout)),
            before_send=None,
            before_send_transaction=None,
            before_send_span=None,
            before_breadcrumb=theirs.get("before_breadcrumb"),
        )
        if not self.decides:
            return made
        return replace(
            made,
            traces_sample_rate=theirs.get("traces_sample_rate"),
            traces_sampler=theirs.get("traces_sampler"),
        )


def _targets(patterns: Any) -> Any:
    """Return targets as the bridge takes them: sentry-sdk's texts are patterns."""
    compiled = [re.compile(one) if isinstance(one, str) else one for one in patterns]
    return None if any(one.pattern == ".*" for one in compiled) else compiled


_setup: Setup | None = None


def put_in_force(setup: Setup | None) -> None:
    """Put a set-up in force, or none."""
    global _setup
    _setup = setup


def in_force() -> Setup:
    """Return the set-up in force; only what is taken while there is one asks."""
    assert _setup is not None
    return _setup


def is_in_force() -> bool:
    """Whether the two SDKs share a world."""
    return _setup is not None
