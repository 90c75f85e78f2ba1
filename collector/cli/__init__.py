"""Does I/O: the commands of `collector`. Every module of this package that has `register(app)` adds its commands."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from edge_agent.common.program import add_commands, new_app, run

ABOUT = "Stores what the gateways send and turns it into warnings that reach the right person."


def build_app() -> typer.Typer:
    """The whole command line."""
    app = new_app("collector", ABOUT)
    add_commands(app, import_module(__name__))
    return app


def main() -> None:
    """The console script."""
    sys.exit(run(build_app(), sys.argv[1:]))
