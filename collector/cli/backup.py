"""Does I/O: `collector backup` and `collector restore`."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from collector.cli.options import AsJson, ConfigFile
from collector.config.load import Loaded, load
from collector.io.backup import Manifest, back_up, rotate
from collector.io.restore import CONFIGURATION, restore
from edge_agent import __version__
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.terminal import say, say_json, talk
from edge_agent.common.words import counted, stored

PREFIX = "collector-backup-"
LEFT_OUT = "<left out of the backup>"
_USER_IN_URL = re.compile(r"(?<=://)[^/@]*@")


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("backup")(backup_command)
    app.command("restore")(restore_command)


def backup_command(
    target: Annotated[Path, typer.Argument(metavar="FOLDER_OR_FILE", help="A folder, or the file to make.")],
    keep: Annotated[int, typer.Option("--keep", min=0, help="Afterwards keep so many backups of the folder; 0: all.")] = 0,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Backs up log, store, warnings, account and configuration into one file, also while the collector runs.

    Example: collector backup /var/backups/collector --keep 14
    """
    loaded, now_ms = load(config), time.time_ns() // 1_000_000
    in_folder = target.is_dir()
    if keep and not in_folder:
        raise ProblemError(Problem("USE415", "--keep", f"{target} is no folder.", "name a folder, which must be there."))
    file = target / f"{PREFIX}{_stamp(now_ms)}.tar" if in_folder else target
    manifest = back_up(loaded.state, file, configuration(loaded), __version__, now_ms, talk)
    gone = rotate(target, f"{PREFIX}*.tar", keep) if keep else []
    notes = _notes(loaded, manifest)
    if as_json:
        body = msgspec.to_builtins(manifest)
        body.pop("schema")
        say_json("collector-backup/1", {"file": str(file), "removed": [str(one) for one in gone], "notes": notes, **body})
        return
    say(f"{file}: {stored(file.stat().st_size)}, log up to {manifest.last}")
    for note in notes:
        talk(note)
    talk(f"Next: rehearse it on another machine: collector restore {file.name}")


def restore_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `collector backup` made.")],
    replace: Annotated[bool, typer.Option("--replace", help="Move what is in the state directory aside.")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Lays a backup into the state directory. Every gateway then sends again what it still holds.

    Example: collector restore collector-backup-20261125-030000Z.tar --replace
    """
    loaded = load(config)
    done = restore(file, loaded.state, _stamp(time.time_ns() // 1_000_000), replace, talk)
    made = datetime.fromtimestamp(done.manifest.made_ms / 1000, UTC).isoformat(timespec="seconds")
    if as_json:
        body = {"state": str(loaded.state), "made_ms": done.manifest.made_ms, "last": done.manifest.last}
        say_json("collector-restore/1", {**body, "log_id": done.log_id, "aside": done.aside})
        return
    say(f"{loaded.state}: as it was at {made}; log up to {done.manifest.last}, new id {done.log_id}")
    if done.aside:
        talk(f"What was there before: {done.aside}")
    talk(f"The configuration of then, for comparison: {loaded.state / CONFIGURATION}")
    talk("Next: collector run, then `collector account` shows what no gateway holds any more.")


def configuration(loaded: Loaded) -> dict[str, bytes]:
    """The files that say how the collector runs, by their names in a backup; secrets are left out."""
    files = {f"{CONFIGURATION}/collector.yaml": _without_secrets(loaded)}
    if loaded.county_path is not None:
        files[f"{CONFIGURATION}/county.yaml"] = loaded.county_path.read_bytes()
    if loaded.settings.rules:
        for rule in sorted(Path(loaded.settings.rules).glob("*.yaml")):
            files[f"{CONFIGURATION}/rules-{rule.name}"] = rule.read_bytes()
    return files


def _without_secrets(loaded: Loaded) -> bytes:
    """The whole configuration as JSON, which is YAML too. Files that hold secrets are named, never read."""
    values = loaded.settings.model_dump(mode="json")
    for notifier in values["notifiers"]:
        notifier["url"] = LEFT_OUT if notifier["url"] else ""
    values["web"]["users"] = dict.fromkeys(values["web"]["users"], LEFT_OUT)
    influx = values["store"]["influx"]
    if influx:
        influx["url"] = _USER_IN_URL.sub("", influx["url"])
    return json.dumps(values, ensure_ascii=False, indent=1).encode()


def _notes(loaded: Loaded, manifest: Manifest) -> list[str]:
    notes = ["Passwords, tokens, keys and addresses of notifiers are not in the backup."]
    if loaded.settings.influx is not None:
        notes.append("The readings in InfluxDB are not in the backup: use its own (`influx backup`).")
    if manifest.damaged:
        segments = counted(len(manifest.damaged), "segment of the log is", "segments of the log are")
        notes.append(f"{segments} damaged; the backup holds what is left.")
    return notes


def _stamp(now_ms: int) -> str:
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%d-%H%M%SZ")
