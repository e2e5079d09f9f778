"""The command line: `python -m bridge COMMAND`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from bridge._internal.dsn import Dsn
from bridge._internal.version import __version__

_NONE = "\0"  # the first character of no argument: all that follows the command is another program's

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    return run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bridge", description="Sentry and OpenTelemetry as one.")
    parser.add_argument("--version", action="version", version=f"sentry-otel-bridge {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_doctor(commands)
    _add_decode(commands)
    _add_run(commands)
    return parser


def _command(
    commands: Commands, name: str, run: Callable[[Any], int], what: str, prefix_chars: str = "-"
) -> argparse.ArgumentParser:
    """Add a command; what it needs is imported when it runs, so the others start fast."""
    has_options = prefix_chars != _NONE
    command = commands.add_parser(name, help=what, description=what, prefix_chars=prefix_chars, add_help=has_options)
    command.set_defaults(run=run)
    return command


def _dsn(text: str) -> Dsn:
    try:
        return Dsn.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_demo(commands: Commands) -> None:
    demo = _command(commands, "demo", _demo, "start two HTTP services that mix both APIs and print the resulting trace")
    demo.add_argument("--dsn", type=_dsn, help="send to this Sentry or Spotlight instead of a local receiver")


def _demo(arguments: argparse.Namespace) -> int:
    from bridge._internal.demo.command import run_demo

    return run_demo(arguments.dsn)


def _add_doctor(commands: Commands) -> None:
    doctor = _command(
        commands,
        "doctor",
        _doctor,
        "reports what is active, what is misconfigured and how to fix it; exit code 1 on an error",
    )
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.add_argument("--send", action="store_true", help="send a test message and a test transaction to the DSN")
    doctor.add_argument(
        "--app",
        metavar="MODULE",
        help="import this program first, so that its init() runs: package.module, package.module:function or a file",
    )


def _doctor(arguments: argparse.Namespace) -> int:
    from bridge._internal.doctor.command import run_doctor

    return run_doctor(app=arguments.app, json=arguments.json, send=arguments.send)


def _add_decode(commands: Commands) -> None:
    decode = _command(commands, "decode", _decode, "explain trace headers, and where they disagree")
    decode.add_argument(
        "headers",
        nargs="*",
        metavar="HEADER",
        help="'sentry-trace: ...', 'baggage: ...', 'traceparent: ...' or 'tracestate: ...'; "
        "none, or '-': read standard input, such as the output of curl -v or env, or a JSON object",
    )
    decode.add_argument("--json", action="store_true", help="print JSON")
    decode.add_argument("--rate", type=float, help="the receiver's traces_sample_rate")
    decode.add_argument("--org-id", help="the receiver's organisation")
    decode.add_argument("--strict", action="store_true", help="the receiver has strict_trace_continuation")


def _decode(arguments: argparse.Namespace) -> int:
    from bridge._internal.decode.command import run_decode

    return run_decode(
        arguments.headers,
        as_json=arguments.json,
        rate=arguments.rate,
        org_id=arguments.org_id,
        strict=arguments.strict,
    )


def _add_run(commands: Commands) -> None:
    run = _command(
        commands, "run", _run, "run a program with bridge set up from environment variables", prefix_chars=_NONE
    )
    run.add_argument("program", nargs="*")


def _run(arguments: argparse.Namespace) -> int:
    from bridge._internal.zero_code.run import run_program

    return run_program(arguments.program)
