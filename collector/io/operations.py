"""Does I/O: warnings, people's acts, and what has to be told, in one SQLite file. Implements `seams.Operations`.

`commit` makes rule state, log cursor, changes of warnings and the notices that follow from them durable in one transaction: after
a crash the engine goes on from that state, so no warning and no notice is made twice or lost. A notice is sent at least once;
its id is stable, so that a receiver can drop a repeat, and every attempt leaves a line.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from collector.domain.audit import GENESIS, act_hash, first_broken
from collector.domain.county import County
from collector.domain.lifecycle import Refusal, act_on, ended
from collector.domain.notice_text import over_text, raised_text
from collector.domain.warning import Act, State, Warning
from collector.io.operations_schema import COLUMNS, connect, open_database
from collector.rules.changes import Change, Raised
from collector.seams import Notice, Outcome, Refused, StorageFailed
from edge_agent.common.hazard import hazard
from edge_agent.common.page_cache import release_pages
from edge_agent.common.problem import Problem
from edge_agent.common.row_checks import sound
from edge_agent.contract.message import Text

LEASE_MS = 60_000
"""A notice handed to a sender is not handed out again for this long; longer than any notifier's time-out."""
FIRST_RETRY_MS = 5_000
LAST_RETRY_MS = 900_000
GIVE_UP_MS = 86_400_000
"""A day after it was made a notice that could not be delivered is given up: state `failed`."""
COLLECTOR = "collector"
"""Who acts in the audit trail when it is no person."""

_WARNING, _NOTICE, _SUMMARY, _ENGINE, _ACT = (
    sound(COLUMNS, table) for table in ("warnings", "notices", "summaries", "engine", "acts")
)
"""Conditions: only rows whose checksum is right are read."""
_warning_decoder = msgspec.msgpack.Decoder(Warning)
_notice_decoder = msgspec.msgpack.Decoder(Notice)
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Due:
    """A notice to be sent now by one notifier. attempt counts from 1."""

    notice: Notice
    channel: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of one notice so far."""

    notice: Notice
    channel: str
    state: Literal["waiting", "sent", "failed"]
    attempts: int
    detail: str
    """What the other side said last."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A daily summary as it was stored."""

    day: str
    """`2026-11-24`."""
    made_ms: int
    text: Text


class SqliteOperations:
    """See the module. Any number of reading threads; writers take turns. Methods raise StorageFailed where the medium refuses."""

    def __init__(self, path: Path, county: County, channels: Sequence[str] = (), page_url: str = "") -> None:
        """channels: names of the notifiers by which people are told. Raises ProblemError (OPS701, OPS702)."""
        self._path = path
        self._county = county
        self._channels = tuple(channels)
        self._page_url = page_url.rstrip("/")
        self._writing = threading.Lock()
        self._writer, self._asides = open_database(path)
        self._reading = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._problems = self._look()

    # --- warnings and acts (seams.Operations) ---

    def warnings(
        self, site: str | None = None, states: Iterable[State] | None = None, limit: int = 200, before_ms: int | None = None
    ) -> Sequence[Warning]:
        """Newest (by began_ms) first."""
        where, values = [_WARNING], list[str | int]()
        if site is not None:
            where.append("site = ?")
            values.append(site)
        if states is not None:
            wanted = list(states)
            where.append(f"state IN ({','.join('?' * len(wanted))})")
            values += wanted
        if before_ms is not None:
            where.append("began_ms < ?")
            values.append(before_ms)
        sql = f"SELECT body FROM warnings WHERE {' AND '.join(where)} ORDER BY began_ms DESC, id LIMIT ?"
        return [_warning_decoder.decode(body) for (body,) in self._read(sql, (*values, limit))]

    def warning(self, id: str) -> Warning | None:
        """One warning."""
        rows = self._read(f"SELECT body FROM warnings WHERE id = ? AND {_WARNING}", (id,))
        return _warning_decoder.decode(rows[0][0]) if rows else None

    def act(self, id: str, what: Literal["acknowledge", "close", "return"], who: str, note: str, now_ms: int) -> Warning:
        """Carries out a person's act. Raises KeyError, Refused."""
        with self._transaction() as db:
            warning = self._stored(db, id)
            if warning is None:
                raise KeyError(id)
            changed = act_on(warning, what, who, note)
            if isinstance(changed, Refusal):
                raise Refused(f"{changed.why.zh} / {changed.why.en}")
            self._store(db, changed)
            self._record(db, Act(now_ms, who, what, id, note.strip()))
        return changed

    def acts(self, id: str) -> Sequence[Act]:
        """What was done, oldest first."""
        sql = f"SELECT at_ms, who, what, warning, note FROM acts WHERE warning = ? AND {_ACT} ORDER BY n"
        return [Act(*row) for row in self._read(sql, (id,))]

    def verify_audit(self) -> Problem | None:
        """None if the audit trail is whole; else OPS703 with the first line that does not follow."""
        rows = self._read("SELECT at_ms, who, what, warning, note, hash FROM acts ORDER BY n", ())
        broken = first_broken((Act(*row[:5]), row[5]) for row in rows)
        if broken is None:
            return None
        do = "keep the file as evidence and restore the last backup whose trail is whole."
        return Problem(
            "OPS703", f"{self._path}: line {broken} of the audit trail", "The line was changed, or lines before it are missing.", do
        )

    def audit_head(self) -> tuple[int, str]:
        """Number of lines and hash of the last one: whoever knows them can prove later that nothing was cut off."""
        rows = self._read("SELECT n, hash FROM acts ORDER BY n DESC LIMIT 1", ())
        return rows[0] if rows else (0, GENESIS)

    # --- the engine's side ---

    def cursor(self) -> int:
        """The log offset up to which everything has been judged; 0 at first."""
        rows = self._read(f"SELECT cursor FROM engine WHERE {_ENGINE}", ())
        return int(rows[0][0]) if rows else 0

    def rule_state(self) -> bytes:
        """The engine's state that belongs to `cursor`; empty at first."""
        rows = self._read(f"SELECT state FROM engine WHERE {_ENGINE}", ())
        return bytes(rows[0][0]) if rows else b""

    def commit(self, cursor: int, state: bytes, changes: Sequence[Change], now_ms: int) -> None:
        """Makes all of it durable at once. Applying a change that is there already does nothing."""
        hazard("operations.commit.before")
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO engine (one, cursor, state) VALUES (1, ?, ?)", (cursor, state))
            for change in changes:
                if isinstance(change, Raised):
                    self._raise(db, change.warning, now_ms)
                else:
                    self._end(db, change.id, change.over_ms, now_ms)
        hazard("operations.commit.after")

    def _raise(self, db: sqlite3.Connection, warning: Warning, now_ms: int) -> None:
        if self._stored(db, warning.id) is not None:
            return
        site = self._county.sites.get(warning.site)
        told = replace(warning, responsible=site.responsible) if site is not None else warning
        self._store(db, told)
        self._record(db, Act(now_ms, COLLECTOR, told.state, told.id))
        if told.state == "raised":
            self._notify(db, "raised", told, raised_text(told, self._county), now_ms)

    def _end(self, db: sqlite3.Connection, id: str, over_ms: int, now_ms: int) -> None:
        warning = self._stored(db, id)
        if warning is None or warning.over_ms is not None:
            return
        changed = ended(warning, over_ms)
        self._store(db, changed)
        self._record(db, Act(now_ms, COLLECTOR, "over", id))
        self._notify(db, "over", changed, over_text(changed, self._county), now_ms)

    # --- notices ---

    def due(self, now_ms: int, limit: int = 20) -> list[Due]:
        """Takes what has to be sent now, oldest first, for LEASE_MS; each attempt is on record before it is made."""
        found = []
        with self._transaction() as db:
            sql = f"SELECT id, channel, body, attempts FROM notices WHERE next_ms <= ? AND {_NOTICE} ORDER BY made_ms, id LIMIT ?"
            for id, channel, body, attempts in db.execute(sql, (now_ms, limit)).fetchall():
                db.execute("UPDATE notices SET next_ms = ?, attempts = attempts + 1 WHERE id = ?", (now_ms + LEASE_MS, id))
                db.execute("INSERT INTO attempts (notice, n, began_ms) VALUES (?, ?, ?)", (id, attempts + 1, now_ms))
                found.append(Due(_notice_decoder.decode(body), channel, attempts + 1))
        return found

    def sent(self, notice_id: str, outcome: Outcome, now_ms: int) -> None:
        """What came of the last attempt: done, tried again later, or given up."""
        with self._transaction() as db:
            row = db.execute("SELECT attempts, made_ms, warning, kind, state FROM notices WHERE id = ?", (notice_id,)).fetchone()
            if row is None or row[4] != "waiting":
                return
            attempts, made_ms, warning_id, kind, _ = row
            again = not outcome.ok and outcome.retry and now_ms - made_ms < GIVE_UP_MS
            next_ms = now_ms + min(LAST_RETRY_MS, FIRST_RETRY_MS << min(attempts - 1, 20)) if again else None
            state = "sent" if outcome.ok else "waiting" if again else "failed"
            db.execute("UPDATE notices SET next_ms = ?, state = ? WHERE id = ?", (next_ms, state, notice_id))
            values = (now_ms, outcome.ok, outcome.detail[:500], notice_id, attempts)
            db.execute("UPDATE attempts SET ended_ms = ?, ok = ?, detail = ? WHERE notice = ? AND n = ?", values)
            warning = self._stored(db, warning_id) if outcome.ok and kind == "raised" else None
            if warning is not None and warning.sent_ms is None:
                self._store(db, replace(warning, sent_ms=now_ms))

    def deliveries(self, warning_id: str) -> Sequence[Delivery]:
        """What was sent for a warning, and what came of it."""
        last = "SELECT detail FROM attempts WHERE notice = id ORDER BY n DESC LIMIT 1"
        sql = (
            f"SELECT body, channel, state, attempts, coalesce(({last}), '') FROM notices"
            f" WHERE warning = ? AND {_NOTICE} ORDER BY made_ms, id"
        )
        return [Delivery(_notice_decoder.decode(row[0]), *row[1:]) for row in self._read(sql, (warning_id,))]

    # --- daily summaries ---

    def summary_days(self) -> frozenset[str]:
        """Days of which a summary is stored."""
        return frozenset(day for (day,) in self._read(f"SELECT day FROM summaries WHERE {_SUMMARY}", ()))

    def summaries(self, limit: int = 31) -> Sequence[Summary]:
        """The newest first."""
        rows = self._read(f"SELECT day, made_ms, zh, en FROM summaries WHERE {_SUMMARY} ORDER BY day DESC LIMIT ?", (limit,))
        return [Summary(day, made_ms, Text(zh, en)) for day, made_ms, zh, en in rows]

    def store_summary(self, day: str, text: Text, now_ms: int) -> bool:
        """Stores a day's summary and makes its notice. False if the day has one already."""
        with self._transaction() as db:
            if db.execute("SELECT 1 FROM summaries WHERE day = ?", (day,)).fetchone():
                return False
            db.execute("INSERT INTO summaries (day, made_ms, zh, en) VALUES (?, ?, ?, ?)", (day, now_ms, text.zh, text.en))
            for channel in self._channels:
                self._queue(db, Notice(f"summary~{day}~{channel}", "summary", None, text), channel, now_ms)
        return True

    def problems(self) -> list[Problem]:
        """What a person should know of the file: it was damaged when it was opened, or its audit trail is not whole."""
        return self._problems

    def _look(self) -> list[Problem]:
        found = [self.verify_audit()]
        if self._asides:
            what = (
                f"The operations database was damaged. It is kept as {', '.join(self._asides)}; every row that was sound is in use."
            )
            do = "check the disk; if warnings or acts are missing: `collector restore`. This is told until you move that file away."
            found.append(Problem("OPS704", str(self._path), what, do))
        return [problem for problem in found if problem is not None]

    def close(self) -> None:
        """Closes every connection."""
        with self._writing:
            for connection in (*self._readers, self._writer):
                connection.close()
            self._readers.clear()

    # --- rows ---

    def _notify(self, db: sqlite3.Connection, kind: Literal["raised", "over"], warning: Warning, text: Text, now_ms: int) -> None:
        link = f"{self._page_url}/warnings/{warning.id}" if self._page_url else ""
        for channel in self._channels:
            self._queue(db, Notice(f"{kind}~{warning.id}~{channel}", kind, warning, text, link), channel, now_ms)

    @staticmethod
    def _queue(db: sqlite3.Connection, notice: Notice, channel: str, now_ms: int) -> None:
        about = notice.warning.id if notice.warning is not None else ""
        sql = "INSERT OR IGNORE INTO notices (id, channel, kind, warning, body, made_ms, next_ms) VALUES (?, ?, ?, ?, ?, ?, ?)"
        db.execute(sql, (notice.id, channel, notice.kind, about, _encode(notice), now_ms, now_ms))

    @staticmethod
    def _stored(db: sqlite3.Connection, id: str) -> Warning | None:
        row = db.execute(f"SELECT body FROM warnings WHERE id = ? AND {_WARNING}", (id,)).fetchone()
        return _warning_decoder.decode(row[0]) if row else None

    @staticmethod
    def _store(db: sqlite3.Connection, warning: Warning) -> None:
        values = (warning.id, warning.site, warning.state, warning.began_ms, _encode(warning))
        db.execute("INSERT OR REPLACE INTO warnings (id, site, state, began_ms, body) VALUES (?, ?, ?, ?, ?)", values)

    @staticmethod
    def _record(db: sqlite3.Connection, act: Act) -> None:
        row = db.execute("SELECT hash FROM acts ORDER BY n DESC LIMIT 1").fetchone()
        values = (act.at_ms, act.who, act.what, act.warning, act.note, act_hash(row[0] if row else GENESIS, act))
        db.execute("INSERT INTO acts (at_ms, who, what, warning, note, hash) VALUES (?, ?, ?, ?, ?, ?)", values)

    def _read(self, sql: str, values: Sequence[str | int]) -> list[Any]:
        try:
            connection: sqlite3.Connection | None = getattr(self._reading, "connection", None)
            if connection is None:
                connection = self._reading.connection = connect(self._path)
                with self._writing:
                    self._readers.append(connection)
            return connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StorageFailed(f"operations database: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One write, whole or not at all."""
        with self._writing:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                    hazard("operations.write.before")
                except BaseException:
                    self._writer.execute("ROLLBACK")
                    raise
                self._writer.execute("COMMIT")
                hazard("operations.write.after")
                release_pages(self._writer)
            except sqlite3.Error as error:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise StorageFailed(f"operations database: {error}") from error
