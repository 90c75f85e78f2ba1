"""The date of the release moves with the list of changes."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

from edge_agent.common.release import BUILD_MS, RELEASE_DATE

CHANGES = Path(__file__).parents[3] / "CHANGELOG.md"
BEFORE_ANY = date(2026, 1, 1)


def newest_release(changes: str) -> date | None:
    """The date of the newest `## 1.2.3 - 2026-01-31` of a list of changes."""
    dates = [
        date.fromisoformat(found) for found in re.findall(r"^## \[?\d+\.\d+\.\d+\]? - (\d{4}-\d\d-\d\d)", changes, re.MULTILINE)
    ]
    return max(dates, default=None)


def test_the_newest_release_is_found() -> None:
    text = "## Unreleased\n\n## [0.2.0] - 2027-03-01\n- x 2030-01-01\n## 0.1.0 - 2026-12-24\n"
    assert newest_release(text) == date(2027, 3, 1)
    assert newest_release("## Unreleased\n") is None


def test_no_clock_is_believed_that_is_behind_the_newest_release() -> None:
    newest = newest_release(CHANGES.read_text(encoding="utf-8"))
    assert (newest or BEFORE_ANY) == RELEASE_DATE, "set RELEASE_DATE in edge_agent/common/release.py to the date of the release"
    assert datetime.fromtimestamp(BUILD_MS / 1000, UTC).date() == RELEASE_DATE
