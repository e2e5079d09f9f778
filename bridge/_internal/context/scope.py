"""Sentry scopes that live in the OpenTelemetry `Context`, and in nothing else.

A Context carries one entry of ours, `Scopes`: the current scope's data (immutable) and the isolation scope (shared, by
reference). Scopes follow the span and are resolved when they are read, never when a Context is attached:

1. the entry of the Context, if it was written while the Context's span was current (the span is its *owner*);
2. else what that span remembers, which is what was in force in its parent Context when it started;
3. else (no span of ours) the entry, whichever span owns it;
4. else a fresh isolation scope, kept for this attach.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import context as context_api
from opentelemetry.context.context import Context

from bridge._internal import active, sources
from bridge._internal.context.context_values import AnnotatedSpanContext, attached, with_value, without_span
from bridge._internal.context.propagation_context import PropagationContext
from bridge._internal.context.runtime import SCOPED_SPAN_KEY, SCOPES_KEY, scoped_span, trace_id_of
from bridge._internal.guard import report_fault
from bridge._internal.otel_private import SPAN_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from opentelemetry.trace import Span, SpanContext

    Event = dict[str, Any]
    Hook = Callable[[Event, Event], Event | None]
    EventProcessor = Hook

_DEFAULT_MAX_BREADCRUMBS = 100


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with the errors of a scope: its bytes, or a path that is read when it is sent."""

    filename: str
    data: bytes | None = None
    path: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class ScopeData:
    """What a scope adds to events. Never changed, only replaced; the mappings in it are never written to."""

    tags: Mapping[str, object] = field(default_factory=dict)
    user: Mapping[str, object] | None = None
    contexts: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)
    attributes: Mapping[str, object] = field(default_factory=dict)
    level: str | None = None
    fingerprint: Sequence[str] | None = None
    transaction_name: str | None = None
    breadcrumbs: tuple[Mapping[str, object], ...] = ()
    event_processors: tuple[EventProcessor, ...] = ()
    attachments: tuple[Attachment, ...] = ()


EMPTY = ScopeData()


class _Lock:
    """Protects the replacement of every shared scope's data and its claim; reading needs none.

    One for the process, held for one assignment at a time: so a forked child can be given a new one, even
    if another thread of the parent held it at the fork.
    """

    held = threading.Lock()

    @classmethod
    def renew(cls) -> None:
        """Begin anew in a forked child."""
        cls.held = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Lock.renew)


class Scope:
    """One layer of what events are sent with. Writing methods return nothing; reading gives this layer alone."""

    def _read(self) -> ScopeData:
        raise NotImplementedError  # pragma: no cover - every scope that is handed out defines it

    def _write(self, change: Callable[[ScopeData], ScopeData]) -> None:
        raise NotImplementedError  # pragma: no cover - every scope that is handed out defines it

    @property
    def tags(self) -> Mapping[str, Any]:
        """Tags of this layer, read-only."""
        return MappingProxyType(self._read().tags)

    @property
    def user(self) -> Mapping[str, Any] | None:
        """The user of this layer, read-only."""
        user = self._read().user
        return None if user is None else MappingProxyType(user)

    @property
    def contexts(self) -> Mapping[str, Mapping[str, Any]]:
        """Contexts of this layer by name, read-only."""
        return MappingProxyType(self._read().contexts)

    @property
    def extra(self) -> Mapping[str, Any]:
        """Extra data of this layer, read-only."""
        return MappingProxyType(self._read().extra)

    @property
    def level(self) -> str | None:
        """The level that events of this layer get."""
        return self._read().level

    @property
    def breadcrumbs(self) -> Sequence[Mapping[str, Any]]:
        """Breadcrumbs of this layer, oldest first."""
        return self._read().breadcrumbs

    def set_tag(self, key: str, value: object) -> None:
        """Set one tag."""
        self._write(lambda data: replace(data, tags={**data.tags, key: value}))

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set several tags; those that are there already stay."""
        self._write(lambda data: replace(data, tags={**data.tags, **tags}))

    def remove_tag(self, key: str) -> None:
        """Remove one tag; a tag that is not there is no error."""
        self._write(lambda data: replace(data, tags={k: v for k, v in data.tags.items() if k != key}))

    def set_user(self, user: Mapping[str, object] | None) -> None:
        """Set who caused what is sent: `id`, `email`, `username`, `ip_address`; `None` unsets."""
        value = None if user is None else dict(user)
        self._write(lambda data: replace(data, user=value))

    def set_context(self, key: str, value: Mapping[str, object]) -> None:
        """Set a named block of data, shown as a section of its own."""
        block = dict(value)
        self._write(lambda data: replace(data, contexts={**data.contexts, key: block}))

    def set_extra(self, key: str, value: object) -> None:
        """Set one value of the free-form extra data."""
        self._write(lambda data: replace(data, extra={**data.extra, key: value}))

    def set_level(self, level: str | None) -> None:
        """Set the level: `fatal`, `error`, `warning`, `info` or `debug`."""
        self._write(lambda data: replace(data, level=level))

    def set_fingerprint(self, fingerprint: Sequence[str] | None) -> None:
        """Set what events are grouped by."""
        value = None if fingerprint is None else tuple(fingerprint)
        self._write(lambda data: replace(data, fingerprint=value))

    def set_attribute(self, key: str, value: object) -> None:
        """Set one attribute, as sent with streamed spans."""
        self._write(lambda data: replace(data, attributes={**data.attributes, key: value}))

    def set_attributes(self, attributes: Mapping[str, object]) -> None:
        """Set several attributes."""
        self._write(lambda data: replace(data, attributes={**data.attributes, **attributes}))

    def set_transaction_name(self, name: str) -> None:
        """Set the transaction's name on errors, and on the transaction of the root that is active."""
        self._write(lambda data: replace(data, transaction_name=name))

    def add_breadcrumb(
        self,
        crumb: Mapping[str, object] | None = None,
        hint: Mapping[str, object] | None = None,
        **fields: object,
    ) -> None:
        """Add a breadcrumb: `message`, `category`, `level`, `data`, `type`, `timestamp` (seconds since the epoch).

        `before_breadcrumb` may change or drop it. The oldest go when there are more than `max_breadcrumbs`.
        """
        options = active.options()
        hook = None if options is None else options.before_breadcrumb
        kept = _DEFAULT_MAX_BREADCRUMBS if options is None else options.max_breadcrumbs
        made = make_breadcrumb({**(crumb or {}), **fields}, dict(hint or {}), hook)
        if made is not None and kept:
            self._write(lambda data: replace(data, breadcrumbs=(*data.breadcrumbs, made)[-kept:]))

    def add_event_processor(self, processor: EventProcessor) -> None:
        """Add a function `(event, hint) -> event | None` that every event of this scope goes through."""
        self._write(lambda data: replace(data, event_processors=(*data.event_processors, processor)))

    def add_attachment(
        self,
        bytes: bytes | None = None,  # noqa: A002 - sentry-sdk's name
        filename: str | None = None,
        path: str | None = None,
        content_type: str | None = None,
    ) -> None:
        """Add a file to the errors of this scope: its bytes with a filename, or a path.

        Raises `TypeError` if neither bytes nor a path are given, or if bytes come without a filename.
        """
        if bytes is None and path is None:
            raise TypeError("add_attachment: give bytes or path")
        name = filename or (path.replace("\\", "/").rsplit("/", 1)[-1] if path else None)
        if not name:
            raise TypeError("add_attachment: bytes need a filename")
        made = Attachment(filename=name, data=bytes, path=path, content_type=content_type)
        self._write(lambda data: replace(data, attachments=(*data.attachments, made)))

    def clear(self) -> None:
        """Remove everything from this layer."""
        self._write(lambda _: EMPTY)


def make_breadcrumb(
    fields: Mapping[str, object],
    hint: Event,
    before_breadcrumb: Hook | None,
) -> Event | None:
    """Return the breadcrumb with its defaults, after the user's hook; `None` if the hook dropped it.

    A hook that raises is skipped and logged.
    """
    crumb = {key: value for key, value in fields.items() if value is not None}
    crumb.setdefault("timestamp", sources.current.time_ns() / 1e9)
    crumb.setdefault("type", "default")
    if before_breadcrumb is None:
        return crumb
    try:
        return before_breadcrumb(crumb, hint)
    except Exception as error:  # a user's callback: skipped and logged
        report_fault("context", "before_breadcrumb raised; the breadcrumb was kept as it was", error)
        return crumb


class SharedScope(Scope):
    """A scope that is one object for everybody who holds it: the global one, and each isolation scope."""

    __slots__ = ("_data",)

    def __init__(self, data: ScopeData = EMPTY) -> None:
        self._data = data

    def _read(self) -> ScopeData:
        return self._data

    def _write(self, change: Callable[[ScopeData], ScopeData]) -> None:
        with _Lock.held:
            self._data = change(self._data)


class RequestStart(NamedTuple):
    """What a request or job began with: the data of the isolation scope and of the current scope."""

    isolation: ScopeData
    current: ScopeData


class IsolationScope(SharedScope):
    """What one request or job shares, by reference: its data, and the id of its last error."""

    __slots__ = ("_awaits_request", "_begun_with", "last_event_id")

    def __init__(self, data: ScopeData = EMPTY) -> None:
        super().__init__(data)
        self.last_event_id: str | None = None
        self._awaits_request = False
        self._begun_with: RequestStart | None = None

    def fork(self) -> IsolationScope:
        """Return an isolation scope that starts with the same data."""
        return IsolationScope(self._data)

    @classmethod
    def for_request(cls, start: RequestStart) -> IsolationScope:
        """Return the isolation scope of the next request, which its root claims."""
        made = cls(start.isolation)
        made._awaits_request = True
        made._begun_with = start
        return made

    def begun_with(self, *, is_claimed: bool = False) -> RequestStart | None:
        """Return what the request that has this scope began with; `None` if no request has it, or none claimed it yet.

        `is_claimed`: a request is known to have it, though none of our roots claimed it.
        """
        return self._begun_with if is_claimed or not self._awaits_request else None

    def claim(self) -> bool:
        """Take a scope that was forked for a request; `False` if it was not, or if a request has it already."""
        with _Lock.held:
            awaited, self._awaits_request = self._awaits_request, False
            return awaited


class Scopes:
    """The entry of a Context: what is in force, and the span under which that was written."""

    __slots__ = ("current", "isolation", "nested", "owner", "propagation")

    def __init__(
        self,
        current: ScopeData,
        isolation: IsolationScope,
        propagation: PropagationContext,
        owner: object = None,
        nested: bool = False,
    ) -> None:
        self.current = current
        self.isolation = isolation
        self.propagation = propagation
        self.owner = owner
        self.nested = nested  # written within a new_scope() or isolation_scope() of the owner's block

    def fork(self, owner: object) -> Scopes:
        """Return the same data behind an isolation scope and a trace of its own."""
        return Scopes(self.current, self.isolation.fork(), self.propagation.forked(), owner)

    def fork_for_request(
        self,
        owner: object,
        remote: Span | None = None,
        *,
        is_inside: bool = False,
        surrounding: RequestStart | None = None,
    ) -> Scopes:
        """Return the scopes of a request that begins here, with the upstream's trace or a fresh one.

        It gets what is in force here; inside another request or job only what that one began with. `is_inside`: a local
        span is active here; `surrounding`: what its root began with, if that shares these scopes.
        """
        begun_with = self.isolation.begun_with(is_claimed=is_inside or not self.propagation.continues(remote))
        start = begun_with or surrounding or RequestStart(self.isolation._data, self.current)
        return Scopes(start.current, IsolationScope.for_request(start), PropagationContext(remote), owner)

    def for_root_of_request(self, remote: Span | None) -> Scopes:
        """Return the scopes of a request whose root starts here: these, if they wait for one, else a fork."""
        if self.isolation.claim():
            return self
        start = self.isolation.begun_with() or RequestStart(self.isolation._data, self.current)
        return Scopes(start.current, IsolationScope(start.isolation), PropagationContext(remote))

    def under(self, owner: object, *, nested: bool = False) -> Scopes:
        """Return the same, written under another span."""
        return Scopes(self.current, self.isolation, self.propagation, owner, nested)

    def with_new_current(self, owner: object) -> Scopes:
        """Return the same with a fork of the current scope."""
        return self.under(owner, nested=True)

    def with_fresh_trace(self) -> Scopes:
        """Return the same scopes in a trace that nothing is known of."""
        return Scopes(self.current, self.isolation, PropagationContext(), nested=True)

    def read_current(self) -> ScopeData:
        """Return the data of the current scope."""
        return self.current

    def changed(self, change: Callable[[ScopeData], ScopeData], owner: object, *, nested: bool) -> Scopes:
        """Return the same with other data in the current scope."""
        return Scopes(change(self.current), self.isolation, self.propagation, owner, nested)


class Keeper:
    """Has the global scope, and makes the scopes of a Context that has none.

    Where another SDK keeps scopes, one of its own takes this one's place (`keep_scopes_by`), and the entries are of its
    kind: those of another kind are of a time before or after, and count for nothing.
    """

    kind: type[Scopes] = Scopes

    def __init__(self, global_scope: Scope) -> None:
        self.global_scope = global_scope
        self._nothing = Scopes(EMPTY, IsolationScope(), PropagationContext())

    def fresh(self, owner: object) -> Scopes:
        """Return scopes for a Context that has none."""
        return Scopes(EMPTY, IsolationScope(), PropagationContext(of_process=True), owner=owner)

    def base(self) -> Scopes:
        """Return what a request is forked from where nothing is in force; never written to."""
        return self._nothing


def remembered_scopes(span: object) -> Scopes | None:
    """Return the scopes that were in force where a span started, if they were noted on it, of any provider."""
    scopes: Scopes | None = getattr(span, "_bridge_scopes", None)
    return scopes


def remember_scopes(span: object, scopes: Scopes | None) -> None:
    """Note on a span the scopes that are in force where it starts."""
    vars(span)["_bridge_scopes"] = scopes


class RequestSpanContext(AnnotatedSpanContext):
    """The `SpanContext` of a remote parent: spans of any provider below it find the scopes."""

    @classmethod
    def of_request(cls, context: SpanContext, scopes: Scopes) -> RequestSpanContext:
        """Return the same ids with the scopes that were forked for the request."""
        made: RequestSpanContext = cls(*context.__getnewargs__())
        made.__dict__["_bridge_scopes"] = scopes
        return made


def find_scopes(context: Context) -> Scopes | None:
    """Return the scopes in force in a Context (rules 1 to 3), or `None`."""
    entry = entry_in(context)
    return entry if type(entry) is _keeper.kind else None


def entry_in(context: Context) -> Any:
    """Return the entry in force in a Context, whoever keeps the scopes of the process; `None` if there is none."""
    entry: Any = context.get(SCOPES_KEY)
    span = context.get(SPAN_KEY)
    if span is None or (entry is not None and entry.owner is span):
        return entry
    scoped: Any = scoped_span(context, span)
    if scoped is None or (scoped is not span and _was_written_below(entry, scoped)):
        return entry
    remembered = scoped._bridge_scopes
    return remembered if type(remembered) is _keeper.kind else entry


def _was_written_below(entry: Any, scoped: object) -> bool:
    """Whether an entry was written under a span, or under one that remembers nothing and was activated inside it."""
    owner = None if entry is None else entry.owner
    if owner is None or owner is scoped:
        return owner is not None
    try:
        return getattr(owner, "_bridge_scopes", None) is None and trace_id_of(owner) == trace_id_of(scoped)
    except Exception:  # other code's span: see `scoped_span`
        return True


def current_scopes(context: Context | None = None) -> Scopes:
    """Return the scopes in force, making a fresh isolation scope where there is none (rule 4).

    With no Context given it is the current one, and what was made is kept for as long as that is attached. A fresh
    scope for a Context that is not attached belongs to the caller alone.
    """
    is_current = context is None or context is context_api.get_current()
    if context is None:
        context = context_api.get_current()
    found = find_scopes(context)
    if found is not None:
        return found
    made = _keeper.fresh(context.get(SPAN_KEY))
    if is_current:
        context_api.attach(with_scopes(context, made))  # no token: the detach of that Context restores
    return made


def activated(context: Context, span: object, remembered: Scopes | None) -> Context:
    """Return the Context with a span of ours active, whose scopes hold in it if it remembers any."""
    derived = Context(context)
    dict.__setitem__(derived, SPAN_KEY, span)
    if remembered is not None:
        dict.__setitem__(derived, SCOPED_SPAN_KEY, span)
    return derived


def with_scopes(context: Context, scopes: Scopes) -> Context:
    """Return the Context with this entry."""
    return with_value(context, SCOPES_KEY, scopes)


class CurrentScope(Scope):
    """A live view: it reads and writes what is current where it is used."""

    __slots__ = ()

    def _read(self) -> ScopeData:
        return (find_scopes(context_api.get_current()) or _keeper.base()).read_current()

    def _write(self, change: Callable[[ScopeData], ScopeData]) -> None:
        scopes = current_scopes()
        context = context_api.get_current()
        span = context.get(SPAN_KEY)
        nested = scopes.nested and scopes.owner is span
        entry = scopes.changed(change, span, nested=nested)
        context_api.attach(with_scopes(context, entry))  # no token: the enclosing detach undoes the write
        note = getattr(span, "_bridge_note_own_scope", None)
        if note is not None and not nested:
            note(entry.current)


_own_keeper = Keeper(SharedScope())
_keeper = _own_keeper
_current_scope = CurrentScope()


def keep_scopes_by(keeper: Keeper | None) -> None:
    """Let another SDK's scopes be the bridge's, from now on; `None`: its own again."""
    global _keeper
    _keeper = keeper or _own_keeper


def base_scopes() -> Scopes:
    """Return what a request is forked from where nothing is in force."""
    return _keeper.base()


def global_scope() -> Scope:
    """Return the scope that is under everything this process sends."""
    return _keeper.global_scope


def current_isolation_scope() -> IsolationScope:
    """Return the isolation scope of the request or job that runs."""
    return current_scopes().isolation


def current_scope() -> CurrentScope:
    """Return the live view of the current scope."""
    return _current_scope


@contextmanager
def new_scope() -> Iterator[Scope]:
    """Fork the current scope for a block; what is written to it there is gone afterwards."""
    context, scopes = context_api.get_current(), current_scopes()
    with attached(with_scopes(context, scopes.with_new_current(context.get(SPAN_KEY)))):
        yield _current_scope


@contextmanager
def isolation_scope() -> Iterator[IsolationScope]:
    """Fork the isolation scope and the current scope for a block, with a fresh trace."""
    context, scopes = context_api.get_current(), current_scopes()
    entry = scopes.fork(context.get(SPAN_KEY))
    entry.nested = True
    with attached(with_scopes(context, entry)):
        yield entry.isolation


@contextmanager
def new_trace() -> Iterator[None]:
    """Start from a fresh trace for a block, with no span active; the scopes stay."""
    context, scopes = context_api.get_current(), current_scopes()
    entry = scopes.with_fresh_trace()
    with attached(with_scopes(without_span(context), entry)):
        yield


def run_event_processors(event: Event, hint: Event, layers: Sequence[ScopeData]) -> Event | None:
    """Send an event through the processors of the layers, lowest first; `None` if one of them dropped it."""
    for layer in layers:
        for processor in layer.event_processors:
            try:
                processed = processor(event, hint)
            except Exception as error:  # a user's callback: skipped and logged
                report_fault("context", "an event processor raised; it was skipped", error)
                continue
            if processed is None:
                return None
            event = processed
    return event
