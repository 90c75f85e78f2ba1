"""Does I/O: compares a text with its golden file. `make golden` (WRITE_GOLDEN=1) writes the files anew; git shows what changed."""

from __future__ import annotations

import os
from pathlib import Path


def is_written() -> bool:
    """True where golden files are to be written, not compared."""
    return bool(os.environ.get("WRITE_GOLDEN"))


def assert_golden(file: Path, text: str) -> None:
    """The text is exactly what stands in the file."""
    if is_written():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
