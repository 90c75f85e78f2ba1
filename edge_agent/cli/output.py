"""Does I/O: options and output that the commands of `edge-agent` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.common.terminal import progress, say, say_json, show_problems, table, talk

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON with a versioned schema on stdout, errors too.")]
"""The `--json` of every command."""
SiteFile = Annotated[Path, typer.Argument(metavar="SITE.yaml", help="The site file.", show_default=False)]
"""The site file argument."""
ProfileDirs = Annotated[
    list[Path] | None,
    typer.Option("--profiles", metavar="FOLDER", help="Look for device profiles here first; may be given several times."),
]
"""Extra folders of profiles."""

__all__ = ["AsJson", "ProfileDirs", "SiteFile", "progress", "say", "say_json", "show_problems", "table", "talk"]
