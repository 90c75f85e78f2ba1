"""Does I/O: the entry of `edge-agent`. Every module of this package that has `register(app)` adds its commands."""

from __future__ import annotations

import sys

import typer

from edge_agent import cli
from edge_agent.common.program import add_commands, new_app, run

ABOUT = "Reads the instruments of a site and delivers every reading to the collector."


def build_app() -> typer.Typer:
    """The whole command line."""
    app = new_app("edge-agent", ABOUT)
    add_commands(app, cli)
    return app


def main() -> None:
    """The console script."""
    sys.exit(run(build_app(), sys.argv[1:]))
