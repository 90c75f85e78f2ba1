"""Does I/O: the log's database: tables, births as rows, checksums of rows. Files and frames: log_segment.py."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collector.intake.records import BatchKey, Record
from edge_agent.contract import encoding
from edge_agent.contract import message as m

SCHEMA = 2
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
BIRTHS = "SELECT offset, site, gateway, epoch, lane, seq, received_ms, crc, payload FROM birth"
INSERT_BIRTH = "INSERT OR IGNORE INTO birth VALUES(?,?,?,?,?,?,?,?,?,?)"
SEGMENTS = "SELECT first, last, records, length, oldest_ms, newest_ms, name FROM segment"
INSERT_SEGMENT = "INSERT INTO segment(first, last, records, length, oldest_ms, newest_ms, name) VALUES(?,?,?,?,?,?,?)"
FRESH = "SELECT first, last, number, frames FROM fresh"
INSERT_HELD = "INSERT INTO held VALUES(?,?,?,?,?,?)"
_OLDER_BIRTHS = """
DELETE FROM birth WHERE offset < ? AND EXISTS (
    SELECT 1 FROM birth AS later WHERE later.site = birth.site AND later.gateway = birth.gateway
    AND later.hash = birth.hash AND later.offset > birth.offset)
"""


def segment_folder(path: Path) -> Path:
    """Where the segments of the log at `path` lie: `log.segments` beside `log.sqlite`."""
    return path.with_suffix(".segments")


def durable(database: sqlite3.Connection) -> None:
    """WAL, and on the medium at each commit."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "journal_size_limit=67108864"):
        database.execute(f"PRAGMA {pragma}").fetchall()


def crc_of(key: BatchKey, received_ms: int, kind: str, payload: bytes) -> int:
    """Checksum over everything of a record: one that moved to another key is damaged too."""
    return zlib.crc32(payload, zlib.crc32("/".join(map(str, (*key, received_ms, kind))).encode()))


def birth_row(offset: int, record: Record) -> tuple[Any, ...]:
    """A row of table `birth`."""
    crc = crc_of(record.key, record.received_ms, record.kind, record.payload)
    return (offset, *record.key, record.received_ms, _hash(record.payload), crc, record.payload)


def birth_of(row: Sequence[Any]) -> Record | None:
    """The record of a row that BIRTHS gives; None if it is damaged."""
    offset, site, gateway, epoch, lane, seq, received_ms, crc, payload = row
    key = BatchKey(site, gateway, epoch, lane, seq)
    return Record(offset, key, received_ms, payload, "birth") if crc_of(key, received_ms, "birth", payload) == crc else None


def forget(database: sqlite3.Connection, low: int, below: int, last: int) -> tuple[int, list[str]]:
    """Moves the low end from `low` to `below`: how many records go by it, and the files that nobody needs any more.

    last: of the log. The newest segment goes only when nothing at all is left, for what is fresh belongs to it.
    """
    query = "SELECT coalesce(sum(min(last, ?) - max(first, ?) + 1), 0) FROM {} WHERE last >= ? AND first < ?"
    spans = (database.execute(query.format(table), (below - 1, low, low, below)).fetchone()[0] for table in ("segment", "fresh"))
    births = database.execute("SELECT count(*) FROM birth WHERE offset >= ? AND offset < ?", (low, below)).fetchone()[0]
    gone = sum(spans) - births + database.execute(_OLDER_BIRTHS, (below,)).rowcount
    database.execute("UPDATE state SET low = ?", (below,))
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
