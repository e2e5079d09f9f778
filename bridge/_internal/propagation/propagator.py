"""SentryPropagator: Sentry's headers beside OpenTelemetry's, whichever propagators do those."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import baggage
from opentelemetry import context as context_api
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter, TextMapPropagator, default_getter, default_setter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bridge._internal import active
from bridge._internal.context.context_values import active_span, with_span, without_span
from bridge._internal.context.runtime import SCOPES_KEY
from bridge._internal.context.scope import (
    RequestSpanContext,
    base_scopes,
    find_scopes,
    remember_scopes,
    with_scopes,
)
from bridge._internal.guard import guard, report_fault
from bridge._internal.options import Options
from bridge._internal.otel_private import RANDOM_TRACE_FLAG, SPAN_KEY
from bridge._internal.propagation.trace_link import link_of
from bridge._internal.sampling.upstream import RemoteSpan, Upstream, upstream_from_w3c
from bridge._internal.semantics.inference import outgoing_url
from bridge._internal.tracing.light_spans import FoldedSpan, NoOpSpan, UnsampledSpan
from bridge._internal.tracing.segment import segment_of
from bridge._internal.tracing.segment_parent import segment_parent_in
from bridge._internal.tracing.suppression import is_suppressed
from bridge._internal.wire.baggage import (
    BAGGAGE,
    MAX_BYTES,
    SENTRY_PREFIX,
    Dsc,
    merge_baggage,
    split_baggage,
    split_reencoded,
)
from bridge._internal.wire.carrier import (
    AUTHORIZATION,
    READ,
    TRACEPARENT,
    as_mapping,
    header_text,
    name_on,
    read_header,
    remove_header,
    replace_header,
    written_headers,
)
from bridge._internal.wire.sample_rand import parse_sample_rand, parse_sample_rate
from bridge._internal.wire.sentry_trace import SENTRY_TRACE, format_sentry_trace, parse_sentry_trace
from bridge._internal.wire.sigv4 import signed_headers
from bridge._internal.wire.targets import Targets
from bridge._internal.wire.tracestate import SENTRY_MEMBER, TRACESTATE, format_tracestate, parse_tracestate

if TYPE_CHECKING:
    from opentelemetry.propagators.textmap import CarrierT, Setter

    from bridge._internal.wire.sentry_trace import SentryTrace

_DEFAULTS = Options()


class SentryPropagator(TextMapPropagator):
    """Writes and reads `sentry-trace` and `baggage`, around the propagators that were there before.

    What it wraps runs first, into a carrier of our own, and the result is written once: so nothing depends on an
    order, user baggage and `traceparent` stay, and no header is ever written twice. Never raises. Given nothing to
    wrap, it wraps OpenTelemetry's own two, for `traceparent`, `tracestate` and the user's baggage.

    It goes by the options that it is given, else by those of the active client.
    """

    def __init__(self, wrapped: TextMapPropagator | None = None, *, options: Options | None = None) -> None:
        self.wrapped = _default_propagator() if wrapped is None else wrapped
        self._options = options
        self._targets: tuple[Options, Targets | None] | None = None

    @property
    def options(self) -> Options:
        """Those that were given, else those of the active client."""
        return self._options or active.options() or _DEFAULTS

    @property
    def _decides_twice(self) -> bool:
        if self._options is not None:
            return self._options.decides_twice
        return active.client is not None and active.client.decides_twice

    @property
    def fields(self) -> set[str]:
        """The headers that `inject` may write."""
        return {SENTRY_TRACE, BAGGAGE} | set(self.wrapped.fields)

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write the headers of the trace that the Context, or the current one, belongs to."""
        is_current = context is None
        if context is None:
            context = context_api.get_current()
        with guard("propagation", "headers could not be written"):
            present = written_headers(carrier)
            goes_out = not is_suppressed(context) and self._is_target(context, self.options)
            if written := present.get(SENTRY_TRACE):
                is_forwarded = _is_forwarded(written, carrier, context)
                if not goes_out and not is_forwarded:
                    _remove_own_headers(carrier, context, written, present)
                if not goes_out or not is_forwarded:
                    return
            headers = self.headers_of_others(context)
            self._add_sentry_headers(headers, context, present, goes_out=goes_out, is_current=is_current)
            signed = signed_headers(present.get(AUTHORIZATION, ""))
            for name, value in headers.items():
                if not signed or name.lower() not in signed:
                    setter.set(carrier, name_on(carrier, name) if present else name, value)
            span = active_span(context)
            if active.guest is not None and span is not None and SENTRY_TRACE in headers:
                active.guest.headers_written(span)

    def headers_of_others(self, context: Context) -> dict[str, str]:
        """Return what the propagators that this one wraps write of a Context: W3C's headers, and the user's baggage."""
        headers: dict[str, str] = {}
        try:
            self.wrapped.inject(headers, context, default_setter)
        except Exception as error:  # another propagator
            report_fault("propagation", "a wrapped propagator raised when it injected", error)
        return headers

    def _add_sentry_headers(
        self,
        headers: dict[str, str],
        context: Context,
        present: dict[str, str],
        *,
        goes_out: bool,
        is_current: bool,
    ) -> None:
        theirs = (present.get(BAGGAGE, ""), headers.get(BAGGAGE, ""))
        if not goes_out:
            _remove_sentry_members(headers)
            if baggage := merge_baggage("", *theirs):
                headers[BAGGAGE] = baggage
            return
        link = link_of(context, self.options, is_current=is_current)
        headers[SENTRY_TRACE] = format_sentry_trace(link.trace_id, link.span_id, link.sampled)
        if baggage := merge_baggage(link.dsc.text, *theirs):
            headers[BAGGAGE] = baggage
        if link.state and TRACEPARENT in headers:
            _set_sentry_member(headers, link.state)

    def _is_target(self, context: Context, options: Options) -> bool:
        """Match the URL of a CLIENT span; what has none (a message, a job, our own URL as a server) is always one."""
        targets = self._targets_of(options)
        if targets is None:
            return True
        span = active_span(context)
        if type(span) is NoOpSpan and not span.propagates:
            return False
        url = ""
        if isinstance(span, ReadableSpan | UnsampledSpan | FoldedSpan) and span.kind is SpanKind.CLIENT:
            url = outgoing_url(span.attributes or {}) or ""
        return targets.matches(url) if url else targets.any

    def _targets_of(self, options: Options) -> Targets | None:
        """Return what URLs are matched with, made once for each client; `None` where every one is a target."""
        known = self._targets
        if known is None or known[0] is not options:
            dsn, wanted = options.dsn, options.trace_propagation_targets
            made = (
                None if dsn is None and wanted is None else Targets(wanted, None if dsn is None else dsn.is_own_request)
            )
            known = self._targets = (options, made)
        return known[1]

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """Return the Context of a request: the upstream's span as parent, in an isolation scope of its own.

        Headers of the request that runs here already, as the local root continues them, begin no other: the second of
        two instrumentations gets the Context in force.
        """
        before = Context() if context is None else context
        extracted = before
        with guard("propagation", "headers could not be read"):
            header = parse_sentry_trace(_header(carrier, SENTRY_TRACE, getter))
            dsc, others = _baggage(carrier, getter, reencoded=header is None)
            extracted = self._wrapped_extract(carrier, context, others)
            return self._continue(before, extracted, header, dsc, from_nothing=context is None)
        return extracted

    def _wrapped_extract(self, carrier: object, context: Context | None, getter: _TextGetter) -> Context:
        try:
            return self.wrapped.extract(carrier, context, getter)
        except Exception as error:  # another propagator, given a header that it cannot read
            report_fault("propagation", "a wrapped propagator raised when it extracted", error)
        return Context() if context is None else context

    def _continue(
        self, before: Context, extracted: Context, header: SentryTrace | None, dsc: Dsc, *, from_nothing: bool
    ) -> Context:
        options = self.options
        w3c = _w3c_parent(before, extracted)
        extracted = _without_sentry_baggage(extracted)
        around = context_api.get_current() if find_scopes(before) is None else before
        if header is None and w3c is None:
            if from_nothing and active.guest is not None and active.guest.has_begun(context_api.get_current()):
                return _with_what_is_active(extracted)
            forked = _forked(extracted, None, around)
            return forked if extracted or not from_nothing else _NothingExtracted(forked)
        if not options.trust_upstream:
            return _forked(without_span(extracted), None, around, link=_sender(header, w3c))
        if not may_continue(dsc.get("org_id"), options.effective_org_id, options.strict_trace_continuation):
            return _forked(without_span(extracted), None, around)
        remote = _remote_span(header, dsc, w3c, decides_twice=self._decides_twice)
        if from_nothing and active.guest is not None and _is_continued_by(context_api.get_current(), remote):
            return _with_what_is_active(extracted)
        return _forked(extracted, remote, around)


def _is_continued_by(context: Context, remote: RemoteSpan) -> bool:
    """Whether the local root that is active in a Context is the child of this upstream's span."""
    segment = segment_of(active_span(context))
    if segment is None or segment.upstream_span_id is None:
        return False
    upstream = remote.get_span_context()
    return (segment.trace_id, segment.upstream_span_id) == (upstream.trace_id, upstream.span_id)


def _with_what_is_active(extracted: Context) -> Context:
    """Return the Context in force, with what else was extracted: the user's baggage."""
    others = {key: value for key, value in extracted.items() if key not in (SPAN_KEY, SCOPES_KEY)}
    return Context({**context_api.get_current(), **others})


def may_continue(baggage_org_id: str | None, own_org_id: str | None, strict: bool) -> bool:
    """Compare the organisation in the baggage with our own; `strict` also wants both or neither to be known."""
    if baggage_org_id and own_org_id:
        return baggage_org_id == own_org_id
    return not strict or not (baggage_org_id or own_org_id)


def _sender(header: SentryTrace | None, w3c: SpanContext | None) -> SpanContext | None:
    """Return the span that sent the headers, for a link to it."""
    if header is None:
        return w3c
    return SpanContext(header.trace_id, header.span_id, is_remote=True)


def _default_propagator() -> TextMapPropagator:
    return CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])


class _NothingExtracted(Context):
    """The Context of a request that brought nothing: false, as OpenTelemetry's own propagators make it.

    Instrumentations ask `extract(...) or None` to learn whether there is a parent elsewhere.
    """

    def __bool__(self) -> bool:
        return False


def _remove_own_headers(carrier: object, context: Context, written: str, present: Mapping[str, str]) -> None:
    """Remove the headers of this trace from a carrier: a client copied them to the next hop of a redirect.

    What names another trace was put there by the program, and stays.
    """
    header, parent = parse_sentry_trace(written), active_span(context)
    if header is None or parent is None or header.trace_id != parent.get_span_context().trace_id:
        return
    remove_header(carrier, SENTRY_TRACE)
    others = merge_baggage("", present.get(BAGGAGE, ""))
    replace_header(carrier, BAGGAGE, others)
    state = read_header(as_mapping(carrier), TRACESTATE)
    if state:
        kept = [(key, value) for key, value in parse_tracestate(state) if key != SENTRY_MEMBER]
        replace_header(carrier, TRACESTATE, format_tracestate(kept))


def _is_forwarded(written: str, carrier: object, context: Context) -> bool:
    """Whether the header on a carrier is the one continued here: the program forwards its request's headers.

    A job that is retried is such a one. Its header is replaced where the carrier has it under the very name, so that
    none is written twice.
    """
    scopes = find_scopes(context)
    remote = None if scopes is None else scopes.propagation.remote
    header = parse_sentry_trace(written)
    if remote is None or header is None or isinstance(carrier, list | tuple) or SENTRY_TRACE not in as_mapping(carrier):
        return False
    continued = remote.get_span_context()
    return (header.trace_id, header.span_id) == (continued.trace_id, continued.span_id)


def _baggage(carrier: object, getter: Getter[Any], *, reencoded: bool) -> tuple[Dsc, _TextGetter]:
    """Return the DSC, and a getter that shows the members of others only: the DSC is no baggage of the user's."""
    header = _header(carrier, BAGGAGE, getter) or ""
    if SENTRY_PREFIX not in header:
        return Dsc(), _TextGetter(getter, header)
    dsc, others = split_reencoded(header) if reencoded else split_baggage(header)
    if len(header) > MAX_BYTES and len(dsc.text) > MAX_BYTES:
        dsc = Dsc()  # kept and passed on whole or not at all
    return dsc, _TextGetter(getter, ",".join(others))


class _TextGetter(Getter[Any]):
    """A framework's getter, which gives every header that we know as one text, however the carrier holds it.

    OpenTelemetry's propagators raise at anything else, at a lone surrogate too, and take the others along.
    """

    def __init__(self, getter: Getter[Any], baggage: str) -> None:
        self._getter = getter
        self._baggage = baggage

    def get(self, carrier: object, key: str) -> list[str] | None:
        if key not in READ:
            return self._getter.get(carrier, key)
        text = self._baggage if key == BAGGAGE else _header(carrier, key, self._getter)
        if not text:
            return None
        return [text if text.isascii() else text.encode("utf-8", "replace").decode()]

    def keys(self, carrier: object) -> list[str]:
        return self._getter.keys(carrier)


def _remote_span(header: SentryTrace | None, dsc: Dsc, w3c: SpanContext | None, *, decides_twice: bool) -> RemoteSpan:
    if header is None:
        assert w3c is not None
        return _remote_by_w3c(w3c, dsc)
    same_trace = w3c if w3c is not None and w3c.trace_id == header.trace_id else None
    flags = _flags_beside(header, same_trace, decides_twice=decides_twice)
    context = SpanContext(
        header.trace_id,
        header.span_id,
        is_remote=True,
        trace_flags=TraceFlags(flags),
        trace_state=None if same_trace is None else same_trace.trace_state,
    )
    ours = _dsc_of_trace(dsc, header.trace_id)
    upstream = Upstream(
        header.trace_id,
        header.sampled,
        dsc=ours,
        sample_rate=parse_sample_rate(ours.get("sample_rate")),
        sample_rand=parse_sample_rand(ours.get("sample_rand")),
        trace_state=context.trace_state,
    )
    return RemoteSpan(context, upstream, beside=w3c)


def _remote_by_w3c(w3c: SpanContext, dsc: Dsc) -> RemoteSpan:
    """Return the parent of a trace that crossed a service without Sentry: its DSC may have come along."""
    ours = _dsc_of_trace(dsc, w3c.trace_id) if "trace_id" in dsc else None
    upstream = upstream_from_w3c(w3c, ours or None)
    if ours:
        rate = parse_sample_rate(ours.get("sample_rate"))
        upstream.sample_rand = parse_sample_rand(ours.get("sample_rand")) or upstream.sample_rand
        upstream.sample_rate = upstream.sample_rate if rate is None else rate
    return RemoteSpan(w3c, upstream, beside=w3c)


def _flags_beside(header: SentryTrace, w3c: SpanContext | None, *, decides_twice: bool) -> int:
    """Return W3C flags for a `sentry-trace`: its decision's, or those of `traceparent` that it leaves open.

    Where two samplers decide side by side, OpenTelemetry's goes by the decision of its own side.
    """
    theirs = TraceFlags.DEFAULT if w3c is None else int(w3c.trace_flags)
    if w3c is not None and (decides_twice or header.sampled is None):
        return theirs & (TraceFlags.SAMPLED | RANDOM_TRACE_FLAG)
    return (TraceFlags.SAMPLED if header.sampled else TraceFlags.DEFAULT) | theirs & RANDOM_TRACE_FLAG


def _dsc_of_trace(dsc: Dsc, trace_id: int) -> Dsc:
    """Drop a DSC that belongs to another trace: a stale baggage that was forwarded."""
    dsc_trace_id = dsc.get("trace_id")
    return dsc if dsc_trace_id is None or dsc_trace_id == f"{trace_id:032x}" else Dsc()


def _w3c_parent(before: Context, extracted: Context) -> SpanContext | None:
    """Return the remote parent that a wrapped propagator found in the headers, or one that was asked before us."""
    span = active_span(extracted)
    if span is None or (span is active_span(before) and isinstance(span, RemoteSpan)):
        return None
    context = span.get_span_context()
    return context if context.is_valid and context.is_remote else None


def _forked(
    context: Context, remote: RemoteSpan | None, around: Context, *, link: SpanContext | None = None
) -> Context:
    """Put a fork of the isolation scope in a Context: extracting headers is where a request or a job begins.

    `around` is the Context that has the scopes that are forked; `link` the span that the request's root is linked to.
    """
    scopes, surrounding = find_scopes(around) or base_scopes(), None
    above, span = segment_parent_in(around), active_span(around)
    if above is not None and above.segment.scopes.isolation is scopes.isolation:
        surrounding = above.segment.began_with
    is_inside = span is not None and not span.get_span_context().is_remote
    # What the scopes know of the upstream does not know the scopes: a cycle would wait for the garbage collector.
    owner = context.get(SPAN_KEY) if remote is None else None
    forked = scopes.fork_for_request(owner, remote, is_inside=is_inside, surrounding=surrounding)
    forked.propagation.link = link
    if remote is None:
        return with_scopes(context, forked)
    parent = RemoteSpan(
        RequestSpanContext.of_request(remote.get_span_context(), forked), remote.upstream, beside=remote.beside
    )
    remember_scopes(parent, forked)
    return with_scopes(with_span(without_span(context), parent), forked)


def _header(carrier: object, name: str, getter: Getter[Any]) -> str | None:
    """Read a header through the getter that the framework brought, else from any kind of mapping."""
    found: object = None
    if getter is not default_getter or isinstance(carrier, Mapping):  # the default one reads mappings only
        try:
            found = getter.get(carrier, name)
        except Exception as error:  # a framework's getter, given a carrier that it does not know
            report_fault("propagation", "a getter raised", error)
    if found:
        return header_text(found)
    return read_header(as_mapping(carrier), name)


def _set_sentry_member(headers: dict[str, str], member: str) -> None:
    """Say our decision in the trace state of a span that another provider made."""
    others = [pair for pair in parse_tracestate(headers.get(TRACESTATE, "")) if pair[0] != SENTRY_MEMBER]
    headers[TRACESTATE] = format_tracestate([(SENTRY_MEMBER, member), *others])


def _remove_sentry_members(headers: dict[str, str]) -> None:
    state = headers.get(TRACESTATE)
    if state:
        kept = [(key, value) for key, value in parse_tracestate(state) if key != SENTRY_MEMBER]
        if kept:
            headers[TRACESTATE] = format_tracestate(kept)
        else:
            del headers[TRACESTATE]
    headers.pop(BAGGAGE, None)


def _without_sentry_baggage(context: Context) -> Context:
    """Keep Sentry's members out of the user's OpenTelemetry baggage: the DSC has a place of its own."""
    for name in baggage.get_all(context):
        if name.startswith("sentry-"):
            context = baggage.remove_baggage(name, context)
    return context
