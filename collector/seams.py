"""Pure. The seams of the collector: what may be replaced by another implementation. One test suite each (tests/suites/).

Log: the durable record of batches, with the accounting that receipts speak of. Store: the time series. Operations: warnings,
people's acts, notifications. Notifier: one way to tell a person. Subscriber: the link to the broker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from collector.domain.identity import GatewayId, SeriesKey
from collector.domain.series import Sample, SeriesColumn, SeriesInfo
from collector.domain.warning import Act, State, Warning
from collector.intake.records import BatchKey, LaneState, Poison, Record
from edge_agent.contract.message import Text
from edge_agent.contract.topics import Kind

# --- Log -------------------------------------------------------------------------------------------------------------


class StorageFailed(Exception):
    """The medium refused (full, I/O error, read-only). Nothing of the call is durable as far as anyone may believe."""


class Log(Protocol):
    """Durable record of batches. One writer thread; readers from any thread."""

    @property
    def log_id(self) -> str:
        """Drawn when the log is made; another one after a restore."""
        ...

    def lanes(self) -> Sequence[LaneState]:
        """The accounting as last committed."""
        ...

    def append(self, records: Sequence[Record], lanes: Sequence[LaneState], poison: Sequence[Poison]) -> int:
        """Makes all of it durable in one commit and returns the last offset given. Offsets in `records` are ignored.

        A record whose key is in the log already is skipped. Raises StorageFailed; then nothing may be receipted.
        """
        ...

    def read(self, after: int, limit: int) -> Sequence[Record]:
        """Up to `limit` records with offset > after, in order."""
        ...

    def births(self) -> Sequence[Record]:
        """Every birth the log holds, oldest first; trimming keeps them."""
        ...

    def last_offset(self) -> int:
        """0 for an empty log."""
        ...

    def trim(self, below: int) -> int:
        """Forgets data records with offset < below; births and the accounting stay. Returns how many went."""
        ...

    def poison(self, limit: int) -> Sequence[Poison]:
        """The newest quarantined messages first, each with its id."""
        ...

    def close(self) -> None:
        """Ends cleanly."""
        ...


# --- Store -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoreBatch:
    """One interpreted data message."""

    key: BatchKey
    columns: Sequence[SeriesColumn]


class StoreAway(Exception):
    """The store cannot be reached or asks to wait; the data stays in the log. retry_after_s: what it asked for."""

    def __init__(self, detail: str, retry_after_s: float = 1.0) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class StoreRefused(Exception):
    """The store refuses for a reason that a person must mend (rights, missing bucket); data is held, never dropped."""


class Store(Protocol):
    """Time series. `write` is idempotent by (series, time); the cursor says up to which log offset everything is in."""

    def cursor(self) -> int:
        """The log offset up to which everything is stored; 0 at first."""
        ...

    def write(self, batches: Sequence[StoreBatch], cursor: int) -> None:
        """Stores batches and cursor. On return both are durable. Raises StoreAway, StoreRefused, StorageFailed."""
        ...

    def tidy(self) -> bool:
        """One step of upkeep, for the writing thread while there is nothing to write. False if nothing is to do. Never raises."""
        ...

    def series(self, site: str | None = None) -> Sequence[SeriesInfo]:
        """All known series, or one site's."""
        ...

    def latest(self, site: str | None = None) -> Mapping[SeriesKey, Sample]:
        """The newest reading of each series by time, but for what is stamped more than AHEAD_MS ahead of the store's clock."""
        ...

    def range(self, key: SeriesKey, from_ms: int, to_ms: int, max_points: int | None = None) -> Sequence[Sample]:
        """Readings with from_ms <= time < to_ms in order of time, one per instant.

        With max_points numbers are thinned so that the extremes of each interval stay (two per interval).
        """
        ...

    def count(self, key: SeriesKey, from_ms: int, to_ms: int) -> int:
        """How many readings `range` without max_points would give."""
        ...

    def close(self) -> None:
        """Ends cleanly."""
        ...


# --- Warnings --------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """An act that the lifecycle's table does not allow. The text says why, for people."""


class Operations(Protocol):
    """Warnings and what people did; commits rule state, cursor and outgoing notifications together."""

    def warnings(
        self, site: str | None = None, states: Iterable[State] | None = None, limit: int = 200, before_ms: int | None = None
    ) -> Sequence[Warning]:
        """Newest (by began_ms) first."""
        ...

    def warning(self, id: str) -> Warning | None:
        """One warning."""
        ...

    def act(self, id: str, what: Literal["acknowledge", "close", "return"], who: str, note: str, now_ms: int) -> Warning:
        """Carries out a person's act. Raises KeyError, Refused."""
        ...

    def acts(self, id: str) -> Sequence[Act]:
        """What was done, oldest first."""
        ...


# --- Notifier and Subscriber -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Notice:
    """What one person or channel is told. id: stable, so that a receiver can drop a repeat."""

    id: str
    kind: Literal["raised", "over", "acknowledged", "closed", "escalated", "summary"]
    warning: Warning | None
    text: Text
    link: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of sending."""

    ok: bool
    retry: bool
    detail: str


class Notifier(Protocol):
    """One way to tell a person."""

    name: str

    def send(self, notice: Notice) -> Outcome:
        """Blocks at most its time-out; never raises for what the network or the other side does."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message from a gateway's branch, or of a topic that is none (gateway None)."""

    topic: str
    gateway: GatewayId | None
    kind: Kind | None
    payload: bytes
    retained: bool
    received_ms: int


class Subscriber(Protocol):
    """The link to the broker: subscribes anew on every connect, clean session."""

    def start(self, on_message: Callable[[Message], None], on_connected: Callable[[bool], None]) -> None:
        """Calls back on its own thread."""
        ...

    def publish(self, gateway: GatewayId, kind: Kind, payload: bytes) -> None:
        """Retained where the contract says so. Silently dropped when not connected: everything is said again."""
        ...

    def stop(self) -> None:
        """Disconnects cleanly."""
        ...
