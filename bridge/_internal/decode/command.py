"""`python -m bridge decode`: read arguments or standard input, print text or JSON, return an exit code."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from bridge._internal.console.terminal import Terminal, is_terminal
from bridge._internal.decode.decoder import decode
from bridge._internal.decode.input import UnreadableError, read_arguments, read_text
from bridge._internal.decode.text import report_lines
from bridge._internal.options import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

FINE, WRONG, USAGE = 0, 1, 2


def run_decode(arguments: Sequence[str], *, as_json: bool, rate: float | None, org_id: str | None, strict: bool) -> int:
    """Explain headers and return the exit code: 1 if anything is malformed or in conflict, 2 if no header is found."""
    try:
        headers = _headers(arguments)
        options = resolve({"traces_sample_rate": rate, "org_id": org_id, "strict_trace_continuation": strict}, {})
    except ValueError as error:
        sys.stderr.write(f"python -m bridge decode: {str(error).removeprefix('bridge.init: ')}\n")
        return USAGE
    report = decode(headers, options)
    if as_json:
        sys.stdout.write(json.dumps(report.as_json(), indent=2) + "\n")
    else:
        terminal = Terminal(sys.stdout)
        terminal.write(report_lines(report, terminal.width))
    return FINE if report.is_fine else WRONG


def _headers(arguments: Sequence[str]) -> dict[str, str]:
    if arguments and list(arguments) != ["-"]:
        return read_arguments(arguments)
    if is_terminal(sys.stdin):
        raise UnreadableError("pass headers, as in 'sentry-trace: ...', or pipe a request's headers into the command")
    return read_text(sys.stdin.read())
