"""Does I/O: `collector account`: what each gateway owed on each day and what came of it, also while the collector runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

import typer

from collector.cli.options import AsJson, ConfigFile
from collector.config.load import Loaded, load, load_county
from collector.config.rules_file import load_rules
from collector.domain.days import utc_text
from collector.intake.day_account import COUNTS, Absent, DayAccount, Wanted, totals
from collector.intake.daybook import calendars
from collector.intake.tally import LATE_MS
from collector.io.account_book import SqliteAccountBook
from collector.seams import StorageFailed
from edge_agent.common.problem import Exit, Problem, ProblemError
from edge_agent.common.terminal import say, say_json, table, talk

HEAD = (
    "site", "gateway", "day", "expected", "received", "lost", "missing", "late", "duplicate",
    "readings received", "readings lost", "readings late", "why",
)  # fmt: skip
"""Batches, but for what is called readings."""
MOST_ROWS = 200
"""Rows of the table for people; the total counts all, `--json` has all."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("account")(account_command)


def account_command(
    site: Annotated[str, typer.Option("--site", help="This site alone.")] = "",
    gateway: Annotated[str, typer.Option("--gateway", help="This gateway alone.")] = "",
    day: Annotated[str, typer.Option("--day", metavar="DAY", help="This day alone, e.g. 2026-11-25.")] = "",
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="From this day on.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="Up to and with this day.")] = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Says for each gateway and day what was expected, received, lost and why, missing, late, duplicate. Also while it runs.

    Days are those of the site's time zone. Exit code 0 nothing is lost, 1 something is, 75 there is no account yet.

    Example: collector account --site mayantang --from 2026-11-01
    """
    if day and (first or last):
        raise ProblemError(Problem("USE421", "--day", "--day and --from or --to exclude each other.", "give one of them."))
    wanted = Wanted(site, gateway, _day("--day" if day else "--from", day or first), _day("--day" if day else "--to", day or last))
    accounts, since_ms = _read(load(config), wanted)
    if as_json:
        say_json("collector-account/2", _json(accounts, since_ms))
    else:
        _show(accounts)
    raise typer.Exit(Exit.PROBLEMS if any(one.lost for one in accounts) else Exit.FINE)


def _read(loaded: Loaded, wanted: Wanted) -> tuple[list[DayAccount], int | None]:
    path = loaded.state / "account.sqlite"
    if not path.exists():
        raise ProblemError(Problem("TRY402", str(path), "There is no account yet.", "start the collector: `collector run`."))
    county = load_county(loaded, frozenset(load_rules(loaded.rule_folders)))
    book = SqliteAccountBook.reading(path)
    try:
        return book.accounts(wanted, calendars(county.zone_of)), book.began_ms()
    except StorageFailed as failed:
        raise ProblemError(
            Problem("ACC402", str(path), f"The account cannot be read: {failed}.", "check the disk, and try again.")
        ) from failed
    finally:
        book.close()


def _show(accounts: Sequence[DayAccount]) -> None:
    rows = [_row(one) for one in accounts[-MOST_ROWS:]]
    sums = totals(accounts)
    counts = [str(sums[name]) for name in COUNTS]
    say(table(HEAD, [*rows, ["total", "", "", *counts, ""]]))
    if len(accounts) > MOST_ROWS:
        talk(f"The first {len(accounts) - MOST_ROWS} rows are not shown; narrow it with --from, --site, --gateway, or take --json.")
    for line in _losses(accounts):
        say(line)


def _row(one: DayAccount) -> list[str]:
    why = ", ".join(f"{why} {count}" for why, count in sorted(one.why.items()))
    return [one.site, one.gateway, one.day, *(str(getattr(one, name)) for name in COUNTS), why]


def _losses(accounts: Sequence[DayAccount]) -> list[str]:
    """Where something is lost or missing: the newest holes first, each once, a bounded number."""
    seen, lines = set(), list[str]()
    for one in reversed(accounts):
        for hole in reversed(one.absent):
            if (one.site, one.gateway, hole) in seen:
                continue
            seen.add((one.site, one.gateway, hole))
            if len(lines) < MOST_ROWS:
                lines.append(_hole_text(one, hole))
    return lines


def _hole_text(one: DayAccount, hole: Absent) -> str:
    what = "lost" if hole.why else "missing"
    where = f"{one.site}/{one.gateway} epoch {hole.epoch} lane {hole.lane} batches {hole.first}-{hole.last}"
    readings = "" if hole.readings is None else f", {hole.readings} readings"
    return f"{what}: {where}{readings}: {hole.why or 'may still come'}, {utc_text(hole.from_ms)} to {utc_text(hole.to_ms)}"


def _json(accounts: Sequence[DayAccount], since_ms: int | None) -> dict[str, object]:
    rows = [
        {
            "site": one.site,
            "gateway": one.gateway,
            "day": one.day,
            **{name: getattr(one, name) for name in COUNTS},
            "why": dict(sorted(one.why.items())),
            "absent": [
                {
                    "epoch": hole.epoch,
                    "lane": hole.lane,
                    "first": hole.first,
                    "last": hole.last,
                    "why": hole.why or None,
                    "readings": hole.readings,
                    "from": utc_text(hole.from_ms),
                    "to": utc_text(hole.to_ms),
                }
                for hole in one.absent
            ],
        }
        for one in accounts
    ]
    since = None if since_ms is None else utc_text(since_ms)
    return {"since": since, "late_after_s": LATE_MS // 1000, "days": rows, "total": totals(accounts)}


def _day(option: str, text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise ProblemError(Problem("USE422", option, f"`{text[:40]}` is no day.", "write it as 2026-11-25.")) from None
