"""The daily summary, and what is made up after an absence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from collector.io.operations import SqliteOperations
from collector.reports.daily import Account, Day, daily_summary, day_of, missing_days
from collector.reports.daily_job import DailyJob
from collector.rules.changes import Raised
from tests.support.warnings import T0, county, raised

ZONE = ZoneInfo("Asia/Shanghai")
TODAY = date(2026, 11, 24)


class At:
    """A clock that stands still."""

    def __init__(self, hour: int) -> None:
        self._at = datetime(2026, 11, 24, hour, tzinfo=ZONE)

    def monotonic_ms(self) -> int:
        return 0

    def utc_ms(self) -> int:
        return round(self._at.timestamp() * 1000)


def test_a_day_is_one_of_the_countys_calendar() -> None:
    day = day_of(TODAY, ZONE)
    assert day.name == "2026-11-24"
    assert datetime.fromtimestamp(day.from_ms / 1000, UTC).hour == 16
    assert day.to_ms - day.from_ms == 86_400_000
    spring = day_of(date(2026, 3, 29), ZoneInfo("Europe/Berlin"))
    assert spring.to_ms - spring.from_ms == 23 * 3_600_000


def test_missing_days() -> None:
    now_ms = At(1).utc_ms()
    assert [d.name for d in missing_days([], now_ms, ZONE)] == ["2026-11-23"]
    assert [d.name for d in missing_days(["2026-11-20"], now_ms, ZONE)] == ["2026-11-21", "2026-11-22", "2026-11-23"]
    assert missing_days(["2026-11-23"], now_ms, ZONE) == []
    assert len(missing_days(["2026-01-01"], now_ms, ZONE)) == 7


def test_what_the_summary_counts() -> None:
    day = Day("2025-10-09", T0, T0 + 86_400_000)
    lasting, over = raised(began_s=10), raised(began_s=20, over_s=50)
    before = raised(began_s=-100_000, over_s=30)
    past, after = raised(began_s=60, state="past", over_s=70), raised(began_s=100_000)
    taken = replace(raised(began_s=30), state="acknowledged", level="red")
    text = daily_summary(day, [lasting, over, before, past, after, taken], Account({}, received=12, lost=3), county())
    assert "新告警 3 条（红色1、黄色2、蓝色0），恢复 2 条，仍在持续 2 条，无人接单 3 条；补记历史 1 条。" in text.zh
    assert "New warnings 3 (red 1, yellow 2, blue 0), over 2, still lasting 2" in text.en
    assert "lost 3" in text.en
    assert "全天无读数的站点：大湾" in text.zh
    assert text.en.splitlines()[-2].startswith("- red Dawan"), "the most urgent first"
    assert "without a reading" not in daily_summary(day, [], Account({"dawan": 5}), county()).en


def test_the_job_makes_up_what_was_missed_and_never_twice(tmp_path: Path) -> None:
    operations = SqliteOperations(tmp_path / "operations.db", county(), channels=("duty",))
    operations.commit(1, b"", [Raised(raised())], T0)
    told: list[None] = []
    asked: list[str] = []

    def account(day: Day) -> Account:
        asked.append(day.name)
        return Account({"dawan": 7})

    job = DailyJob(operations, county(), ZONE, account, At(1), lambda: told.append(None))
    assert job.run() == ["2026-11-23"]
    assert job.run() == []
    assert (len(told), asked) == (1, ["2026-11-23"])
    assert "level low" in operations.summaries()[0].text.en
    operations.close()
