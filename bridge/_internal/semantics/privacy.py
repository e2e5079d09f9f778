"""Privacy: what of a span, a link, an event or a resource may leave the process, by attribute.

What instrumentations collect is withheld, filtered or cleaned unless `send_default_pii` is set. What a program set by
hand stays as it is. Passwords in URLs never leave. docs/what-is-sent.md says all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import SpanKind

from bridge._internal.secret_names import FILTERED
from bridge._internal.semantics import families
from bridge._internal.semantics.attributes import first_text, is_of_server
from bridge._internal.semantics.scrubbing import (
    without_password_parameters,
    without_passwords,
    without_secret_parameters,
)
from bridge._internal.semantics.secrets import SecretNames
from bridge._internal.semantics.statements import without_literals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import TypeAlias

    Treatment: TypeAlias = Callable[[Any, Mapping[str, Any]], Any]

WITHHELD: Final = object()
"""What a treatment returns for a value that is not sent."""

_PLAIN = frozenset({int, float, bool})
_MOST_KEYS = 4096
_UNKNOWN: Final = object()


class Privacy:
    """What may leave by the options of a client: worked out once for each attribute name."""

    def __init__(self, *, send_default_pii: bool = False, scrub_names: Iterable[str] = ()) -> None:
        self._sends_all = send_default_pii
        self._names = SecretNames(scrub_names)
        # Written by each thread that sends something; setting an item of a dict needs no lock.
        self._known: dict[str, Treatment | None] = {}
        self._known_of_servers: dict[str, Treatment | None] = {}

    def clean(
        self, attributes: Mapping[str, Any], kind: SpanKind = SpanKind.INTERNAL, own: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return attributes as they may leave; `own` are the names of those that the program set by hand."""
        of_server = kind is not SpanKind.CLIENT and is_of_server(kind, attributes)
        known = self._known_of_servers if of_server else self._known
        cleaned: dict[str, Any] = {}
        for key, value in attributes.items():
            treatment: Any = known.get(key, _UNKNOWN)
            if treatment is _UNKNOWN:
                treatment = self._learn(key, known)
            if own and key in own:
                cleaned[key] = _own(value)
            elif treatment is not None:
                treated = treatment(value, attributes)
                if treated is not WITHHELD:
                    cleaned[key] = treated
            elif type(value) is str:
                cleaned[key] = self.text(value) if "=" in value or "://" in value else value
            elif type(value) in _PLAIN:  # asking for an abstract class costs ten times as much
                cleaned[key] = value
            else:
                cleaned[key] = _each_text(value, self.text)
        return cleaned

    @staticmethod
    def own(attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return attributes that the program set by hand, as they may leave."""
        return {key: _own(value) for key, value in attributes.items()}

    def text(self, text: str) -> str:
        """Return a text that was collected (a name, a message, a value), without secrets in URLs and passwords."""
        has_url, has_parameter = "://" in text, "=" in text
        if has_url:
            text = without_passwords(text)
        if not has_parameter or self._sends_all:
            return text
        if has_url:
            text = without_secret_parameters(text, self._names.of_parameter)
        return without_password_parameters(text)

    def _learn(self, key: str, known: dict[str, Treatment | None]) -> Treatment | None:
        treatment = self._treatment(str(key), of_server=known is self._known_of_servers)
        if len(known) < _MOST_KEYS:
            known[key] = treatment
        return treatment

    def _treatment(self, key: str, *, of_server: bool) -> Treatment | None:
        """Return what is done to the values of an attribute, `None` for what is done to any text."""
        if self._sends_all:
            if self._names.is_own(key):
                return _filter
            return _passwords if families.is_query(key) or families.is_connection(key) else None
        if families.is_personal(key) or (of_server and families.is_peer(key)):
            return _withhold
        if families.is_content(key):
            return _withhold_content
        if families.is_statement(key):
            return self._statement
        if key == "query":
            return self._document
        if name := families.named_part(key):
            return _filter if self._names.of_parameter(name) else None
        if families.is_query(key):
            return self._query
        if key == "process.command_args":
            return self._arguments
        return _filter if self._names.of_attribute(key) else None

    def _statement(self, value: Any, attributes: Mapping[str, Any]) -> Any:
        system = first_text(attributes, "db.system.name", "db.system")
        if type(value) is str:
            return self.text(without_literals(value, system))
        return _each_text(value, lambda text: self.text(without_literals(text, system)))

    def _document(self, value: Any, attributes: Mapping[str, Any]) -> Any:
        """Withhold a document of GraphQL, which Strawberry calls `query`."""
        is_graphql = first_text(attributes, "component").lower() == "graphql"
        return WITHHELD if is_graphql else _each_text(value, self.text)

    def _query(self, value: Any, attributes: Mapping[str, Any]) -> Any:
        is_secret = self._names.of_parameter
        return _each_text(value, lambda text: without_secret_parameters(without_passwords(text), is_secret))

    def _arguments(self, value: Any, attributes: Mapping[str, Any]) -> Any:
        """Filter the options of a command line whose names are those of secrets, and what follows such an option."""
        if isinstance(value, str) or not isinstance(value, Sequence):
            return _each_text(value, self.text)
        cleaned: list[str] = []
        is_secret = False
        for argument in map(str, value):
            option, equals, _ = argument.partition("=")
            is_option = option.startswith("-")
            names_secret = is_option and self._names.of_parameter(option)
            if names_secret and equals:
                cleaned.append(f"{option}={FILTERED}")
            else:
                cleaned.append(FILTERED if is_secret and not is_option else self.text(argument))
            is_secret = names_secret and not equals
        return cleaned


def _withhold(value: Any, attributes: Mapping[str, Any]) -> Any:
    return WITHHELD


def _withhold_content(value: Any, attributes: Mapping[str, Any]) -> Any:
    """Withhold texts and lists; a number or a flag is a count or a setting."""
    return value if type(value) in _PLAIN else WITHHELD


def _filter(value: Any, attributes: Mapping[str, Any]) -> Any:
    return FILTERED


def _passwords(value: Any, attributes: Mapping[str, Any]) -> Any:
    return _each_text(value, lambda text: without_password_parameters(without_passwords(text)))


def _own(value: Any) -> Any:
    return _each_text(value, without_passwords)


def _each_text(value: Any, clean: Callable[[str], str]) -> Any:
    """Return a value with its text, or the texts that it is a sequence of, cleaned; sequences become lists."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [clean(item) if isinstance(item, str) else item for item in value]
    return value
