"""An exception that leaves the block of a span: what is recorded on the span, whichever API made it active.

Blocks of Sentry's API (`start_span`, `@trace`, `use_span` of our spans) end by Sentry's rules, those of OpenTelemetry's
API (`start_as_current_span`, spans of other providers) as the SDK's own. The block of a span that a native tracer's
`start_span` returned is the SDK's: `RecordingSpan.__exit__` calls it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Status, StatusCode

from bridge._internal.tracing.error_origin import note_span_of_error

if TYPE_CHECKING:
    from opentelemetry.trace import Span


def is_error(error: BaseException) -> bool:
    """Whether an exception that leaves a block means that the block failed."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return not isinstance(error, asyncio.CancelledError | GeneratorExit)


def record_block_error(span: Span, error: BaseException) -> None:
    """Record an exception that leaves a block by Sentry's rules.

    A cancelled task and a closed generator did not fail; a status that was set before stays.
    """
    if not is_error(error) or (isinstance(span, ReadableSpan) and span.end_time is not None):
        return
    note_span_of_error(error, span)
    if not span.is_recording():
        return
    span.record_exception(error, escaped=True)
    if not isinstance(span, ReadableSpan) or span.status.status_code is StatusCode.UNSET:
        span.set_status(_error_status(error))


def record_block_error_as_otel(
    span: Span, error: BaseException, *, record_exception: bool = True, set_status_on_exception: bool = True
) -> None:
    """Record an exception that leaves a block as OpenTelemetry's `use_span` does: if it is an `Exception`."""
    if not isinstance(error, Exception):
        return
    note_span_of_error(error, span)
    if not span.is_recording():
        return
    if record_exception:
        span.record_exception(error)
    if set_status_on_exception:
        span.set_status(_error_status(error))


def _error_status(error: BaseException) -> Status:
    return Status(StatusCode.ERROR, f"{type(error).__name__}: {error}")
