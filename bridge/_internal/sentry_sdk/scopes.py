"""The bridge's three scopes where sentry-sdk keeps them: views of its scope objects, which hold the data alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from bridge._internal.context.propagation_context import parent_of_process
from bridge._internal.context.scope import (
    EMPTY,
    Attachment,
    IsolationScope,
    Keeper,
    RequestStart,
    Scope,
    ScopeData,
    Scopes,
)
from bridge._internal.sentry_sdk import active_span, private
from bridge._internal.sentry_sdk.propagation import SharedPropagation, propagation_of_remote

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable

    from opentelemetry.context.context import Context
    from sentry_sdk.attachments import Attachment as SentrySdkAttachment

    from bridge._internal.sentry_sdk.private import Scope as SentrySdkScope


def data_of(sdk: SentrySdkScope) -> ScopeData:
    """Return what a scope of sentry-sdk's holds."""
    return ScopeData(
        tags=dict(sdk._tags),
        user=sdk._user,
        contexts=dict(sdk._contexts),
        extra=dict(sdk._extras),
        attributes=dict(private.attributes_of(sdk)),
        level=sdk._level,
        fingerprint=sdk._fingerprint,
        transaction_name=sdk._transaction,
        breadcrumbs=tuple(sdk._breadcrumbs),
        event_processors=cast("Any", tuple(sdk._event_processors)),
        attachments=tuple(map(_attachment, sdk._attachments)),
    )


def write_data(sdk: SentrySdkScope, before: ScopeData, data: ScopeData) -> None:
    """Make a scope of sentry-sdk's hold other data, through its own setters where those do more."""
    for field, put in _PUT.items():
        value = getattr(data, field)
        if value is not getattr(before, field):
            put(sdk, value)


def _put_user(sdk: SentrySdkScope, user: Any) -> None:
    sdk.set_user(None if user is None else dict(user))  # a session is told as well


def _put_breadcrumbs(sdk: SentrySdkScope, crumbs: Any) -> None:
    sdk._breadcrumbs.clear()
    sdk._breadcrumbs.extend(dict(crumb) for crumb in crumbs)


def _put_transaction_name(sdk: SentrySdkScope, name: str | None) -> None:
    if name is None:
        sdk._transaction = None
    else:
        sdk.set_transaction_name(name)


def _put_attachments(sdk: SentrySdkScope, attachments: Any) -> None:
    if not attachments:
        sdk._attachments.clear()
    for one in attachments[len(sdk._attachments) :]:
        sdk.add_attachment(bytes=one.data, filename=one.filename, path=one.path, content_type=one.content_type)


def _put_fingerprint(sdk: SentrySdkScope, value: Any) -> None:
    sdk._fingerprint = None if value is None else list(value)


def _replace(name: str, kind: Callable[[Any], Any]) -> Callable[[SentrySdkScope, Any], None]:
    return lambda sdk, value: setattr(sdk, name, kind(value))


def _attachment(found: SentrySdkAttachment) -> Attachment:
    data = found.bytes if isinstance(found.bytes, bytes) else None
    return Attachment(found.filename or "", data, found.path, found.content_type)


_PUT: dict[str, Callable[[Any, Any], None]] = {
    "tags": _replace("_tags", dict),
    "user": _put_user,
    "contexts": _replace("_contexts", lambda value: {key: dict(block) for key, block in value.items()}),
    "extra": _replace("_extras", dict),
    "attributes": private.put_attributes,
    "level": _replace("_level", lambda value: value),
    "fingerprint": _put_fingerprint,
    "transaction_name": _put_transaction_name,
    "breadcrumbs": _put_breadcrumbs,
    "event_processors": _replace("_event_processors", list),
    "attachments": _put_attachments,
}


class _Start(NamedTuple):
    """What a request or job began with: sentry-sdk's isolation scope and current scope."""

    isolation: SentrySdkScope
    current: SentrySdkScope


class SharedIsolation(IsolationScope):
    """The isolation scope: a view of sentry-sdk's."""

    __slots__ = ("link", "sdk")

    def __init__(self, sdk: SentrySdkScope) -> None:
        super().__init__()
        self.sdk = sdk
        self.link: Any = None  # the span that the request's root is to be linked to

    def _read(self) -> ScopeData:
        return data_of(self.sdk)

    def _write(self, change: Callable[[ScopeData], ScopeData]) -> None:
        before = data_of(self.sdk)
        write_data(self.sdk, before, change(before))

    def set_tag(self, key: str, value: Any) -> None:
        """Set one tag."""
        self.sdk.set_tag(key, value)

    def fork(self) -> SharedIsolation:
        """Return an isolation scope that starts with the same data."""
        return SharedIsolation(self.sdk.fork())

    @property
    def last_event_id(self) -> str | None:
        """The id of the last error that was sent from here."""
        return self.sdk._last_event_id

    @last_event_id.setter
    def last_event_id(self, value: str | None) -> None:
        if value is not None:
            self.sdk._last_event_id = value


class SharedGlobal(Scope):
    """The global scope: a view of sentry-sdk's, whichever that is."""

    def _read(self) -> ScopeData:
        return data_of(private.Scope.get_global_scope())

    def _write(self, change: Callable[[ScopeData], ScopeData]) -> None:
        sdk = private.Scope.get_global_scope()
        before = data_of(sdk)
        write_data(sdk, before, change(before))


class SharedScopes(Scopes):
    """The entry of a Context: sentry-sdk's current and isolation scope.

    `left`: scopes that were current before, each with the span that was active when it was left. `before`: the Context
    that one of the variables was set in.
    """

    __slots__ = ("before", "left")

    current: SentrySdkScope  # type: ignore[assignment]  # the data, in an entry of the bridge's own
    isolation: SharedIsolation

    def __init__(
        self, current: SentrySdkScope, isolation: SharedIsolation, owner: Any = None, nested: bool = False
    ) -> None:
        self.current = current
        self.isolation = isolation
        self.owner = owner
        self.nested = nested
        self.left: tuple[tuple[Any, Any], ...] = ()
        self.before: weakref.ref[Context] | None = None

    @property
    def propagation(self) -> SharedPropagation:  # type: ignore[override]  # a field of the bridge's own
        """The trace of "now" where no span is active."""
        return SharedPropagation(self.current, self.isolation)

    def with_current(self, current: SentrySdkScope, owner: Any) -> SharedScopes:
        """Return the same with another current scope."""
        return SharedScopes(current, self.isolation, owner, nested=True)

    def with_isolation(self, isolation: SentrySdkScope, owner: Any) -> SharedScopes:
        """Return the same with another isolation scope: that of a request, if one begins in it."""
        shared = SharedIsolation(isolation)
        shared._awaits_request = True
        return SharedScopes(self.current, shared, owner, nested=True)

    def fork(self, owner: Any) -> SharedScopes:
        """Return the same data behind an isolation scope and a trace of its own."""
        isolation = self.isolation.fork()
        isolation.sdk._propagation_context = propagation_of_remote(parent_of_process())
        return SharedScopes(_forked_without_trace(self.current), isolation, owner)

    def fork_for_request(
        self, owner: Any, remote: Any = None, *, is_inside: bool = False, surrounding: RequestStart | None = None
    ) -> SharedScopes:
        """Return the scopes of a request that begins here: of a request around it, only what that began with."""
        begun = self.isolation.begun_with(is_claimed=is_inside or not self.propagation.continues(remote))
        start = self._start(begun)
        isolation = SharedIsolation(start.isolation.fork())
        isolation._awaits_request = True
        isolation._begun_with = _Start(start.isolation.fork(), start.current)  # type: ignore[assignment]
        isolation.sdk._propagation_context = propagation_of_remote(remote)
        return SharedScopes(_forked_without_trace(start.current), isolation, owner)

    def for_root_of_request(self, remote: Any) -> SharedScopes:
        """Return the scopes of a request whose root starts here: these, if they wait for one, else a fork."""
        if self.isolation.claim():
            return self
        start = self._start(self.isolation.begun_with())
        isolation = SharedIsolation(start.isolation.fork())
        isolation.sdk._propagation_context = propagation_of_remote(remote)
        return SharedScopes(_forked_without_trace(start.current), isolation)

    def _start(self, begun: Any) -> _Start:
        return begun if isinstance(begun, _Start) else _Start(self.isolation.sdk, self.current)

    def under(self, owner: Any, *, nested: bool = False) -> SharedScopes:
        """Return the same, written under another span."""
        made = SharedScopes(self.current, self.isolation, owner, nested)
        made.left, made.before = self.left, self.before
        return made

    def with_new_current(self, owner: Any) -> SharedScopes:
        """Return the same with a fork of the current scope."""
        return SharedScopes(_forked(self.current), self.isolation, owner, nested=True)

    def with_fresh_trace(self) -> SharedScopes:
        """Return the same data in a trace that nothing is known of."""
        current = _forked_without_trace(self.current)
        current._propagation_context = propagation_of_remote(None)
        return SharedScopes(current, self.isolation, nested=True)

    def read_current(self) -> ScopeData:
        """Return the data of the current scope."""
        return data_of(self.current)

    def changed(self, change: Callable[[ScopeData], ScopeData], owner: Any, *, nested: bool) -> SharedScopes:
        """Return the same with other data in a fork of the current scope."""
        before = data_of(self.current)
        made = _forked(self.current)
        write_data(made, before, change(before))
        return SharedScopes(made, self.isolation, owner, nested)


def _forked(current: SentrySdkScope) -> SentrySdkScope:
    """Fork a current scope that becomes current with its Context: what is active there is active."""
    made = current.fork()
    active_span.take_as_it_is(made)
    return made


def _forked_without_trace(current: SentrySdkScope) -> SentrySdkScope:
    made = _forked(current)
    made._propagation_context = None
    return made


class SharedKeeper(Keeper):
    """Finds the scopes that sentry-sdk has where the Context has none."""

    kind = SharedScopes

    def __init__(self) -> None:
        super().__init__(SharedGlobal())

    def fresh(self, owner: Any) -> SharedScopes:
        """Return the thread's or the task's scopes."""
        return base_scopes(owner)

    def base(self) -> SharedScopes:
        """Return the thread's or the task's scopes."""
        return base_scopes(None)


def base_scopes(owner: Any) -> SharedScopes:
    """Return what sentry-sdk has outside of any Context, made by itself where there is nothing."""
    current, isolation = (private.variable(name).base for name in private.VARIABLES)
    for variable, kind in ((current, private.ScopeType.CURRENT), (isolation, private.ScopeType.ISOLATION)):
        if variable.get(None) is None:
            made = private.Scope(ty=kind)
            if kind is private.ScopeType.CURRENT:
                active_span.take_as_it_is(made)
            variable.set(made)
    return SharedScopes(current.get(), SharedIsolation(isolation.get()), owner)


def take_data(under: ScopeData, isolation: ScopeData | None, current: ScopeData | None) -> None:
    """Put what the bridge's own scopes hold into sentry-sdk's, as the two become one."""
    for scope, data in (
        (private.Scope.get_global_scope(), under),
        (private.Scope.get_isolation_scope(), isolation),
        (private.Scope.get_current_scope(), current),
    ):
        if data is not None and data != EMPTY:
            before = data_of(scope)
            write_data(scope, before, _joined(before, data))


def _joined(under: ScopeData, over: ScopeData) -> ScopeData:
    return ScopeData(
        tags={**under.tags, **over.tags},
        user=under.user if over.user is None else over.user,
        contexts={**under.contexts, **over.contexts},
        extra={**under.extra, **over.extra},
        attributes={**under.attributes, **over.attributes},
        level=over.level or under.level,
        fingerprint=over.fingerprint or under.fingerprint,
        transaction_name=over.transaction_name or under.transaction_name,
        breadcrumbs=(*under.breadcrumbs, *over.breadcrumbs),
        event_processors=(*under.event_processors, *over.event_processors),
        attachments=(*under.attachments, *over.attachments),
    )
