"""Which headers, cookies, parameters and attributes hold secrets, by their names.

The words are those of Sentry's Data Collection specification (draft 0.1.0); whole names are sentry-sdk's
`DEFAULT_DENYLIST`. https://develop.sentry.dev/sdk/foundations/client/data-collection/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge._internal.secret_names import is_secret_name
from bridge._internal.semantics.conventions import NOT_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterable

# Whole words of headers, cookies and parameters.
_WORDS = frozenset(
    {
        *("auth", "authorization", "token", "secret", "password", "passwd", "passphrase", "pwd", "key"),
        *("apikey", "jwt", "bearer", "sso", "saml", "csrf", "xsrf", "credential", "credentials", "session", "sid"),
        *("identity", "cookie", "cookies", "signature", "sig"),
    }
)
# Words that say where a request comes from and who sent it: alone, behind another word, before another word.
_ORIGIN = frozenset({"forwarded", "via"})
_ORIGIN_LAST = frozenset({"ip", "ipv6", "user"})
_ORIGIN_FIRST = frozenset({"remote"})
# Whole names, of any attribute too.
_NAMES = frozenset(
    {
        *("password", "passwd", "secret", "api_key", "apikey", "auth", "credentials", "mysql_pwd", "privatekey"),
        *("private_key", "token", "session", "csrftoken", "sessionid", "x_csrftoken", "x_forwarded_for", "set_cookie"),
        *("cookie", "authorization", "proxy_authorization", "x_api_key", "aiohttp_session", "connect.sid"),
        *("csrf_token", "csrf", "_csrf", "_csrf_token", "phpsessid", "_session", "symfony", "user_session", "_xsrf"),
        *("xsrf_token", "x_real_ip", "ip_address", "remote_addr"),
        *("jwt", "bearer", "saml", "sso", "sid"),
    }
)
# Words of any attribute, beside those that the local variables of stack frames are filtered by (`secret_names`).
_WORDS_OF_ATTRIBUTES = frozenset({"jwt", "bearer"})
_LANGUAGE_MODELS = ("gen_ai.", "llm.", "ai.")
_SESSIONS = re.compile(r"(?:^|\.)session\.(?:id|previous_id)$|^mcp\.session[._]id$")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def words_of(name: str) -> list[str]:
    """Return the words of a name, in lower case, whatever separates them."""
    return [word.lower() for word in _WORD.findall(name)]


class SecretNames:
    """Tells names of secrets; `scrub_names` are those that a program adds."""

    def __init__(self, scrub_names: Iterable[str] = ()) -> None:
        self._own = [words for name in scrub_names if (words := words_of(name))]

    def is_own(self, name: str) -> bool:
        """Whether a name has one of the program's own names in it, word for word."""
        if not self._own:
            return False
        words = words_of(name)
        return any(
            words[start : start + len(own)] == own for own in self._own for start in range(len(words) - len(own) + 1)
        )

    def of_parameter(self, name: str) -> bool:
        """Whether a header, a cookie or a parameter of a URL holds a secret, or says where a request comes from."""
        words = words_of(name)
        if not _WORDS.isdisjoint(words) or not _ORIGIN.isdisjoint(words):
            return True
        if not _ORIGIN_LAST.isdisjoint(words[1:]) or not _ORIGIN_FIRST.isdisjoint(words[:-1]) or words == ["ip"]:
            return True
        return _normalised(name) in _NAMES or is_secret_name(name) or self.is_own(name)

    def of_attribute(self, key: str) -> bool:
        """Whether an attribute holds a secret; numbers of tokens and ids of sessions are none."""
        if self.is_own(key):
            return True
        if key in NOT_SECRET or _SESSIONS.search(key) or key.endswith(("_tokens", ".tokens")):
            return False
        if _normalised(key) in _NAMES or _normalised(key.rpartition(".")[2]) in _NAMES:
            return True
        if key.startswith(_LANGUAGE_MODELS):
            key = key.replace("token", "")
        return is_secret_name(key) or not _WORDS_OF_ATTRIBUTES.isdisjoint(words_of(key))


def _normalised(name: str) -> str:
    return name.lower().replace("-", "_")
