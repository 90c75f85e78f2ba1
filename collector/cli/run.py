"""Does I/O: `collector run` and `collector status`."""

from __future__ import annotations

import time

import typer

from collector.cli.options import AsJson, ConfigArgument, ConfigFile
from collector.config.load import load
from collector.io.state_folder import is_held
from collector.io.status_file import NAME, STALE_MS, Status, read_status
from edge_agent.common.problem import Exit, Problem, ProblemError
from edge_agent.common.terminal import say, say_json, talk


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("run")(run_command)
    app.command("status")(status_command)


def run_command(file: ConfigArgument = None, config: ConfigFile = None) -> None:
    """Runs the collector: broker, log, store, warnings and page, until SIGTERM or Ctrl-C.

    Example: collector run /etc/collector/collector.yaml
    """
    from collector.app import run

    raise typer.Exit(run(load(file or config)))


def status_command(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Says how the running collector is. Exit code 0 fine, 1 something is wrong, 75 it does not run.

    Example: collector status --json
    """
    loaded = load(config)
    status = read_status(loaded.state)
    if status is None or not is_held(loaded.state):
        raise ProblemError(
            Problem("TRY411", str(loaded.state), "No collector runs on this state directory.", "start it: `collector run`.")
        )
    age_s = (time.time_ns() // 1_000_000 - status.at_ms) // 1000
    if age_s * 1000 > STALE_MS:
        what = f"A collector runs, but its status file is {age_s} s old: the disk is full, or it hangs."
        raise ProblemError(Problem("COL410", str(loaded.state / NAME), what, "see its log and `df -h`."))
    if as_json:
        import msgspec

        say_json(status.schema, {key: value for key, value in msgspec.to_builtins(status).items() if key != "schema"})
    else:
        _show(status)
    raise typer.Exit(Exit.PROBLEMS if status.problems else Exit.FINE)


def _show(status: Status) -> None:
    link = "connected" if status.connected else "not connected"
    say(f"broker    {status.broker_host}:{status.broker_port} {link}")
    say(f"page      {status.page}")
    say(f"gateways  {status.gateways}; batches received {status.received}, duplicate {status.duplicate}, lost {status.lost}")
    say(f"log       {status.log_last}; stored up to {status.stored}, judged up to {status.judged}; unreadable {status.poison}")
    if status.refused:
        counts = ", ".join(f"{reason} {count}" for reason, count in sorted(status.refused.items()))
        say(f"refused   {counts}; the last on {status.last_refused}")
    for problem in status.problems:
        talk(Problem(problem.code, problem.where, problem.what, problem.do).text())
