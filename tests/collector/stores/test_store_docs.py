"""docs/log-and-stores.md and the list of problems hold what the code has."""

from __future__ import annotations

import re
from pathlib import Path

from collector.intake import core, gateway, interpret
from collector.io import log_schema, sqlite_log
from collector.stores import embedded_schema

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "log-and-stores.md").read_text(encoding="utf-8")


def test_every_code_has_its_anchor() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("problems*/*.md"))
    pages += (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")
    sources = [*(ROOT / "collector" / "stores").glob("*.py"), *(ROOT / "collector" / "io").glob("*log*.py")]
    codes = {code for source in sources for code in re.findall(r'"((?:LOG|STO)\d{3})"', source.read_text(encoding="utf-8"))}
    assert codes >= {"LOG401", "LOG402", "LOG403", "LOG404", "STO501", "STO502"}
    assert [code for code in sorted(codes) if f"### {code}\n" not in pages] == []


def test_the_bounds_are_those_of_the_code() -> None:
    for number in (core.MAX_PENDING, core.MAX_POISON, gateway.NEW_LANES_PER_HOUR, sqlite_log.MAX_POISON, interpret.MAX_BIRTHS):
        assert f"{number:,}" in PAGE or f" {number} " in PAGE, number
    assert f"{core.MAX_PENDING_BYTES >> 20} MiB" in PAGE
    assert f"{sqlite_log.SEGMENT_BYTES >> 20} MiB" in PAGE
    assert f"{core.IDLE_LANE_MS // 86_400_000} days" in PAGE


def test_the_tables_of_the_log_are_explained() -> None:
    for table in re.findall(r"CREATE TABLE (\w+)", log_schema.TABLES + log_schema.SEGMENT_TABLES):
        assert f"| `{table}` |" in PAGE
    assert "batch" in re.findall(r"CREATE TABLE (\w+)", embedded_schema.TABLES)
