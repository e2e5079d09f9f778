"""What gunicorn does in tests beside what it is told: each worker writes its account when it ends."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

import bridge


def worker_exit(server: object, worker: object) -> None:
    """Write the account of a worker that ends, after it has sent everything."""
    bridge.flush()
    account = json.dumps(asdict(bridge.get_client().accounting()))
    os.write(2, f"account: {account}\n".encode())  # in one piece, as other workers write too
