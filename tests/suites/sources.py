"""OpenTelemetry's own suites, and what they need, as their releases have them."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

from tests.interop.neighbours import FOLDER, absent


def suite_of(package: str) -> Path:
    """Return the tests of the installed version of a package, from its source distribution."""
    folder = FOLDER / "suites"
    folder.mkdir(parents=True, exist_ok=True)
    unpacked = folder / f"{package.replace('-', '_')}-{version(package)}"
    if not unpacked.exists():
        pip("download", "--no-binary", package, "--dest", str(folder), f"{package}=={version(package)}")
        with tarfile.open(f"{unpacked}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return unpacked


def helpers() -> Path:
    """Return a folder of the helpers that the suites import, of the release that goes with the SDK or the last before.

    They are not installed beside what is tested: nothing else may lean on them.
    """
    release = version("opentelemetry-semantic-conventions")
    folder = FOLDER / "suites" / f"opentelemetry-test-utils-{release}"
    if not folder.exists():
        pip("install", "--target", str(folder), f"opentelemetry-test-utils<={release}")
    return folder


def pip(command: str, *arguments: str) -> None:
    """Have pip get one package; what cannot be had is absent."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", command, "--quiet", "--no-deps", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if done.returncode:
        absent(f"{arguments[-1]} cannot be had: {done.stderr.strip()[-300:]}")
