"""Does I/O: `edge-agent config show|schema` - the configuration after all layers, where each value comes from, and its schema."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from edge_agent.cli.output import AsJson, SiteFile, say, say_json, table

Origin = Annotated[bool, typer.Option("--origin", help="Say where each value comes from: file, line and column, or variable.")]


def register(app: typer.Typer) -> None:
    """Adds `config`."""
    config = typer.Typer(help="The merged configuration.", no_args_is_help=True, rich_markup_mode=None)
    config.command("show", epilog="Example: edge-agent config show /etc/edge-agent/site.yaml --origin")(_show)
    config.command("schema", epilog="Example: edge-agent config schema > site.schema.json")(_schema)
    app.add_typer(config, name="config")

    @config.callback()
    def group() -> None:
        """The merged configuration."""


def _show(site: SiteFile, origin: Origin = False, as_json: AsJson = False) -> None:
    """Show the site file with site.d and the environment laid over it. Passwords stand in their own files and never here."""
    import os

    from edge_agent.config.layers import site_tree

    values = [(_dotted(path), node) for path, node in site_tree(site, os.environ).leaves()]
    if as_json:
        say_json("config/1", {"values": [{"key": key, "value": node.plain(), "origin": str(node.mark)} for key, node in values]})
        return
    rows = [(key, json.dumps(node.plain(), ensure_ascii=False), str(node.mark)) for key, node in values]
    say(table(("key", "value", "origin"), rows) if origin else table(("key", "value"), [row[:2] for row in rows]))


def _schema() -> None:
    """Print the JSON Schema of site files: with it an editor completes keys, units and roles, and marks mistakes."""
    from edge_agent.config.schema_files import carried_schema

    say(carried_schema("site").rstrip("\n"))


def _dotted(path: tuple[str | int, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
