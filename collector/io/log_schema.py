"""Does I/O: the log's database: tables, births as rows, checksums of rows. Files and frames: log_segment.py.

Every row carries a checksum (`row_crc`) over COLUMNS, written with it and looked at by whoever reads it: a damaged one is never
believed (`Damaged`, or left out where that is safe) and the next start mends it (log_mending.py).
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collector.intake.records import BatchKey, Poison, Record
from edge_agent.common.row_checks import row_crc, row_sum, sound
from edge_agent.contract import encoding
from edge_agent.contract import message as m

SCHEMA = 3
DAY_MS = 86_400_000
TABLES = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE lane(
    site TEXT NOT NULL, gateway TEXT NOT NULL, epoch TEXT NOT NULL, lane TEXT NOT NULL, upto INTEGER NOT NULL, ranges TEXT NOT NULL,
    low INTEGER NOT NULL, received INTEGER NOT NULL, duplicate INTEGER NOT NULL, lost INTEGER NOT NULL, heard_ms INTEGER NOT NULL,
    PRIMARY KEY(site, gateway, epoch, lane)) WITHOUT ROWID;
CREATE TABLE poison(id INTEGER PRIMARY KEY, received_ms INTEGER NOT NULL, topic TEXT NOT NULL, reason TEXT NOT NULL,
    detail TEXT NOT NULL, payload BLOB NOT NULL);
"""
"""What schema 1 had already."""
SEGMENT_TABLES = """
CREATE TABLE state(one INTEGER PRIMARY KEY CHECK(one = 1), last INTEGER NOT NULL, low INTEGER NOT NULL);
CREATE TABLE segment(first INTEGER PRIMARY KEY, last INTEGER NOT NULL, records INTEGER NOT NULL, length INTEGER NOT NULL,
    oldest_ms INTEGER NOT NULL, newest_ms INTEGER NOT NULL, name TEXT NOT NULL UNIQUE);
CREATE TABLE fresh(first INTEGER PRIMARY KEY, last INTEGER NOT NULL, number INTEGER NOT NULL, frames BLOB NOT NULL);
CREATE TABLE held(site TEXT NOT NULL, gateway TEXT NOT NULL, epoch TEXT NOT NULL, lane TEXT NOT NULL, segment INTEGER NOT NULL,
    ranges TEXT NOT NULL, PRIMARY KEY(site, gateway, epoch, lane, segment)) WITHOUT ROWID;
CREATE INDEX held_by_segment ON held(segment);
CREATE TABLE birth(
    offset INTEGER PRIMARY KEY, site TEXT NOT NULL, gateway TEXT NOT NULL, epoch TEXT NOT NULL, lane TEXT NOT NULL,
    seq INTEGER NOT NULL, received_ms INTEGER NOT NULL, hash TEXT, crc INTEGER NOT NULL, payload BLOB NOT NULL,
    UNIQUE(site, gateway, epoch, lane, seq));
CREATE INDEX birth_by_hash ON birth(site, gateway, hash, offset);
"""
COLUMNS = {
    "meta": ("name", "value"),
    "state": ("one", "last", "low"),
    "segment": ("first", "last", "records", "length", "oldest_ms", "newest_ms", "name"),
    "fresh": ("first", "last", "number"),
    "held": ("site", "gateway", "epoch", "lane", "segment", "ranges"),
    "birth": ("offset", "site", "gateway", "epoch", "lane", "seq", "received_ms", "hash", "payload"),
    "lane": ("site", "gateway", "epoch", "lane", "upto", "ranges", "low", "received", "duplicate", "lost", "heard_ms"),
    "poison": ("id", "received_ms", "topic", "reason", "detail", "payload"),
}
"""What the checksum of a row covers (since schema 3). The frames of `fresh` have checksums of their own."""
ADD_SUMS = ";".join(f"ALTER TABLE {table} ADD COLUMN crc INTEGER" for table in COLUMNS if table != "birth")
BIRTHS = "SELECT offset, site, gateway, epoch, lane, seq, received_ms, hash, payload, crc FROM birth"
INSERT_BIRTH = "INSERT OR IGNORE INTO birth VALUES(?,?,?,?,?,?,?,?,?,?)"
SEGMENTS = "SELECT first, last, records, length, oldest_ms, newest_ms, name, crc FROM segment"
INSERT_SEGMENT = "INSERT INTO segment VALUES(?,?,?,?,?,?,?,?)"
FRESH = "SELECT first, last, number, frames, crc FROM fresh"
FRESH_FROM = f"{FRESH} WHERE first >= coalesce((SELECT max(first) FROM fresh WHERE first <= ?), 0) ORDER BY first LIMIT ?"
"""By the key: all rows before are neither read nor kept in the reader's cache, where each would be again for each consumer."""
INSERT_HELD = "INSERT INTO held VALUES(?,?,?,?,?,?,?)"
HELD = "SELECT site, gateway, epoch, lane, segment, ranges, crc FROM held"
STATE = "SELECT one, last, low, crc FROM state"
LANES = f"SELECT {', '.join(COLUMNS['lane'])}, crc FROM lane"
INSERT_LANE = "INSERT OR REPLACE INTO lane VALUES(?,?,?,?,?,?,?,?,?,?,?,?)"
POISON = f"SELECT {', '.join(COLUMNS['poison'])}, crc FROM poison"
INSERT_POISON = "INSERT INTO poison VALUES(?,?,?,?,?,?,?)"
_OLDER_BIRTHS = f"""
DELETE FROM birth WHERE offset < ? AND EXISTS (
    SELECT 1 FROM birth AS later WHERE later.site = birth.site AND later.gateway = birth.gateway
    AND later.hash = birth.hash AND later.offset > birth.offset AND {sound({"later": COLUMNS["birth"]}, "later")})
"""


class Damaged(sqlite3.DatabaseError):
    """A row is not as it was written."""


def segment_folder(path: Path) -> Path:
    """Where the segments of the log at `path` lie: `log.segments` beside `log.sqlite`."""
    return path.with_suffix(".segments")


def durable(database: sqlite3.Connection) -> None:
    """WAL, and on the medium at each commit."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "journal_size_limit=67108864"):
        database.execute(f"PRAGMA {pragma}").fetchall()


def create(database: sqlite3.Connection, log_id: str) -> None:
    """The tables of an empty log, inside a transaction."""
    for statement in f"{TABLES}{SEGMENT_TABLES}{ADD_SUMS}".split(";"):
        database.execute(statement)
    database.execute("INSERT INTO state VALUES(1, 0, 1, ?)", (row_crc(1, 0, 1),))
    database.execute("INSERT INTO meta VALUES(?,?,?)", summed(("log_id", log_id)))


def add_up(database: sqlite3.Connection) -> None:
    """Writes the checksum of every row anew. The connection was taught `row_crc`."""
    for table, names in COLUMNS.items():
        database.execute(f"UPDATE {table} SET crc = row_crc({', '.join(names)})")


def summed(row: Sequence[Any]) -> tuple[Any, ...]:
    """A row with its checksum behind it."""
    return (*row, row_sum(row))


def checked(row: Sequence[Any]) -> Sequence[Any]:
    """A row without the checksum behind it. Raises Damaged."""
    if row_sum(row[:-1]) != row[-1]:
        raise Damaged("a row of the log's database is malformed; the next start of the collector mends it")
    return row[:-1]


def checked_fresh(row: Sequence[Any]) -> tuple[int, int, int, bytes]:
    """A row that FRESH gives. Raises Damaged."""
    first, last, number, frames, crc = row
    checked((first, last, number, crc))
    return first, last, number, frames if isinstance(frames, bytes) else b""


def is_unbroken(rows: Sequence[tuple[int, int, int, bytes]], offset: int) -> bool:
    """True if rows of `fresh` follow one another from `offset` on; else one may have got another place by damage."""
    starts = (offset, *(last + 1 for _, last, *_ in rows[:-1]))
    return rows[0][0] <= offset and all(first == start for (first, *_), start in zip(rows[1:], starts[1:], strict=True))


def is_sound(row: Sequence[Any]) -> bool:
    """True if the checksum behind a row is right."""
    return bool(row_sum(row[:-1]) == row[-1])


def get_state(database: sqlite3.Connection) -> tuple[int, int]:
    """The last offset given and the low end. Raises Damaged."""
    _, last, low = checked(database.execute(STATE).fetchone() or (None,))
    return last, low


def put_state(database: sqlite3.Connection, last: int, low: int) -> None:
    """The last offset given and the low end."""
    database.execute("UPDATE state SET last = ?, low = ?, crc = ?", (last, low, row_crc(1, last, low)))


def put_log_id(database: sqlite3.Connection, log_id: str) -> None:
    """Another id for a log of this or an older schema."""
    database.execute("UPDATE meta SET value = ? WHERE name = 'log_id'", (log_id,))
    if int(database.execute("PRAGMA user_version").fetchone()[0]) >= SCHEMA:
        database.execute("UPDATE meta SET crc = ? WHERE name = 'log_id'", (row_crc("log_id", log_id),))


def crc_of(key: BatchKey, received_ms: int, kind: str, payload: bytes) -> int:
    """Checksum over everything of a record, as the schemas before 3 have it."""
    return zlib.crc32(payload, zlib.crc32("/".join(map(str, (*key, received_ms, kind))).encode()))


def birth_row(offset: int, record: Record) -> tuple[Any, ...]:
    """A row of table `birth`."""
    row = (offset, *record.key, record.received_ms, _hash(record.payload), record.payload)
    return (*row[:-1], row_sum(row), row[-1])


def birth_of(row: Sequence[Any]) -> Record | None:
    """The record of a row that BIRTHS gives; None if it is damaged."""
    if not is_sound(row):
        return None
    offset, site, gateway, epoch, lane, seq, received_ms, _, payload, _ = row
    return Record(offset, BatchKey(site, gateway, epoch, lane, seq), received_ms, payload, "birth")


def poison_of(row: Sequence[Any]) -> Poison:
    """A row that POISON gives."""
    id, received_ms, topic, reason, detail, payload, _ = row
    return Poison(topic, payload, reason, detail, received_ms, id)


def forget(database: sqlite3.Connection, below: int) -> tuple[int, list[str]]:
    """Moves the low end to `below`, where it is lower: how many records go by it, and the files that nobody needs any more.

    The newest segment goes only when nothing at all is left, for what is fresh belongs to it. Raises Damaged, before anything goes.
    """
    last, low = get_state(database)
    below = min(below, last + 1)
    if below <= low:
        return 0, []
    for row in database.execute(SEGMENTS):
        checked(row)
    for row in database.execute("SELECT first, last, number, crc FROM fresh"):
        checked(row)
    query = "SELECT coalesce(sum(min(last, ?) - max(first, ?) + 1), 0) FROM {} WHERE last >= ? AND first < ?"
    spans = (database.execute(query.format(table), (below - 1, low, low, below)).fetchone()[0] for table in ("segment", "fresh"))
    births = database.execute("SELECT count(*) FROM birth WHERE offset >= ? AND offset < ?", (low, below)).fetchone()[0]
    gone = sum(spans) - births + database.execute(_OLDER_BIRTHS, (below,)).rowcount
    put_state(database, last, below)
    end = database.execute("SELECT max(first) FROM segment").fetchone()[0] or 0
    if last < below:
        database.execute("DELETE FROM fresh")
        end += 1
    names = [row[0] for row in database.execute("SELECT name FROM segment WHERE last < ? AND first < ?", (below, end))]
    database.execute("DELETE FROM held WHERE segment IN (SELECT first FROM segment WHERE last < ? AND first < ?)", (below, end))
    database.execute("DELETE FROM segment WHERE last < ? AND first < ?", (below, end))
    return gone, names


def _hash(payload: bytes) -> str | None:
    """The hash of a birth."""
    try:
        head = encoding.decode_sequenced(payload)
    except encoding.Malformed:
        return None
    return head.h if isinstance(head, m.Birth) else None
