"""Does I/O: the whole line of the collector on one page (DESIGN.md section 3).

    broker -> subscriber -> receiver -> log -+-> store writer -> store
              (paho)        (intake,         |
                            commits,         +-> judge -> operations (warnings, notices)
                            receipts)       |    (warning engine)
                                            +-> accountant -> account by gateway and day

Each arrow is a thread's own business: the subscriber only queues; the receiver alone writes the log, and a receipt goes out only
after its commit; store writer, judge and accountant each follow the log with a cursor of their own. Nothing waits for
anything behind it, so a store that is away delays charts, never receipts or warnings.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from collector.accountant import Accountant
from collector.consumer import Appended
from collector.domain.days import Days
from collector.domain.identity import GatewayId
from collector.domain.interpreted import Interpreted
from collector.domain.pulse import GatewayPulse
from collector.following import Understand
from collector.intake.interpret import Births, interpret
from collector.intake.records import Record
from collector.io.account_book import SqliteAccountBook
from collector.io.disk_guard import DiskGuard
from collector.judge import Judge, Ledger, Rules
from collector.receiver import Receiver
from collector.recent_log import KeptLog, RecentLog
from collector.seams import StorageFailed, Store, Subscriber
from collector.store_writer import StoreWriter
from edge_agent.common.clock import Clock
from edge_agent.common.problem import Problem
from edge_agent.contract import encoding
from edge_agent.contract.message import Birth

_log = logging.getLogger(__name__)
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class LineParts:
    """What the line is built of. days_of: the calendar of a site; on_changes: warnings changed; beat: a thread came round."""

    log: KeptLog
    store: Store
    ledger: Ledger
    book: SqliteAccountBook
    days_of: Callable[[str], Days]
    new_rules: Callable[[bytes], Rules]
    subscriber: Subscriber
    clock: Clock
    disk: DiskGuard
    beat: Callable[[str], None]
    on_changes: Callable[[], None]
    retention_ms: int = 14 * DAY_MS


class Pipeline:
    """The running line."""

    def __init__(self, parts: LineParts) -> None:
        self._parts = parts
        log, clock, beat = RecentLog(parts.log), parts.clock, parts.beat
        known = log.births()
        appended = Appended(log.last_offset())
        self.receiver = Receiver(log, _hashes(known), parts.subscriber, appended, clock, parts.disk, beat)
        self.writer = StoreWriter(log, parts.store, _understand(known), appended, clock, beat)
        self.judge = Judge(
            log, parts.ledger, parts.new_rules, _understand(known), self.pulses, appended, clock, beat, parts.on_changes
        )
        self.accountant = Accountant(log, parts.book, parts.days_of, self.pulses, appended, clock, beat)

    def start(self) -> None:
        """From the back to the front: whoever is handed something is there already."""
        self.writer.start()
        self.judge.start()
        self.accountant.start()
        self.receiver.start()

    def stop(self) -> None:
        """From the front to the back: what was received is committed before the consumers end."""
        self.receiver.stop()
        self.writer.stop()
        self.judge.stop()
        self.accountant.stop()

    def pulses(self) -> Sequence[GatewayPulse]:
        """Every gateway heard of."""
        return self.receiver.pulses()

    def problems(self) -> list[Problem]:
        """What is wrong along the line at this moment."""
        found = (self.receiver.problem(), self.writer.problem, self.judge.problem, self.accountant.problem)
        return [problem for problem in found if problem is not None]

    def trim(self) -> None:
        """Asks the log to forget what all consumers have read and the retention is over for."""
        parts = self._parts
        aged = parts.log.offset_before(parts.clock.utc_ms() - parts.retention_ms)  # here, so that no message waits for it

        def forget() -> None:
            try:
                parts.log.trim(min(aged, self.writer.safe + 1, self.judge.safe + 1, self.accountant.safe + 1))
            except StorageFailed as failed:
                _log.error("the log cannot be trimmed now: %s; tried again in an hour", failed)

        self.receiver.submit(forget)


def _understand(known: Sequence[Record]) -> Understand:
    """Reads records with the births of this consumer alone: no two threads share any."""
    births = Births()
    births.load(known)

    def understand(record: Record) -> Interpreted | None:
        return interpret(record, births)

    return understand


def _hashes(known: Sequence[Record]) -> frozenset[tuple[GatewayId, str]]:
    heads = ((record.key, encoding.decode_sequenced(record.payload)) for record in known)
    return frozenset((GatewayId(key.site, key.gateway), head.h) for key, head in heads if isinstance(head, Birth))
