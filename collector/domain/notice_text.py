"""Pure. What a person is told of a warning: what, where, since when, what it showed, the first thing to do, and who has to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from collector.domain.county import County, SiteInfo
from collector.domain.evidence import evidence_text
from collector.domain.warning import Level, Warning
from edge_agent.contract.message import Text

LEVEL_TEXT: Mapping[Level, Text] = {"blue": Text("蓝色", "blue"), "yellow": Text("黄色", "yellow"), "red": Text("红色", "red")}
MAX_EVIDENCE = 5


def site_of(county: County, site: str) -> SiteInfo:
    """The site as the county knows it; one that is not listed has its id as its name."""
    return county.sites.get(site) or SiteInfo(site, Text(site, site))


def zone_of(site: SiteInfo) -> tzinfo:
    """The site's time zone; UTC+8 where the name is not known to this machine."""
    try:
        return ZoneInfo(site.zone)
    except (ZoneInfoNotFoundError, ValueError):
        return timezone(timedelta(hours=8))


def clock_text(at_ms: int, site: SiteInfo) -> str:
    """An instant in the site's zone, to the minute."""
    return datetime.fromtimestamp(at_ms / 1000, zone_of(site)).strftime("%Y-%m-%d %H:%M")


def raised_text(warning: Warning, county: County) -> Text:
    """The message of a new warning."""
    site = site_of(county, warning.site)
    entries = [evidence_text(*entry) for entry in warning.evidence[:MAX_EVIDENCE]]
    shown = Text(*("; ".join(f"{getattr(name, one)} {getattr(value, one)}" for name, value in entries) for one in ("zh", "en")))
    since, level = clock_text(warning.began_ms, site), LEVEL_TEXT[warning.level]
    person = county.people.get(warning.responsible)
    who = person.name if person is not None else warning.responsible
    zh = [
        f"【{level.zh}告警】{site.name.zh}：{warning.title.zh}", f"部位：{warning.subject}", f"开始：{since}",
        f"依据：{shown.zh}" if entries else "",
        f"先做：{warning.action.zh}" if warning.action.zh else "", f"负责人：{who}" if who else "",
    ]  # fmt: skip
    en = [
        f"[{level.en}] {site.name.en}: {warning.title.en}", f"Where: {warning.subject}", f"Since: {since}",
        f"Shown by: {shown.en}" if entries else "",
        f"First: {warning.action.en}" if warning.action.en else "", f"Responsible: {who}" if who else "",
    ]  # fmt: skip
    return Text("\n".join(filter(None, zh)), "\n".join(filter(None, en)))


def over_text(warning: Warning, county: County) -> Text:
    """The message that the condition is over; the warning still has to be closed by a person."""
    site = site_of(county, warning.site)
    when = clock_text(warning.over_ms or warning.began_ms, site)
    zh = f"【已恢复】{site.name.zh}：{warning.title.zh}\n部位：{warning.subject}\n恢复：{when}\n请核实后办结。"
    en = f"[over] {site.name.en}: {warning.title.en}\nWhere: {warning.subject}\nOver: {when}\nPlease check on site, then close it."
    return Text(zh, en)
