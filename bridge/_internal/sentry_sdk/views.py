"""Views: what sentry-sdk sees where a span of OpenTelemetry's API is active; what is written to one goes to the span.

A span has one view, kept on it (`counterpart`), so that `scope.span is scope.span`.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import sentry_sdk
from opentelemetry import trace as trace_api
from opentelemetry.trace import SpanKind

from bridge._internal.semantics.inference import infer
from bridge._internal.sentry_sdk import private
from bridge._internal.sentry_sdk.companions import PLAIN, LinkedId, behind, is_view, own_span_of
from bridge._internal.tracing.span import Span as BridgeSpan
from bridge._internal.tracing.span import parent_span_id_of, status_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

    from bridge._internal.semantics.inference import Semantics
    from bridge._internal.tracing.segment import Segment


def view_of(otel: Any) -> Any:
    """Return what sentry-sdk sees of an OpenTelemetry span: its own span, or a view; `None` where it sees none."""
    if otel is None or not isinstance(otel, trace_api.Span):
        return None
    otel = behind(otel)
    counterpart = getattr(otel, "counterpart", None)
    streaming = private.streams(sentry_sdk.get_client().options)
    if counterpart is not None and (private.is_stream(counterpart) == streaming or not is_view(counterpart)):
        return own_span_of(otel) if not is_view(counterpart) else counterpart
    segment: Segment | None = getattr(otel, "_bridge_segment", None)
    if segment is None or otel.get_span_context().is_remote:
        return None
    made: Any
    if streaming:
        made = _streamed_view(otel, segment)
    else:
        made = TransactionView(otel) if behind(segment.root) is otel else SpanView(otel)
    otel.counterpart = made
    return made


class _Facts:
    """What a view is made of."""

    __slots__ = ("common", "semantics")

    def __init__(self, otel: Any) -> None:
        context = otel.get_span_context()
        attributes = getattr(otel, "attributes", None) or {}
        self.semantics: Semantics = infer(
            getattr(otel, "name", "") or "",
            getattr(otel, "kind", SpanKind.INTERNAL),
            dict(attributes),
            custom_name=getattr(otel, "custom_name", False),
        )
        parent = parent_span_id_of(otel)
        self.common: Mapping[str, Any] = {
            "trace_id": f"{context.trace_id:032x}",
            "span_id": LinkedId(f"{context.span_id:016x}", otel, is_view=True),
            "parent_span_id": None if parent is None else f"{parent:016x}",
            "sampled": otel._bridge_segment.sampled,
            "op": self.semantics.op,
            "origin": getattr(otel, "origin", "auto.otel"),
        }


class _View(private.Span):
    """What the two kinds have in common. A folded view stands for a span that sentry-sdk started once more."""

    __slots__ = ()

    _span_id: LinkedId

    @property
    def otel(self) -> Any:
        """The span that this is a view of."""
        return self._span_id.otel

    def set_data(self, key: str, value: Any) -> None:
        private.Span.set_data(self, key, value)
        if not key.startswith("thread.") and key != "profiler_id":  # of whoever looks first, not of the span
            self.otel.set_attribute(key, value if isinstance(value, PLAIN) else str(value))

    def update_data(self, data: dict[str, Any]) -> None:
        for key, value in data.items():
            self.set_data(key, value)

    def set_tag(self, key: str, value: Any) -> None:
        private.Span.set_tag(self, key, value)
        if isinstance(self.otel, BridgeSpan):
            self.otel.set_tag(key, value)
        else:
            self.otel.set_attribute(key, str(value))

    def set_status(self, value: str) -> None:
        private.Span.set_status(self, value)
        if self.otel.is_recording():
            self.otel.set_status(status_of(str(value)))

    def set_measurement(self, name: str, value: float, unit: Any = "") -> None:
        if isinstance(self.otel, BridgeSpan):
            self.otel.set_measurement(name, value, unit)
        else:
            self.otel.set_attribute(name, value)

    def set_flag(self, flag: str, result: bool) -> None:
        private.Span.set_flag(self, flag, result)
        self.otel.set_attribute(flag, result)

    def __enter__(self) -> Self:
        if self._span_id.folded:
            self.otel._bridge_segment.hold()
        return self

    def __exit__(self, ty: object, value: object, tb: object) -> None:
        if not self._span_id.folded:
            return
        if value is not None and isinstance(value, Exception):
            self.set_status("internal_error")
        self.otel._bridge_segment.release()

    def finish(self, scope: Any = None, end_timestamp: Any = None, **_: Any) -> None:
        """End the span, unless this is folded: its own API ends it then."""
        if not self._span_id.folded and self.timestamp is None:
            self.timestamp = datetime.now(timezone.utc)
            self.otel.end()


class SpanView(_View):
    """A span below a root."""

    __slots__ = ()

    def __init__(self, otel: Any) -> None:
        facts = _Facts(otel)
        private.Span.__init__(self, name=facts.semantics.description, **facts.common)

    @property
    def containing_transaction(self) -> Any:
        found = view_of(self.otel._bridge_segment.root)
        return found if isinstance(found, private.Transaction) else None


class TransactionView(_View, private.Transaction):
    """A local root."""

    __slots__ = ("_name", "_op", "_source")

    def __init__(self, otel: Any) -> None:
        facts = _Facts(otel)
        self._span_id = facts.common["span_id"]
        self._name: str | None = None
        self._source: str | None = None
        self._op: str | None = None
        private.Transaction.__init__(
            self,
            name=facts.semantics.description,
            source=facts.semantics.source,
            **facts.common,
        )
        self.sample_rate = otel._bridge_segment.decision.sample_rate

    @property
    def name(self) -> str:
        return self._name or ""

    @name.setter
    def name(self, value: str) -> None:
        known, self._name = self._name, value
        if known is not None and value != known:
            self.otel.update_name(value)
            if isinstance(self.otel, BridgeSpan):
                self.otel.custom_name = True  # type: ignore[attr-defined]  # of a local span
            else:
                self.otel.set_attribute("sentry.source", self._source or "custom")

    @property
    def source(self) -> str:
        return self._source or "custom"

    @source.setter
    def source(self, value: Any) -> None:
        known, self._source = self._source, str(getattr(value, "value", value))
        if known is not None:
            self.otel.set_attribute("sentry.source", self._source)

    @property
    def op(self) -> str | None:
        return self._op

    @op.setter
    def op(self, value: str | None) -> None:
        known, self._op = self._name, value
        if known is not None and value:
            self.otel.set_attribute("sentry.op", value)

    def get_baggage(self) -> private.Baggage:
        """Return the dynamic sampling context of the root, frozen by this."""
        return private.Baggage(dict(self.otel._bridge_segment.dsc()), mutable=False)

    _get_baggage = get_baggage

    def contexts(self) -> dict[str, Any]:
        """Return what `set_context` was given."""
        return self._contexts

    def _possibly_started(self) -> bool:
        return True


class _WriteThrough(dict[str, Any]):
    """The attributes of a streamed view: what is written goes to the span too."""

    def __init__(self, otel: Any, known: Mapping[str, Any]) -> None:
        super().__init__(known)
        self._otel = otel

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        if isinstance(value, PLAIN):
            self._otel.set_attribute(key, value)


def _streamed_view(otel: Any, segment: Segment) -> Any:
    """Return a span of sentry-sdk's very class: it asks `type(span) is StreamedSpan` in many places."""
    facts = _Facts(otel)
    root = behind(segment.root)
    sampled = segment.sampled is True and segment.recording
    made: Any = object.__new__(private.StreamedSpan if sampled else private.NoOpStreamedSpan)
    made._name, made._span_id = facts.semantics.description, facts.common["span_id"]
    made._trace_id, made._parent_span_id = facts.common["trace_id"], facts.common["parent_span_id"]
    known = {"sentry.op": facts.common["op"], "sentry.origin": facts.common["origin"]}
    if root is otel:
        known["sentry.segment.name.source"] = facts.semantics.source
    made._attributes = _WriteThrough(otel, {key: value for key, value in known.items() if value})
    made._segment = made if root is otel or root is None else view_of(root)
    made._baggage = private.Baggage(dict(segment.dsc()), mutable=False) if made._segment is made else None
    made._parent_sampled = made._sample_rand = made._sample_rate = made._scope = None
    if sampled:
        made._active, made._status, made._end_timestamp, made._continuous_profile = True, "ok", None, None
        made._start_timestamp, made._start_timestamp_monotonic_ns = datetime.now(timezone.utc), 0
    else:
        made._sampled, made._unsampled_reason, made._finished = segment.sampled, None, False
    return made
