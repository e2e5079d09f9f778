"""`python -m bridge`."""

from __future__ import annotations

import sys

from bridge._internal.cli import main

if __name__ == "__main__":
    sys.exit(main())
