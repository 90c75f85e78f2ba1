"""Pure. Words of the delivery machine: the events it is told and the actions it asks for.

`Courier` (courier.py) is one step machine, `step(now_ms, event) -> list[Action]`, built of outbox, send window, receipts and
stamping. now_ms is monotonic time of this boot; UTC enters by `ClockSet` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from edge_agent.contract.message import BirthBody, Gap, Lane, Receipt
from edge_agent.model.reading import Happening, Reading

if TYPE_CHECKING:
    from edge_agent.delivery.shelf import Shelf


HELD_BYTES = 200
"""What a message counts beside its body when the outbox's bytes are summed up."""


class Key(NamedTuple):
    """One batch of this gateway."""

    epoch: str
    lane: Lane
    seq: int


class Span(NamedTuple):
    """Batches a..z of one epoch and lane."""

    epoch: str
    lane: Lane
    a: int
    z: int

    def each(self) -> list[Key]:
        """Their keys."""
        return [Key(self.epoch, self.lane, seq) for seq in range(self.a, self.z + 1)]


@dataclass(frozen=True, slots=True)
class Stored:
    """One sequenced message at rest. Exactly what is needed to send it in this or any later boot."""

    key: Key
    kind: Literal["data", "birth"]
    birth: str
    """Hash of the birth it refers to (a birth: its own)."""
    body: bytes
    """Encoded `Body` or `BirthBody`; offsets count from t0."""
    readings: int
    boot: str
    mono_ms: int
    """Monotonic time of boot `boot` that t0 stands for, until the batch is stamped."""
    t0: int | None = None
    """ms UTC; given once, never changed. None: from before the clock was known."""
    clock_source: str = ""
    clock_bound_ms: int = 0
    gaps: int = 0
    """Gap records in the body: such a batch is the last to be dropped."""
    size: int = 0
    """Bytes of the body where it is left out (`body` empty): the Courier fetches it when it is to be sent."""


class Lost(NamedTuple):
    """A birth, or a message that told of gaps, that cannot be read any more: what it counted, and what it told."""

    key: Key
    readings: int
    gaps: Sequence[Gap]


@dataclass(frozen=True, slots=True)
class Anchor:
    """UTC of an epoch whose batches are on disk without a stamp: utc = mono + offset_ms. Durable before any of them is sent."""

    epoch: str
    offset_ms: int
    source: str
    bound_ms: int


@dataclass(frozen=True, slots=True)
class Run:
    """How far a run of this agent was settled: 1..normal and 1..urgent of its lanes have their receipt."""

    epoch: str
    normal: int
    urgent: int
    utc_ms: int
    """When this was so; 0: not known."""


# --- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """First event. epoch is new and already durable. stored: what the outbox file holds, oldest first (bodies included)."""

    epoch: str
    boot: str
    birth: BirthBody
    stored: Sequence[Stored] = ()
    set_aside: str = ""
    """Not empty: the outbox file was damaged and set aside under this name."""
    anchors: Sequence[Anchor] = ()
    """Of the outbox file; they stamp what is stored without a stamp."""
    disk: str = ""
    """Not empty: why the outbox file cannot be written; the agent begins from memory."""
    shelves: Sequence[Shelf] = ()
    """What the file holds beside `stored`: its messages are fetched when their turn has come."""
    lost: Sequence[Lost] = ()
    """Births that are damaged, and what told of gaps: that is told again."""
    unknown: int = 0
    """Rows of the outbox file that are damaged through and through: nobody can say what they held."""
    past: Sequence[Run] = ()
    """Earlier runs of this gateway, the newest last: births tell of them, so that a restored collector sees what it lacks."""


@dataclass(frozen=True, slots=True)
class TakenUp:
    """The outbox file, which could not be read at the start, is there: this is what it holds."""

    stored: Sequence[Stored]
    anchors: Sequence[Anchor] = ()
    set_aside: str = ""
    shelves: Sequence[Shelf] = ()
    lost: Sequence[Lost] = ()
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Renewed:
    """The outbox file was found damaged in the middle of a run, and set aside under this name. The new one may lack some."""

    set_aside: str


@dataclass(frozen=True, slots=True)
class Taken:
    """Readings from a bus."""

    readings: Sequence[Reading]


@dataclass(frozen=True, slots=True)
class Happened:
    """Events of the agent."""

    events: Sequence[Happening]


@dataclass(frozen=True, slots=True)
class NewBirth:
    """The configuration changed: batches from now on refer to this birth."""

    birth: BirthBody


@dataclass(frozen=True, slots=True)
class SendBirth:
    """Somebody asks for the newest birth: it is sent again, as the message it was."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The MQTT session is up and subscribed."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The MQTT session is gone."""


@dataclass(frozen=True, slots=True)
class ReceiptCame:
    """The collector's word."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class BrokerTook:
    """The broker's PUBACK: its word that it took the message, not that anybody stored it. Counts with `confirm: puback` only."""

    key: Key


@dataclass(frozen=True, slots=True)
class ClockSet:
    """UTC is utc_ms at monotonic mono_ms, from this source, within +- bound_ms. Also told again after a step."""

    mono_ms: int
    utc_ms: int
    source: str
    bound_ms: int


@dataclass(frozen=True, slots=True)
class Repaced:
    """From now on a normal batch waits so long after its first reading (the data budget says so)."""

    batch_ms: int


@dataclass(frozen=True, slots=True)
class Written:
    """The write with this token is durable."""

    token: int


@dataclass(frozen=True, slots=True)
class WriteFailed:
    """The write with this token failed: nothing of it may be believed durable."""

    token: int
    reason: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """Messages that were asked for by Fetch. Missing ones could not be read (damaged)."""

    stored: Sequence[Stored]
    missing: Sequence[Key] = ()
    missing_readings: int = 0
    """In the missing ones, as far as it is known."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The time asked for by WakeAt has come (or any other time: always harmless)."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Clean shutdown: close open batches, write everything that has no receipt. Complete once no Write is under way.

    Sending goes on, for whoever wants to wait for receipts.
    """


Event = (
    Start | TakenUp | Renewed | Taken | Happened | NewBirth | SendBirth | Connected | Disconnected | ReceiptCame | BrokerTook
    | ClockSet | Repaced | Written | WriteFailed | Fetched | Tick | Stop
)  # fmt: skip


# --- actions ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Write:
    """One durable write (one transaction, one fsync): add these, forget those. At most one is under way at a time."""

    token: int
    add: Sequence[Stored]
    """A key that is there already is replaced."""
    forget: Sequence[Key]
    """Keys that are not there are no error."""
    anchors: Sequence[Anchor] = ()
    run: Run | None = None
    """In the place of what was noted of this run before."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Read these messages back from the outbox file."""

    span: Span


@dataclass(frozen=True, slots=True)
class Publish:
    """Send one sequenced message: on `data`, or where retained_birth is True (the newest birth) retained on `birth`."""

    key: Key
    payload: bytes
    retained_birth: bool = False


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send Tick at this monotonic time; a later one replaces an earlier one."""

    mono_ms: int


@dataclass(frozen=True, slots=True)
class Report:
    """Something for the log: a stable id and words. warns: a person should look."""

    id: str
    text: str
    warns: bool = False


Action = Write | Fetch | Publish | WakeAt | Report


@dataclass(frozen=True, slots=True)
class Figures:
    """What `edge-agent status` shows of delivery."""

    taken: int
    """Readings taken since start."""
    delivered: int
    """Readings whose receipt came since start."""
    depth: int
    """Batches without receipt."""
    depth_readings: int
    depth_bytes: int
    on_disk: int
    """Batches of these that are on disk."""
    oldest_ms: int | None
    """Age of the oldest one, ms; None where unknown or empty."""
    dropped: int
    unstamped: int
    epoch: str
    connected: bool
    disk: str = ""
    """Not empty: why the outbox works from memory at present."""
    late_ms: int = 300_000
    """A batch that is older is late: 5 minutes beyond the time that batch and receipt may take by the settings."""
    drain_per_s: float | None = None
    """Readings by which the backlog shrinks a second, over the last minutes; negative while it grows, None while unknown."""
    drain_s: int | None = None
    """When the backlog will be gone at this rate; None while unknown or not draining."""
