"""Does I/O: `collector account`: what came of each gateway's lanes, from the log's own accounting."""

from __future__ import annotations

from typing import Annotated

import typer

from collector.cli.options import AsJson, ConfigFile
from collector.config.load import load
from collector.io.sqlite_log import SqliteLog
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.terminal import say, say_json, table


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("account")(account_command)


def account_command(
    site: Annotated[str, typer.Option("--site", help="This site alone.")] = "", config: ConfigFile = None, as_json: AsJson = False
) -> None:
    """Counts what was received, doubled and lost, by gateway, epoch and lane. Also while the collector runs.

    Example: collector account --site mayantang
    """
    path = load(config).state / "log.sqlite"
    if not path.exists():
        raise ProblemError(Problem("TRY402", str(path), "There is no log yet.", "start the collector: `collector run`."))
    log = SqliteLog(path)
    try:
        lanes = [lane for lane in log.lanes() if not site or lane.site == site]
    finally:
        log.close()
    fields = ("site", "gateway", "epoch", "lane", "upto", "received", "duplicate", "lost")
    rows = [
        [str(getattr(lane, name)) for name in fields]
        for lane in sorted(lanes, key=lambda lane: (lane.site, lane.gateway, lane.heard_ms))
    ]
    if as_json:
        say_json("collector-account/1", {"lanes": [dict(zip(fields, row, strict=True)) for row in rows]})
        return
    say(table(fields, rows))
