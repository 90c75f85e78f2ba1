"""Does I/O: `collector quarantine`: the messages that were none, with the reason, to be looked at and handed on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from collector.cli.options import AsJson, ConfigFile
from collector.config.load import load
from collector.domain.days import utc_text
from collector.intake.records import Poison
from collector.intake.stand_in import begin_of
from collector.io.quarantine import read_quarantine
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.terminal import say, say_json, table, talk

MOST = 1000
"""As many as the log keeps."""
SHOWN_BYTES = 1024
ROW_BYTES = 16

Limit = Annotated[int, typer.Option("--limit", min=1, max=MOST, help="At most so many, the newest.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(no_args_is_help=True, help="Messages that were none: what they were, and why they were refused.")
    group.command("list")(list_command)
    group.command("show")(show_command)
    group.command("export")(export_command)
    app.add_typer(group, name="quarantine")


def list_command(limit: Limit = 50, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Lists the newest messages in quarantine with id, topic and reason.

    Example: collector quarantine list --limit 20
    """
    found = read_quarantine(load(config).state, limit)
    if as_json:
        say_json("collector-quarantine/1", {"messages": [_fields(one, ROW_BYTES) for one in found]})
        return
    rows = [[str(one.id), utc_text(one.received_ms), plain(one.topic), str(len(one.payload)), plain(_why(one))] for one in found]
    say(table(("id", "received", "topic", "bytes", "reason"), rows))
    if found:
        talk(f"Next: collector quarantine show {found[0].id}")


def show_command(
    id: Annotated[int, typer.Argument(metavar="ID", help="As `collector quarantine list` prints it.")],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Shows one message: why it was refused, its begin unpacked, its bytes in hex.

    Example: collector quarantine show 17
    """
    found = next((one for one in read_quarantine(load(config).state, MOST) if one.id == id), None)
    if found is None:
        raise ProblemError(
            Problem("USE423", f"quarantine {id}", "No such message is in quarantine.", "see `collector quarantine list`.")
        )
    if as_json:
        say_json("collector-quarantine-message/1", _fields(found, len(found.payload)))
        return
    for name, value in _fields(found, SHOWN_BYTES).items():
        say(f"{name:<9} {value}")
    if len(found.payload) > SHOWN_BYTES:
        talk(f"The first {SHOWN_BYTES} of {len(found.payload)} bytes; all with --json or export.")


def export_command(
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder.")],
    limit: Limit = MOST,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Writes each message as it came into a file of its own, named by its id, beside `index.json` with the reasons.

    Example: collector quarantine export ./quarantine
    """
    import msgspec

    found = read_quarantine(load(config).state, limit)
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise ProblemError(Problem("USE424", str(out), "The folder is not empty.", "name a new one."))
        for one in found:
            (out / f"{one.id}.bin").write_bytes(one.payload)
        (out / "index.json").write_bytes(msgspec.json.format(msgspec.json.encode([_fields(one, ROW_BYTES) for one in found])))
    except OSError as error:
        raise ProblemError(Problem("USE424", str(out), f"The folder cannot be written: {error}.", "name another one.")) from error
    if as_json:
        say_json("collector-quarantine-export/1", {"folder": str(out), "messages": len(found)})
        return
    say(f"{out}: {len(found)} messages")


def plain(text: str) -> str:
    """Text of a stranger for a terminal: control characters as `?`."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _fields(one: Poison, most: int) -> dict[str, int | str]:
    return {
        "id": one.id,
        "received": utc_text(one.received_ms),
        "topic": plain(one.topic),
        "reason": one.reason,
        "detail": plain(one.detail),
        "bytes": len(one.payload),
        "begin": plain(begin_of(one.payload, most)),
        "hex": one.payload[:most].hex(" "),
    }


def _why(one: Poison) -> str:
    return f"{one.reason}: {one.detail}"[:80]
