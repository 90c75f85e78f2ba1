"""Does I/O: `edge-agent run` - the agent itself, as a service or in a terminal."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.lean import HAND_OVER, LogFormat, Orders, hand_over, run_agent
from edge_agent.cli.output import ProfileDirs, SiteFile
from edge_agent.common.problem import ProblemError

StateDir = Annotated[Path | None, typer.Option("--state-dir", help="Where the outbox lives. Default: systemd's, or XDG's.")]
RuntimeDir = Annotated[Path | None, typer.Option("--runtime-dir", help="Where the status file lives.")]


def register(app: typer.Typer) -> None:
    """Adds `run`."""

    @app.command(epilog="Example: edge-agent run /etc/edge-agent/site.yaml")
    def run(
        site: SiteFile,
        profiles: ProfileDirs = None,
        state_dir: StateDir = None,
        runtime_dir: RuntimeDir = None,
        log_format: Annotated[
            LogFormat, typer.Option("--log-format", help="auto: without time under journald; json: an object a line.")
        ] = LogFormat.AUTO,
        trust_clock: Annotated[
            bool,
            typer.Option("--trust-clock", help="Take this machine's clock as right: containers and guests whose host keeps it."),
        ] = False,
        hand_over_to: Annotated[int | None, typer.Option(HAND_OVER, hidden=True)] = None,
    ) -> None:
        """Read the buses and deliver every reading, until stopped. SIGHUP reads the site file again.

        Without --trust-clock readings wait until UTC is known: from NTP, the collector's answer, a modem or an RTC.
        """
        from edge_agent.config.load import load_site

        load = partial(load_site, site, profiles)
        try:
            orders = Orders(load(), state_dir, runtime_dir, log_format, trust_clock)
        except ProblemError as error:
            if hand_over_to is None:
                raise
            hand_over(error.problems, hand_over_to)
            return
        if hand_over_to is None:
            run_agent(orders, load)
        else:
            hand_over(orders, hand_over_to)
