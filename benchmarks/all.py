"""All claims, one after the other: `python benchmarks/all.py [--full]`. Without it, with few rounds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# The programs, and how many rounds are enough to see the order of magnitude.
QUICK = {
    "context.py": 7,
    "propagation.py": 7,
    "spans.py": 3,
    "request.py": 7,
    "end_of_root.py": 2,
    "export.py": 2,
    "imports.py": 7,
}
WITHOUT_ROUNDS = ("memory.py", "one_world.py")
ONLY_FULL = ("scaling.py", "growth.py", "fleet.py", "fuzz_headers.py")


def main() -> int:
    """Run them; the exit code says whether each ran, not whether each goal was met."""
    full = "--full" in sys.argv
    programs: dict[str, list[str]] = {name: [] if full else [str(rounds)] for name, rounds in QUICK.items()}
    programs |= {name: [] for name in (*WITHOUT_ROUNDS, *(ONLY_FULL if full else ()))}
    failed = []
    for name, arguments in programs.items():
        print(f"\n== {name}", flush=True)
        done = subprocess.run([sys.executable, str(Path(__file__).with_name(name)), *arguments], check=False)
        if done.returncode:
            failed.append(name)
    if failed:
        print(f"did not run: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
