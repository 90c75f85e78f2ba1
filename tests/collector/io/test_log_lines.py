"""The time stands in each line where nobody else adds it."""

from __future__ import annotations

from pathlib import Path

from collector.io.log_lines import PLAIN, TIMED, line_format


def test_journald_gets_no_time_and_everybody_else_does(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        here = (tmp_path / "log").stat()
        assert line_format(stream, {"JOURNAL_STREAM": f"{here.st_dev}:{here.st_ino}"}) == PLAIN
        assert line_format(stream, {"JOURNAL_STREAM": f"{here.st_dev}:{here.st_ino + 1}"}) == TIMED
        assert line_format(stream, {}) == TIMED
