"""Pure. The summary of one day: what stands, what came and went, what nobody has taken, and whether readings came at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from collector.domain.county import County
from collector.domain.notice_text import LEVEL_TEXT, site_of
from collector.domain.warning import Level, Warning
from edge_agent.contract.message import Text

LEVELS: tuple[Level, ...] = ("red", "yellow", "blue")
MAX_LINES = 20


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day of the county. Times ms UTC, from_ms <= t < to_ms."""

    name: str
    """`2026-11-24`."""
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Account:
    """What delivery counted, over all gateways. Batches, except readings."""

    readings: Mapping[str, int]
    """Stored readings of the day by site."""
    received: int = 0
    duplicate: int = 0
    lost: int = 0


def day_of(day: date, zone: tzinfo) -> Day:
    """A date as a span of time in a zone."""
    begin = datetime(day.year, day.month, day.day, tzinfo=zone)
    after = day + timedelta(days=1)
    end = datetime(after.year, after.month, after.day, tzinfo=zone)
    return Day(day.isoformat(), round(begin.timestamp() * 1000), round(end.timestamp() * 1000))


def missing_days(done: Iterable[str], now_ms: int, zone: tzinfo, most: int = 7) -> list[Day]:
    """Days that ended before now and have no summary, oldest first: what was missed while the collector was down is made up.

    Goes back to the day after the newest one done, at most `most` days; the first time yesterday only.
    """
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    newest = max((date.fromisoformat(day) for day in done), default=today - timedelta(days=2))
    first = max(newest + timedelta(days=1), today - timedelta(days=most))
    return [day_of(first + timedelta(days=n), zone) for n in range(max(0, (today - first).days))]


def daily_summary(day: Day, warnings: Sequence[Warning], account: Account, county: County) -> Text:
    """The text of a day. warnings: all that began before its end and were not closed and over before its start."""
    lasting = [
        w for w in warnings if w.state != "past" and w.began_ms < day.to_ms and (w.over_ms is None or w.over_ms >= day.to_ms)
    ]
    began = [w for w in warnings if w.state != "past" and day.from_ms <= w.began_ms < day.to_ms]
    over = [w for w in warnings if w.state != "past" and w.over_ms is not None and day.from_ms <= w.over_ms < day.to_ms]
    past = [w for w in warnings if w.state == "past" and day.from_ms <= w.began_ms < day.to_ms]
    untaken = [w for w in warnings if w.state in ("raised", "returned") and w.began_ms < day.to_ms]
    quiet = sorted(site for site in county.sites if not account.readings.get(site))
    counts = _levels(began)
    zh = [
        f"{county.name.zh} {day.name} 日报",
        f"新告警 {len(began)} 条（{counts.zh}），恢复 {len(over)} 条，仍在持续 {len(lasting)} 条，无人接单 {len(untaken)} 条；"
        f"补记历史 {len(past)} 条。",
        f"读数 {sum(account.readings.values())} 个；批次收到 {account.received}，重复 {account.duplicate}，丢失 {account.lost}。",
    ]
    en = [
        f"{county.name.en}, {day.name}: daily summary",
        f"New warnings {len(began)} ({counts.en}), over {len(over)}, still lasting {len(lasting)}, "
        f"not taken by anybody {len(untaken)}; recorded as past {len(past)}.",
        f"Readings {sum(account.readings.values())}; batches received {account.received}, doubled {account.duplicate}, "
        f"lost {account.lost}.",
    ]
    if quiet:
        zh.append("全天无读数的站点：" + "、".join(site_of(county, site).name.zh for site in quiet))
        en.append("Sites without a reading all day: " + ", ".join(site_of(county, site).name.en for site in quiet))
    for warning in sorted(lasting, key=_urgency)[:MAX_LINES]:
        site = site_of(county, warning.site)
        zh.append(f"· {LEVEL_TEXT[warning.level].zh} {site.name.zh} {warning.title.zh}（{warning.subject}）")
        en.append(f"- {LEVEL_TEXT[warning.level].en} {site.name.en}: {warning.title.en} ({warning.subject})")
    return Text("\n".join(zh), "\n".join(en))


def _levels(warnings: Sequence[Warning]) -> Text:
    counts = {level: sum(w.level == level for w in warnings) for level in LEVELS}
    zh = "、".join(f"{LEVEL_TEXT[level].zh}{counts[level]}" for level in LEVELS)
    return Text(zh, ", ".join(f"{LEVEL_TEXT[level].en} {counts[level]}" for level in LEVELS))


def _urgency(warning: Warning) -> tuple[int, int]:
    return LEVELS.index(warning.level), warning.began_ms
