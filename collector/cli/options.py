"""Does I/O: options that the commands of `collector` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON with a versioned schema on stdout, errors too.")]
"""The `--json` of every command."""
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="collector.yaml; default $COLLECTOR_CONFIG, /etc/collector, ~/.config/collector."
    ),
]
"""The configuration file."""
ConfigArgument = Annotated[
    Path | None, typer.Argument(metavar="[COLLECTOR.yaml]", help="The same as --config.", show_default=False)
]
"""The configuration file as a plain word."""
