"""Does I/O: the JSON Schemas that the program carries (`tools/schemas.py` makes them), and puts beside the files they are for."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

SchemaName = Literal["profile", "site"]
_HERE = Path(__file__).with_name("schemas")


def carried_schema(name: SchemaName) -> str:
    """The text of a schema."""
    return (_HERE / f"{name}.schema.json").read_text(encoding="utf-8")


def schema_comment(name: SchemaName, levels_up: int) -> str:
    """The first line of a file with which an editor finds the schema, so many folders above the file."""
    return f"# yaml-language-server: $schema={'../' * levels_up}{name}.schema.json"


def put_schema(name: SchemaName, folder: Path) -> None:
    """Writes the schema into a folder where it is not there yet, or is that of another release. Raises OSError."""
    path, text = folder / f"{name}.schema.json", carried_schema(name)
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
