"""Pure. A foreign station's record as the messages a gateway would have sent, and the window in which they are sent.

The record travels the whole line, into the series its mapping names, under an epoch of its own: `0-` and 64 bits of a hash over
record, mapping and end. So the same replay again is a repetition, and changes nothing (docs/replay.md).
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from collector.config.mapping_file import MappingFile, SeriesPart, TimePart
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.contract import encoding
from edge_agent.contract import message as m

MAX_EXAMPLES = 5
_TRUE, _FALSE = ("1", "true", "on", "yes"), ("0", "false", "off", "no")


class Row(NamedTuple):
    """One row understood: time ms UTC as recorded, and a value for each series or None for "no reading"."""

    time_ms: int
    values: tuple[m.Value, ...]


class Batch(NamedTuple):
    """One data message to send."""

    seq: int
    payload: bytes
    rows: int
    readings: int


@dataclass(slots=True)
class Tally:
    """What was left out of a record, with a few examples for the report."""

    rows: int = 0
    readings: int = 0
    unparsable: int = 0
    bad_times: int = 0
    repeated: int = 0
    """Rows with the time of the row before: dropped."""
    examples: list[str] = field(default_factory=list)

    def example(self, line: int, text: str) -> None:
        """Keeps the first few."""
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(f"line {line}: {text[:80]}")


def read_rows(lines: Iterable[str], mapping: MappingFile, where: str, tally: Tally) -> Iterator[Row]:
    """The rows of a CSV text; what cannot be read is counted in `tally`. Raises ProblemError (COL411) for missing columns."""
    reader = csv.reader(lines, delimiter=mapping.separator)
    header = [name.strip() for name in next(reader, [])]
    wanted = [mapping.time.column, *(part.column for part in mapping.series)]
    missing = [name for name in wanted if name not in header]
    if missing:
        raise ProblemError([_missing(name, header, where) for name in dict.fromkeys(missing)])
    places = [header.index(name) for name in wanted]
    read_time, empty, last = _time_reader(mapping.time), frozenset(mapping.no_value), None
    parsers = [_parser(part) for part in mapping.series]
    for cells in reader:
        picked = [cells[place].strip() if place < len(cells) else "" for place in places]
        if not any(picked):
            continue
        try:
            time_ms = read_time(picked[0])
        except (ValueError, OverflowError):
            tally.bad_times += 1
            tally.example(reader.line_num, f"time {picked[0]!r}")
            continue
        if time_ms == last:
            tally.repeated += 1
            continue
        last = time_ms
        values = tuple(
            None if text in empty else _value(parse, text, reader.line_num, tally)
            for parse, text in zip(parsers, picked[1:], strict=True)
        )
        tally.rows += 1
        tally.readings += sum(value is not None for value in values)
        yield Row(time_ms, values)


def epoch_of(content_digest: bytes, mapping: bytes, end: str) -> str:
    """The epoch of a replay: equal for equal record, mapping and end."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (content_digest, mapping, end.encode()):
        digest.update(len(part).to_bytes(8, "big") + part)
    return f"0-{digest.hexdigest()}"


def shift_to(last_ms: int, end_ms: int) -> int:
    """What to add to every time so that the last row lies within the second before `end_ms`; whole seconds."""
    return (end_ms - 1 - last_ms) // 1000 * 1000


def birth_message(body: m.BirthBody, epoch: str, t0: int) -> tuple[bytes, str]:
    """The birth to send (lane u, sequence 1) and its hash."""
    raw, name = encoding.encode_birth_body(body)
    birth = m.Birth(m.VERSION, epoch, m.URGENT, 1, 1, name, "replay", t0, msgspec.Raw(raw))
    return encoding.encode(birth), name


def batches(rows: Iterable[Row], mapping: MappingFile, epoch: str, birth: str, shift_ms: int) -> Iterator[Batch]:
    """Data messages of lane n, `batch_rows` rows each."""
    chunk: list[Row] = []
    seq = 0
    for row in rows:
        chunk.append(Row(row.time_ms + shift_ms, row.values))
        if len(chunk) == mapping.batch_rows:
            seq += 1
            yield _batch(seq, chunk, epoch, birth)
            chunk = []
    if chunk:
        yield _batch(seq + 1, chunk, epoch, birth)


def _batch(seq: int, rows: Sequence[Row], epoch: str, birth: str) -> Batch:
    """Series that have readings in the same rows share one block: a cell without a reading makes none."""
    blocks: dict[tuple[int, ...], list[m.Column]] = {}
    for index, column in enumerate(zip(*(row.values for row in rows), strict=True)):
        present = tuple(place for place, value in enumerate(column) if value is not None)
        if present:
            blocks.setdefault(present, []).append(m.Column(index, [column[place] for place in present]))
    t0 = rows[0].time_ms
    body = m.Body([m.Block(_steps(t0, [rows[place].time_ms for place in present]), columns) for present, columns in blocks.items()])
    frame = m.DataFrame(m.VERSION, epoch, m.NORMAL, seq, 1, birth, t0, msgspec.Raw(encoding.encode_body(body)))
    readings = sum(len(present) * len(columns) for present, columns in blocks.items())
    return Batch(seq, encoding.encode(frame), len(rows), readings)


def _steps(t0: int, times: Sequence[int]) -> list[int]:
    return [now - before for before, now in zip([t0, *times], times, strict=False)]


def _time_reader(part: TimePart) -> Callable[[str], int]:
    zone = ZoneInfo(part.zone)

    def of(moment: datetime) -> int:
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
        return _in_range(round(aware.timestamp() * 1000))

    if part.format == "unix":
        return lambda text: _in_range(round(float(text) * 1000))
    if part.format == "unix-ms":
        return lambda text: _in_range(int(text))
    if part.format == "iso":
        return lambda text: of(datetime.fromisoformat(text))
    return lambda text: of(datetime.strptime(text, part.format))  # noqa: DTZ007 - the zone is set in `of`


def _in_range(time_ms: int) -> int:
    if not encoding.MIN_TIME_MS <= time_ms <= encoding.MAX_TIME_MS:
        raise ValueError("beyond 2000 to 2100")
    return time_ms


def _parser(part: SeriesPart) -> Callable[[str], m.Value]:
    match part.kind:
        case "number":
            return _number
        case "counter":
            return lambda text: int(text) if text.lstrip("+-").isdigit() else _number(text)
        case "bool":
            return _bool
        case "text":
            return lambda text: text[: encoding.MAX_TEXT]


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _bool(text: str) -> bool:
    word = text.lower()
    if word not in _TRUE + _FALSE:
        raise ValueError(text)
    return word in _TRUE


def _value(parse: Callable[[str], m.Value], text: str, line: int, tally: Tally) -> m.Value:
    try:
        return parse(text)
    except ValueError:
        tally.unparsable += 1
        tally.example(line, text)
        return None


def _missing(name: str, header: Sequence[str], where: str) -> Problem:
    there = ", ".join(header[:30])
    return Problem("COL411", f"{where}:1", f"The record has no column `{name}`.", f"change the mapping; the columns are: {there}.")
