"""FinishedSpan: what payloads read of a span that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanKind, Status


class FinishedSpan(Protocol):
    """What is read of a span that has ended."""

    is_local_root: bool
    was_left_by_error: bool

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> SpanKind: ...
    @property
    def attributes(self) -> Any: ...
    @property
    def status(self) -> Status: ...
    @property
    def start_time(self) -> int | None: ...
    @property
    def end_time(self) -> int | None: ...
    @property
    def events(self) -> Sequence[Event]: ...
    @property
    def links(self) -> Sequence[Link]: ...
    @property
    def resource(self) -> Resource: ...
    @property
    def instrumentation_scope(self) -> InstrumentationScope | None: ...
    @property
    def trace_id(self) -> str: ...
    @property
    def span_id(self) -> str: ...
    @property
    def parent_span_id(self) -> str | None: ...
    @property
    def tags(self) -> Mapping[str, object]: ...
    @property
    def measurements(self) -> Mapping[str, Mapping[str, float | str]]: ...
    @property
    def origin(self) -> str: ...
    @property
    def custom_name(self) -> bool: ...
    def transaction_name(self) -> str | None: ...


EndedSpan: TypeAlias = "FinishedSpan | ReadableSpan"
"""An ended span as its segment keeps it; an adopted child of another provider is read as ours in the worker only."""
