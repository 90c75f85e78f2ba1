"""Does I/O: the entry of `edge-agent`. Every module of this package that has `register(app)` adds its commands.

`run` goes a way of its own (lean.py): what reads YAML and command lines stays out of the memory of an agent that runs for months.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from edge_agent.cli.lean import is_lean, run_lean

if TYPE_CHECKING:
    import typer

ABOUT = "Reads the instruments of a site and delivers every reading to the collector."


def build_app() -> typer.Typer:
    """The whole command line."""
    from edge_agent import cli
    from edge_agent.common.program import add_commands, new_app

    app = new_app("edge-agent", ABOUT)
    add_commands(app, cli)
    return app


def main() -> None:
    """The console script."""
    arguments = sys.argv[1:]
    if is_lean(arguments):
        sys.exit(run_lean(arguments))
    from edge_agent.common.program import run

    sys.exit(run(build_app(), arguments))
