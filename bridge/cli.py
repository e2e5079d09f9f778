"""The command line: `python -m bridge COMMAND`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bridge._version import __version__
from bridge.delivery.dsn import Dsn

if TYPE_CHECKING:
    from collections.abc import Sequence


def _dsn(text: str) -> Dsn:
    try:
        return Dsn.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bridge", description="Sentry and OpenTelemetry as one.")
    parser.add_argument("--version", action="version", version=f"sentry-otel-bridge {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="two HTTP services, both APIs, one trace: prints the tree")
    demo.add_argument("--dsn", type=_dsn, help="send to this Sentry or Spotlight instead of a local receiver")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    from bridge.demo.run import run_demo

    return run_demo(arguments.dsn)
