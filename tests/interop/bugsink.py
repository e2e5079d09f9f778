"""Bugsink: a self-hosted server for the errors of Sentry's SDKs, from PyPI."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge._internal.delivery.envelope import Envelope
from tests.interop.neighbours import free_port, pip_install, running

REQUIREMENTS = "bugsink==2.6.1\n"
# It stores only what fits its schema of events, keeps what was posted as it came, and writes in its own folder alone.
CONFIGURATION = """
from pathlib import Path
BUGSINK.update(
    PHONEHOME=False,
    VALIDATE_ON_DIGEST="strict",
    KEEP_ENVELOPES=1000,
    INGEST_STORE_BASE_DIR=str(Path(__file__).parent / "ingestion"),
)
"""
MAKE_PROJECT = """
import json
from bsmain.models import AuthToken
from projects.models import Project
project = Project.objects.create(name="bridge", slug="bridge")
print(json.dumps({"dsn": project.dsn, "project": project.id, "token": AuthToken.create_full_access().token}))
"""


@dataclass(frozen=True, slots=True)
class Bugsink:
    """A running Bugsink: where to send, what it stored and what it was posted."""

    folder: Path
    port: int
    dsn: str
    project: int
    token: str

    def events(self) -> dict[str, dict[str, Any]]:
        """Return the payloads of all stored events, by the id they were sent with."""
        with httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}/api/canonical/0/",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30,
            trust_env=False,
        ) as client:
            stored = [
                _get(client, f"events/{event['id']}/")["data"]
                for issue in _get_all(client, "issues/", project=str(self.project))
                for event in _get_all(client, "events/", issue=issue["id"])
            ]
        return {event["event_id"]: event for event in stored}

    def envelopes(self) -> list[Envelope]:
        """Return every envelope that was posted, in that order, whatever became of it."""
        with closing(sqlite3.connect(self.folder / "db.sqlite3")) as database:
            rows = database.execute("SELECT data FROM ingest_envelope ORDER BY id").fetchall()
        return [Envelope.parse(data) for (data,) in rows]


def _get(client: httpx.Client, path: str, **query: str) -> Any:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _get_all(client: httpx.Client, path: str, **query: str) -> list[dict[str, Any]]:
    page = _get(client, path, **query)
    found: list[dict[str, Any]] = page["results"]
    while page["next"]:
        page = _get(client, page["next"])
        found += page["results"]
    return found


@contextmanager
def start_bugsink() -> Iterator[Bugsink]:
    """Install it, set it up with nothing in it and run it for a block."""
    programs = pip_install("bugsink", REQUIREMENTS) / "bin"
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bridge-bugsink-") as temporary:
        folder = Path(temporary)
        create = ("--template=local", f"--port={port}", "--host=127.0.0.1")
        _run(folder, programs / "bugsink-create-conf", *create)
        with (folder / "bugsink_conf.py").open("a") as configuration:
            configuration.write(CONFIGURATION)
        manage = programs / "bugsink-manage"
        _run(folder, manage, "migrate")
        _run(folder, manage, "migrate", "snappea", "--database=snappea")
        made = json.loads(_run(folder, manage, "shell", "--command", MAKE_PROJECT).splitlines()[-1])
        # The configuration for one machine does all work within the request: there is no second process to run.
        serve = [str(programs / "gunicorn"), "--workers=1", f"--bind=127.0.0.1:{port}", "--no-control-socket"]
        ready = f"http://127.0.0.1:{port}/health/ready"
        with running([*serve, "bugsink.wsgi"], ready, folder, _environment(folder)):
            yield Bugsink(folder, port, **made)


def _run(folder: Path, program: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(program), *arguments],
        cwd=folder,
        env={**os.environ, **_environment(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{program.name} {arguments[0]} failed: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def _environment(folder: Path) -> dict[str, str]:
    return {"DJANGO_SETTINGS_MODULE": "bugsink_conf", "PYTHONPATH": str(folder)}
