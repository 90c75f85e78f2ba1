"""Does I/O: runs benchmarks by name: `python -m benchmarks flash air`, all without a name.

Each is a module of this folder with `main() -> int`.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def names() -> list[str]:
    """Modules here that can be run without arguments."""
    files = Path(__file__).parent.glob("[a-z]*.py")
    return sorted(file.stem for file in files if "\ndef main(" in file.read_text(encoding="utf-8"))


def main(wanted: list[str]) -> int:
    """Runs these one after another; exit code 1 if any missed what it has to hold, 2 for a name that is none."""
    known = names()
    if set(wanted) - set(known):
        print(f"usage: python -m benchmarks [NAME...]   names: {', '.join(known)}", file=sys.stderr)
        return 2
    return max(int(importlib.import_module(f"benchmarks.{name}").main()) for name in wanted or known)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
