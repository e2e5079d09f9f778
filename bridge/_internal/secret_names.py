"""Names of secrets: what filters span attributes and the local variables of stack frames."""

from __future__ import annotations

import re
from functools import lru_cache

FILTERED = "[Filtered]"

# Anywhere in a name: no ordinary word contains these.
_PARTS = re.compile(
    r"authorization|authentication|cookie|passw(?:or)?d|passphrase|secret|token|credential|[cx]srf"
    r"|(?:access|api|auth|client|encryption|license|master|private|service|shared|signing|ssh)[-_. ]?key"
    r"|session[-_. ]?(?:id|key)",
    re.IGNORECASE,
)
# As a whole word, separated or in camelCase: `author` and `keyword` contain them too.
_WORDS = re.compile(
    r"(?:(?<![A-Za-z])[Aa]uth|(?<![A-Za-z])AUTH|(?<=[a-z0-9])Auth"
    r"|(?<![A-Za-z])[Pp]wd|(?<![A-Za-z])PWD|(?<=[a-z0-9])Pwd)(?![a-z])"
)
# A key that nothing qualifies; `cache.key` and `messaging.kafka.message.key` are data.
_BARE_KEY = re.compile(r"keys?", re.IGNORECASE)
# Quantities of language models: `gen_ai.usage.input_tokens`.
_COUNTS = re.compile(
    r"(?:cached|completion|input|max|output|prompt|reasoning|total)[-_. ]?tokens$|tokens?[-_. ]?(?:count|usage)",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a name says that its value is a secret."""
    if _COUNTS.search(name):
        return False
    return bool(_PARTS.search(name) or _WORDS.search(name) or _BARE_KEY.fullmatch(name))
