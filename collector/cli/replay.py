"""Does I/O: `collector replay`: a foreign station's record through the whole line (docs/replay.md)."""

from __future__ import annotations

import csv
import gzip
import hashlib
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from typing import Annotated

import typer

from collector.cli.broker_options import BrokerOption, PasswordFile, UserOption, address_of
from collector.cli.options import AsJson, ConfigFile
from collector.config.load import load
from collector.config.mapping_file import MappingFile
from collector.domain.identity import GatewayId
from collector.io.replay_link import PATIENCE_MS, feed
from collector.replay import Tally, batches, birth_message, epoch_of, read_rows, shift_to
from collector.replay_window import ReplayWindow, Silence
from edge_agent import __version__
from edge_agent.common.located_model import validate
from edge_agent.common.located_yaml import load_yaml
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.terminal import progress, say, say_json, talk
from edge_agent.common.words import counted
from edge_agent.contract.topics import is_id

MAX_LINE = 1 << 20
"""Bytes of one line of a record."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record after its first reading: what it holds, and its digest."""

    path: Path
    mapping: MappingFile
    digest: bytes
    tally: Tally
    first_ms: int
    last_ms: int


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("replay")(replay_command)


def replay_command(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv[.gz]", help="The record.", show_default=False)],
    site: Annotated[str, typer.Option("--site", help="The site its series belong to.", show_default=False)],
    gateway: Annotated[str, typer.Option("--gateway", help="The gateway its series belong to.", show_default=False)],
    mapping: Annotated[
        Path, typer.Option("--map", metavar="MAPPING.yaml", help="Which column is which point.", show_default=False)
    ],
    end_at: Annotated[
        str | None,
        typer.Option("--end-at", metavar="now|RFC3339", help="Shift all times so that the last row lies just before this."),
    ] = None,
    broker: BrokerOption = None,
    user: UserOption = "",
    password_file: PasswordFile = "",
    config: ConfigFile = None,
    timeout_s: Annotated[
        int, typer.Option("--timeout", metavar="SECONDS", min=1, max=86_400, help="Give up after so long without a receipt.")
    ] = PATIENCE_MS // 1000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and report; send nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Feeds a CSV of a foreign station through the line: broker, log, store, warnings.

    The same replay again changes nothing, as long as --end-at is a fixed time or left out.

    Example: collector replay record.csv.gz --site mayantang --gateway gw-1 --map record-mapping.yaml --end-at now
    """
    for name in (site, gateway):
        if not is_id(name):
            raise ProblemError(
                Problem("USE411", "collector replay", f"`{name}` is no id.", "use small letters, digits and hyphens.")
            )
    end_ms = _end(end_at)
    plan = validate(load_yaml(mapping), MappingFile)
    record = _survey(file, plan)
    shift_ms = shift_to(record.last_ms, end_ms) if end_ms is not None else 0
    epoch = epoch_of(record.digest, mapping.read_bytes(), str(end_ms or ""))
    report = _report(record, epoch, shift_ms)
    if not dry_run:
        began = time.monotonic()
        birth, birth_name = birth_message(plan.birth(f"collector-replay {__version__}"), epoch, record.first_ms + shift_ms)
        with _opened(file) as lines:
            rows = read_rows(lines, plan, str(file), Tally())
            window = ReplayWindow(epoch, birth, batches(rows, plan, epoch, birth_name, shift_ms))
            feed(
                window,
                address_of(load(config), broker, user, password_file),
                GatewayId(site, gateway),
                _progress(window, record.tally.rows, began),
                timeout_s * 1000,
                _on_silence(timeout_s),
            )
        if window.log_changed:
            raise ProblemError(
                Problem("TRY414", str(file), "The collector's log became another one on the way.", "run the same replay again.")
            )
        report["seconds"] = round(time.monotonic() - began, 2)
    _say(record, report, as_json)


def _end(text: str | None) -> int | None:
    if text is None:
        return None
    if text == "now":
        return time.time_ns() // 1_000_000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ProblemError(
            Problem("USE412", f"--end-at {text}", "This is no time with an offset.", "write now, or 2026-03-01T08:00:00+08:00.")
        )
    return round(moment.timestamp() * 1000)


def _survey(file: Path, mapping: MappingFile) -> Record:
    tally, digest = Tally(), hashlib.blake2b(digest_size=16)
    first_ms: int | None = None
    last_ms = 0
    with _opened(file, digest.update) as lines:
        for row in read_rows(lines, mapping, str(file), tally):
            first_ms = row.time_ms if first_ms is None else first_ms
            last_ms = max(last_ms, row.time_ms)
    if first_ms is None:
        do = "check time.column and time.format of the mapping."
        raise ProblemError(Problem("COL415", str(file), "The record has no row that can be read.", do))
    return Record(file, mapping, digest.digest(), tally, first_ms, last_ms)


@contextmanager
def _opened(file: Path, on_bytes: Callable[[bytes], None] | None = None) -> Iterator[Iterator[str]]:
    """The lines of the record. Raises ProblemError (COL416)."""
    try:
        with file.open("rb") as raw, gzip.open(raw) if file.suffix == ".gz" else nullcontext(raw) as plain:
            yield _lines(plain, on_bytes)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        do = "give a CSV file in UTF-8, plain or .gz."
        raise ProblemError(Problem("COL416", str(file), f"The record cannot be read: {error}.", do)) from error


def _lines(plain: gzip.GzipFile | BufferedReader, on_bytes: Callable[[bytes], None] | None) -> Iterator[str]:
    encoding = "utf-8-sig"
    while line := plain.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise OSError(f"a line is longer than {MAX_LINE} bytes")
        if on_bytes is not None:
            on_bytes(line)
        yield line.decode(encoding)
        encoding = "utf-8"


def _progress(window: ReplayWindow, rows: int, began: float) -> Callable[[], None]:
    shown = 0.0

    def show() -> None:
        nonlocal shown
        now = time.monotonic()
        if now - began < 2 or now - shown < 1 or not window.rows:
            return
        shown = now
        left_s = (now - began) * (rows - window.rows) / window.rows
        progress(f"{window.rows} of {counted(rows, 'row is', 'rows are')} in the log; about {left_s:.0f} s to go")

    return show


def _on_silence(timeout_s: int) -> Callable[[int], None]:
    silence = Silence()

    def tell(silent_ms: int) -> None:
        if silence.is_due(silent_ms):
            why = "the collector is stopped, cannot reach its broker, or is out of disk (see `collector status`)"
            talk(f"no receipt for {silent_ms // 1000} s; {why}; given up after {timeout_s} s")

    return tell


def _report(record: Record, epoch: str, shift_ms: int) -> dict[str, object]:
    tally = record.tally
    return {
        "file": str(record.path),
        "epoch": epoch,
        "rows": tally.rows,
        "readings": tally.readings,
        "first": _rfc3339(record.first_ms + shift_ms),
        "last": _rfc3339(record.last_ms + shift_ms),
        "skipped": {"unparsable_cells": tally.unparsable, "bad_times": tally.bad_times, "repeated_times": tally.repeated},
        "examples": tally.examples,
    }


def _say(record: Record, report: dict[str, object], as_json: bool) -> None:
    if as_json:
        say_json("replay/1", report)
        return
    rows, readings = counted(record.tally.rows, "row"), counted(record.tally.readings, "reading")
    say(f"{rows}, {readings} from {report['first']} to {report['last']}, epoch {report['epoch']}")
    skipped = report["skipped"]
    if isinstance(skipped, dict) and any(skipped.values()):
        say("left out: " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in skipped.items() if count))
    if "seconds" in report:
        say(f"all of it is durable in the collector's log after {report['seconds']} s")


def _rfc3339(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
