"""KeptAttributes: the attributes of a span, which remember what a limit takes, as that may tell what the span means."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from opentelemetry.attributes import BoundedAttributes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.util import types

OP_ATTRIBUTE = "sentry.op"
SOURCE_ATTRIBUTE = "sentry.source"
_EXPLICIT = frozenset({OP_ATTRIBUTE, SOURCE_ATTRIBUTE})
_MOST_KEPT = 64
_PLAIN_TYPES = frozenset({str, int, float, bool})
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class KeptAttributes(BoundedAttributes):
    """The attributes of a span as the SDK keeps them; Sentry is also told of what their limits took.

    That is what was set first, as that is what an instrumentation starts its span with, and the op and the source that
    the program gave. Exporters see what the limits leave. `BoundedAttributes._dict` and `_set_items`, seen in 1.40 to
    1.45.
    """

    kept = _NOTHING
    """What is not among the attributes any more."""
    uncut = _NOTHING
    """The op and the source, where texts are cut."""

    def __setitem__(self, key: str, value: types.AnyValue) -> None:
        most, known = self.maxlen, self._dict
        if most is not None and len(known) >= most and key not in known:
            taken, what = (key, value) if most == 0 else next(iter(known.items()))
            if len(self.kept) < _MOST_KEPT or taken in _EXPLICIT:
                self.kept = {**self.kept, taken: what}
        if key in _EXPLICIT and (self.max_value_len is not None or key in self.uncut):
            self.uncut = {**self.uncut, key: value}
        super().__setitem__(key, value)

    def _set_items(self, attributes: Mapping[str, types.AnyValue]) -> None:
        before = self._dict.copy()
        inherited = getattr(super(), "_set_items", None)
        if inherited is not None:
            inherited(attributes)
        else:
            for key, value in attributes.items():
                self[key] = value
        before.update((key, value) for key, value in attributes.items() if type(value) in _PLAIN_TYPES and key)
        taken = [key for key in before if key not in self._dict]
        if taken:
            kept = [*taken[: max(0, _MOST_KEPT - len(self.kept))], *(key for key in taken if key in _EXPLICIT)]
            self.kept = {**self.kept, **{key: before[key] for key in kept}}
        if self.max_value_len is not None or self.uncut:
            self.uncut = {**self.uncut, **{key: attributes[key] for key in _EXPLICIT if key in attributes}}

    def begin_with(self, op: str | None, source: str | None) -> None:
        """Remember what the span was started with, of which limits may have taken something before this."""
        given = {OP_ATTRIBUTE: op, SOURCE_ATTRIBUTE: source}
        self.uncut = {key: value for key, value in given.items() if value is not None}

    def taken(self) -> Mapping[str, Any]:
        """Return what is not among the attributes any more, and what was cut, as it was."""
        known = self._dict
        taken = {key: value for key, value in self.kept.items() if key not in known}
        taken.update((key, value) for key, value in self.uncut.items() if known.get(key) != value)
        return taken
