"""A PostgreSQL of our own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.frameworks.harness import eventually
from tests.interop.neighbours import absent, free_port

DEBIAN = Path("/usr/lib/postgresql")


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a server for a block, as another user where this one is root; gives `user@host:port/name`."""
    programs = next(iter(sorted(DEBIAN.glob("*/bin"), reverse=True)), None)
    if programs is None:
        absent("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="bridge-postgresql-"))
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        who = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres", "postgres")
    data, port = folder / "data", free_port()
    initdb = [f"{programs}/initdb", "--pgdata", str(data), "--auth", "trust", "--username", "shop", "--no-sync"]
    subprocess.run(initdb, cwd=folder, check=True, capture_output=True, timeout=60, **who)
    command = [f"{programs}/postgres", "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-F"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True, **who)
    try:
        eventually(lambda: _answers(port), "PostgreSQL did not become ready")
        yield f"shop@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(30)
        shutil.rmtree(folder)


def _answers(port: int) -> bool:
    import psycopg

    with suppress(psycopg.OperationalError), psycopg.connect(f"postgresql://shop@127.0.0.1:{port}/postgres"):
        return True
    return False
