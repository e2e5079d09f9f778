"""Write the options into docs/configuration.md: from the option table, the defaults and what `InitOptions` says.

Run as `python docs/_tools/option_table.py` after a change to an option; a test fails until it was.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "configuration.md"
BEGIN = "<!-- Made by docs/_tools/option_table.py from here -->\n"
END = "<!-- to here -->\n"
DSN = (
    "A string. Where to send: the address of a Sentry project, `https://<key>@<host>/<project>`. "
    "Not set: everything is live, and nothing is sent."
)

_PAGE_NAME = re.compile(r"\b([\w-]+\.md)\b")


class OptionText(NamedTuple):
    """What is said of an option: what it takes, a sentence without its stop, and what it does."""

    takes: str
    what: str


def option_texts() -> dict[str, OptionText]:
    """Return what is said of each option, in the order in which they are explained."""
    from bridge._internal import init_options

    body = ast.parse(inspect.getsource(init_options.InitOptions)).body[0]
    assert isinstance(body, ast.ClassDef)
    texts = {"dsn": _split(DSN)}
    for option, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(option, ast.AnnAssign) and isinstance(option.target, ast.Name):
            assert isinstance(text, ast.Expr), f"nothing is said of {option.target.id}"
            texts[option.target.id] = _split(" ".join(str(ast.literal_eval(text.value)).split()))
    return texts


def _split(text: str) -> OptionText:
    # The first full stop that a space and a capital follow ends the sentence: numbers and names have stops too.
    for position, sign in enumerate(text):
        if sign == "." and text[position + 1 : position + 2] == " " and text[position + 2].isupper():
            return OptionText(text[:position], text[position + 2 :])
    raise AssertionError(f"this needs a sentence for what it takes and one for what it does: {text}")


def render() -> str:
    """Return the section of every option."""
    return "\n".join(_section(option, text) for option, text in option_texts().items())


def _section(option: str, text: OptionText) -> str:
    facts = f"Takes {text.takes[0].lower()}{text.takes[1:]}."
    if text.takes.startswith(("True", "False", "OpenTelemetry")):
        facts = f"Takes {text.takes}."
    if "Default: " not in text.what:
        facts += f" Default: {_default(option)}."
    if variables := _variables(option):
        facts += f" Variable: {', then '.join(variables)}."
    what = _PAGE_NAME.sub(r"[\1](\1)", text.what)
    return f"### `{option}`\n\n{facts}\n\n{what}\n"


def _default(option: str) -> str:
    from bridge._internal.options import Options

    value = Options.__dataclass_fields__[option].default
    if value is None:
        return "not set"
    return "empty" if value == () else f"`{value!r}`"


def _variables(option: str) -> list[str]:
    from bridge._internal.options import RESOURCE_ATTRIBUTES, ROWS

    named = [f"`{variable}`" for variable in ROWS[option].environment]
    attributes = " or ".join(f"`{attribute}`" for attribute in RESOURCE_ATTRIBUTES.get(option, ()))
    return [*named, *([f"{attributes} in `OTEL_RESOURCE_ATTRIBUTES`"] if attributes else [])]


def page(before: str) -> str:
    """Return the page with its sections made anew."""
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{render()}\n{END}{tail}"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
