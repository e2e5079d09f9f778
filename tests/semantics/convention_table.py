"""Write `bridge/_internal/semantics/conventions.py` from the distribution `sentry-conventions`.

Run `python -m tests.semantics.convention_table` with the dependency group `test`. The distribution is 1.2 MB of Python,
too large to import at run time, so bridge carries the part it needs. `test_conventions.py` fails when they disagree.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from sentry_conventions.attributes import ATTRIBUTE_METADATA, ApplyScrubbing, AttributeMetadata

import bridge
from bridge._internal.secret_names import is_secret_name

PLACE = Path(bridge.__file__).parent / "_internal" / "semantics" / "conventions.py"

TEMPLATE = '''"""Sentry's attribute names, generated from sentry-conventions {version}: do not edit.

`python -m tests.semantics.convention_table` writes this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REPLACEMENTS: Mapping[str, str] = {{
{replacements}}}
"""Deprecated attribute -> the attribute that holds the same value today."""

PERSONAL = frozenset(
    {{
{personal}    }}
)
"""Attributes that Sentry scrubs as personal data; `<key>` stands for any last part."""

NOT_SECRET = frozenset(
    {{
{harmless}    }}
)
"""Attributes that Sentry does not scrub, although their names look like those of secrets."""
'''

# Namespaces of spans that a Python service makes; the others belong to browsers, phones and JavaScript frameworks.
NAMESPACES = frozenset(
    {
        *("ai", "aws", "cache", "client", "cloud", "code", "db", "error", "exception", "faas", "file", "gen_ai"),
        *("graphql", "http", "mcp", "messaging", "net", "network", "otel", "process", "rpc", "server", "session"),
        *("thread", "url", "user", "user_agent"),
    }
)


def belongs(key: str) -> bool:
    """Whether an attribute is one of a service's; names of one word (`url`, `code`) may mean anything."""
    namespace, dot, _ = key.partition(".")
    return bool(dot) and namespace in NAMESPACES


def replacements() -> dict[str, str]:
    """Return deprecated name -> the name that replaces it with the same value."""
    return {
        key: metadata.deprecation.replacement
        for key, metadata in sorted(ATTRIBUTE_METADATA.items())
        if belongs(key) and _is_replaced(metadata)
        if metadata.deprecation is not None and metadata.deprecation.replacement is not None
    }


def _is_replaced(metadata: AttributeMetadata) -> bool:
    deprecation = metadata.deprecation
    if deprecation is None or deprecation.status is None or not deprecation.replacement:
        return False
    return deprecation.transformation is None and not deprecation.replacement.endswith(".<key>")


def names(scrubbing: ApplyScrubbing) -> list[str]:
    """Return the names whose values Sentry scrubs in this way."""
    return [
        key
        for key, metadata in sorted(ATTRIBUTE_METADATA.items())
        if belongs(key) and metadata.apply_scrubbing.key is scrubbing
    ]


def text() -> str:
    """Return the module."""
    return TEMPLATE.format(
        version=version("sentry-conventions"),
        replacements="".join(f'    "{old}": "{new}",\n' for old, new in replacements().items()),
        personal=_rows(names(ApplyScrubbing.AUTO)),
        harmless=_rows([key for key in names(ApplyScrubbing.MANUAL) if is_secret_name(key)]),
    )


def _rows(keys: list[str]) -> str:
    return "".join(f'        "{key}",\n' for key in keys)


if __name__ == "__main__":
    PLACE.write_text(text())
