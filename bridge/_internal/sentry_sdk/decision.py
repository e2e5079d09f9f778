"""The decision for roots of OpenTelemetry's API: by the options of the sentry-sdk client that is active there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import sentry_sdk

from bridge._internal.guard import report_fault
from bridge._internal.sampling.sampler import SentrySampler
from bridge._internal.sentry_sdk import private

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def sampler_by_sentry_sdk() -> SentrySampler:
    """Return the sampler: the bridge's, which asks sentry-sdk's options at each root."""
    return SentrySampler(0.0, _rate_of, lowering=_lowering)


def _rate_of(context: Mapping[str, Any]) -> float | None:
    """Return the rate of a root; `None` leaves the decision to the upstream, or drops."""
    options = sentry_sdk.get_client().options
    if not private.has_tracing_enabled(options):
        return 0.0
    traces_sampler = options.get("traces_sampler")
    if callable(traces_sampler):
        return _asked(traces_sampler, context)
    if context["parent_sampled"] is not None:
        return None
    rate: Any = options.get("traces_sample_rate")
    return float(rate) if _is_rate(rate) else 0.0


def _asked(traces_sampler: Callable[[Any], Any], context: Mapping[str, Any]) -> float:
    """Ask the user's sampler; as in sentry-sdk, one that raises or answers nonsense drops."""
    custom = private.custom_sampling_context(private.Scope.get_current_scope())
    try:
        answer = traces_sampler({**context, **custom})
    except Exception as error:  # a user's callback
        report_fault("sentry_sdk", "traces_sampler raised; the trace was dropped", error)
        return 0.0
    return float(answer) if _is_rate(answer) else 0.0


def _is_rate(value: Any) -> bool:
    return isinstance(value, bool | int | float) and math.isfinite(value) and 0 <= value <= 1


def _lowering() -> float:
    """Return the factor that sentry-sdk's monitor lowers rates by at the moment."""
    monitor = getattr(sentry_sdk.get_client(), "monitor", None)
    return 1.0 if monitor is None else float(1 / 2**monitor.downsample_factor)
