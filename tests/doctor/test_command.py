"""`python -m bridge doctor`, as it is called."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bridge._internal.console.problem import Problem
from bridge._internal.console.terminal import render
from bridge._internal.doctor.report import SCHEMA, Report, report_lines
from tests.delivery.sink import Answer, Sink
from tests.doctor.programs import DSN, INIT, run

pytestmark = pytest.mark.programs

SECRET = "http://public0123456789:topsecret@127.0.0.1:9/42"


def doctor(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return run(["-m", "bridge", "doctor", *arguments], folder, **variables)


def report(folder: Path, *arguments: str, **variables: str) -> dict[str, Any]:
    """Run the command and read its JSON."""
    done = doctor(folder, "--json", *arguments, **variables)
    read: dict[str, Any] = json.loads(done.stdout)
    assert read["exit_code"] == done.returncode, done.stderr
    return read


def codes(read: dict[str, Any]) -> list[str]:
    """Return the codes of problems that are errors or warnings."""
    return [problem["code"] for problem in read["problems"] if problem["severity"] != "info"]


def test_a_sound_environment(tmp_path: Path) -> None:
    """The report lists what is active in plain lines, the verdict last, and the exit code is 0."""
    done = doctor(tmp_path, SENTRY_DSN=DSN, SENTRY_TRACES_SAMPLE_RATE="0.5")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nNothing is wrong.\n")
    assert "traces_sample_rate = 0.5  (SENTRY_TRACES_SAMPLE_RATE)" in done.stdout
    assert "\x1b" not in done.stdout
    for said in ("opentelemetry-sdk 1.", "SentryRuntimeContext", "W3CBaggagePropagator", "SentrySampler{0.5}"):
        assert said in done.stdout


def test_an_error_is_exit_code_1(tmp_path: Path) -> None:
    """What is wrong, why and how to mend it; a warning alone is exit code 0."""
    done = doctor(tmp_path, SENTRY_DSN=DSN, OTEL_SDK_DISABLED="true")
    assert done.returncode == 1
    assert "ERROR [sdk-disabled] OTEL_SDK_DISABLED is true.\n    why: " in done.stdout
    assert "    fix: Unset OTEL_SDK_DISABLED.\n" in done.stdout
    assert done.stdout.endswith("\n1 error, 0 warnings.\n")
    assert doctor(tmp_path).returncode == 0


def test_the_json_has_what_is_documented(tmp_path: Path) -> None:
    """The keys that docs/doctor.md names are there, with values of the kinds that it names."""
    read = report(tmp_path, SENTRY_DSN=DSN, SENTRY_TRACES_SAMPLE_RATE="0")
    assert set(read) == {"schema", "sound", "exit_code", "problems", "sent", "set_up_by", "facts"}
    assert (read["schema"], read["sound"], read["sent"]) == (SCHEMA, True, None)
    assert set(read["problems"][0]) == {"severity", "code", "what", "why", "fix"}
    assert set(read["facts"]) == {
        "python",
        "packages",
        "bridge",
        "context",
        "propagator",
        "provider",
        "patches",
        "instrumentations",
        "delivery",
        "options",
        "environment",
    }
    facts = read["facts"]
    assert facts["options"]["traces_sample_rate"] == {"value": 0.0, "source": "SENTRY_TRACES_SAMPLE_RATE"}
    assert facts["provider"]["whose"] == "bridge"
    assert facts["propagator"]["type"] == "bridge._internal.propagation.propagator.SentryPropagator"
    assert facts["delivery"]["dsn"]["project"] == "1"


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """Neither the DSN's secret key nor its whole public one, nor values of variables that may hold a token."""
    for arguments in ((), ("--json",)):
        done = doctor(
            tmp_path, *arguments, SENTRY_DSN=SECRET, OTEL_EXPORTER_OTLP_HEADERS="a=token", DD_API_KEY="datadog-key"
        )
        for secret in ("topsecret", "public0123456789", "token", "datadog-key"):
            assert secret not in done.stdout + done.stderr
        assert "publ..." in done.stdout


def test_a_value_that_cannot_be_used(tmp_path: Path) -> None:
    """A variable that init refuses is the error that it is in a program, and nothing else is guessed."""
    read = report(tmp_path, SENTRY_DSN="http://127.0.0.1/1")
    assert codes(read) == ["set-up-failed"]
    assert "it has no public key" in read["problems"][0]["what"]


def test_opentelemetry_that_cannot_be_imported(tmp_path: Path) -> None:
    """A propagator that is not there stops every program; the command tells of it all the same."""
    done = doctor(tmp_path, OTEL_PROPAGATORS="tracecontext,b4")
    assert done.returncode == 1
    assert "ERROR [opentelemetry-not-importable]" in done.stdout
    assert "Propagator b4 not found" in done.stdout
    assert "Traceback" not in done.stderr
    (tmp_path / "broken-1.0.dist-info").mkdir()
    (tmp_path / "broken-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (tmp_path / "broken-1.0.dist-info" / "entry_points.txt").write_text("[opentelemetry_propagator]\nx = nowhere:X\n")
    read = report(tmp_path, OTEL_PROPAGATORS="x", PYTHONPATH=str(tmp_path))
    assert codes(read) == ["opentelemetry-not-importable"]
    assert "nowhere" in read["problems"][0]["what"]
    assert read["facts"] == {}


@pytest.mark.parametrize("app", ["shop", "shop:main", "shop.py", "shop:App.start", "shop:asgi"])
def test_a_program_is_imported_first(app: str, tmp_path: Path) -> None:
    """Its init runs, in a module, in a function or in a file; what it prints does not get into the report."""
    body = "".join(f"    {line}\n" for line in [*INIT.splitlines(), "print('hello')"])
    source = {
        "shop": INIT + "print('hello')\n",
        "shop.py": INIT + "print('hello')\n",
        "shop:main": f"def main():\n{body}",
        "shop:App.start": f"def start():\n{body}class App:\n    start = staticmethod(start)\n",
        "shop:asgi": INIT + "def asgi(scope, receive, send): ...\n",
    }[app]
    (tmp_path / "shop.py").write_text(source)
    read = report(tmp_path, "--app", app, PYTHONSAFEPATH="1")
    assert codes(read) == []
    assert read["set_up_by"] == f"as {app} sets it up"
    assert read["facts"]["options"]["dsn"]["source"] == "argument"


@pytest.mark.parametrize(
    ("source", "code", "says"),
    [
        ("x = 1\n", "not-initialised", "not initialised"),
        ("1 / 0\n", "set-up-failed", "ZeroDivisionError"),
        ("raise SystemExit(3)\n", "set-up-failed", "SystemExit: 3"),
    ],
)
def test_a_program_that_does_not_set_up(source: str, code: str, says: str, tmp_path: Path) -> None:
    """A program without init, and one that cannot be imported, are errors."""
    (tmp_path / "shop.py").write_text(source)
    read = report(tmp_path, "--app", "shop")
    assert codes(read) == [code]
    assert says in read["problems"][0]["what"]


def test_a_process_that_a_launcher_set_up(tmp_path: Path) -> None:
    """What was set up before the command began is looked at as it is."""
    (tmp_path / "sitecustomize.py").write_text(INIT)
    read = report(tmp_path, PYTHONPATH=str(tmp_path))
    assert "before the command began" in read["set_up_by"]
    assert codes(read) == []


def test_a_test_is_sent(tmp_path: Path) -> None:
    """`--send` tells what the server answered, and is an error if it did not take both."""
    with Sink() as sink:
        done = doctor(tmp_path, "--send", SENTRY_DSN=str(sink.dsn))
        assert done.returncode == 0, done.stdout
        assert f"HTTP 200, taken; event {sink.event_ids[0]}" in done.stdout
        assert len(sink.envelopes) == 2
        sink.script.extend([Answer(), Answer(403)])
        read = report(tmp_path, "--send", SENTRY_DSN=str(sink.dsn))
    assert read["exit_code"] == 1
    assert [one["status"] for one in read["sent"]] == [200, 403]
    assert codes(read) == ["test-not-taken"]
    assert codes(report(tmp_path, "--send")) == ["test-not-taken", "nothing-is-sent"]


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colours(variables: dict[str, str], coloured: bool, tmp_path: Path) -> None:
    """Only on a terminal, unless FORCE_COLOR or NO_COLOR say otherwise."""
    variables = {"FORCE_COLOR": "", "NO_COLOR": "", **variables}
    assert ("\x1b[33mWARNING\x1b[0m" in doctor(tmp_path, **variables).stdout) is coloured


def test_the_text_of_a_report() -> None:
    """The worst first, each with why and fix, and a count."""
    problems = [Problem("error", "A.", "B.", "C.", "a"), Problem("info", "D.", "E.", "F.", "d")]
    assert render(report_lines(Report("by hand", {}, problems)), coloured=False) == (
        "bridge doctor: by hand\n\n\nERROR [a] A.\n    why: B.\n    fix: C.\n"
        "note [d] D.\n    why: E.\n    fix: F.\n1 error, 0 warnings.\n"
    )
