"""Pure. What crosses the wire, contract version 1 (DESIGN.md section 5; explained in docs/contract.md).

Field names are short because they are sent millions of times. Times are int milliseconds UTC. New optional fields may be
added at the end of a structure; nothing is ever renamed, removed or given another meaning within version 1.

Sequenced messages (topic `data`; the newest birth also retained on `birth`) are `Data` and `Birth`. Both begin with the same
header: v, k, e (epoch), l (lane), s (sequence), low (lowest sequence the agent still holds in that lane).
"""

from __future__ import annotations

from typing import Literal

import msgspec

VERSION = 1

Value = float | int | bool | str | None
"""A reading's value. None: there is no value (the quality says why)."""

Lane = Literal["n", "u"]
NORMAL: Lane = "n"
URGENT: Lane = "u"
LANES: tuple[Lane, ...] = (NORMAL, URGENT)
URGENT_HOLD_MS = 1000
"""A receipt of the urgent lane is held back no longer than this."""


class Text(msgspec.Struct, frozen=True, array_like=True):
    """One text in both languages of the product."""

    zh: str
    en: str


class Column(msgspec.Struct, frozen=True, array_like=True):
    """The values of one series at every instant of its block.

    q holds run lengths [[code, count], ...] over the values; empty means that all are good.
    """

    i: int
    v: list[float | int | bool | str | None]
    q: list[tuple[int, int]] = []


class Block(msgspec.Struct, frozen=True, array_like=True):
    """Series that were read at the same instants. t: first offset to the message's t0 in ms, then the step to each next one."""

    t: list[int]
    c: list[Column]


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that happened. kind: a name of docs/contract.md's list, e.g. `device.silent`."""

    t: int
    """Offset to the message's t0, ms."""
    kind: str
    on: bool | None = None
    """True: begins; False: is over; None: happened at this instant only."""
    subject: str = ""
    """`bus`, `device` or `device.point`; empty for the gateway itself."""
    reason: str = ""
    about: dict[str, float | int | bool | str | None] = {}


class Gap(msgspec.Struct, frozen=True, omit_defaults=True):
    """Readings that the agent had taken and will never send: sequences a..z of lane l in epoch e."""

    e: str
    l: Lane
    a: int
    z: int
    readings: int
    why: str
    """`overflow`, `age`, `damaged`, `unstampable`."""
    t_from: int | None = None
    """ms UTC of the oldest reading lost, where known."""
    t_to: int | None = None


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a data message carries. Offsets count from the header's t0, so that a body is encoded once and never again."""

    blocks: list[Block] = []
    events: list[Event] = []
    gaps: list[Gap] = []


class Clock(msgspec.Struct, frozen=True, array_like=True):
    """How the stamps of a message came about."""

    source: str
    """`ntp`, `rtc`, `modem`, `collector`, `manual`; `none` where only a bound is known."""
    bound_ms: int = 0
    """The stamps are right within +- this many ms."""


class Data(msgspec.Struct, frozen=True, tag_field="k", tag="d", omit_defaults=True):
    """One batch: readings, events and gap records of one lane."""

    v: int
    e: str
    l: Lane
    s: int
    low: int
    b: str
    """Hash of the birth that names the series."""
    t0: int
    d: Body
    c: Clock | None = None


class DataFrame(msgspec.Struct, frozen=True, tag_field="k", tag="d", omit_defaults=True):
    """`Data` with its body already encoded: what the agent sends. Same bytes on the wire as `Data`."""

    v: int
    e: str
    l: Lane
    s: int
    low: int
    b: str
    t0: int
    d: msgspec.Raw
    c: Clock | None = None


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """Limits of a point in its unit, as the site file or the profile states them."""

    low_low: float | None = None
    low: float | None = None
    high: float | None = None
    high_high: float | None = None
    range_low: float | None = None
    """What the instrument can measure."""
    range_high: float | None = None


class Series(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a birth's series table."""

    i: int
    device: str
    point: str
    unit: str = ""
    role: str = ""
    period_ms: int = 0
    """0: not periodic."""
    kind: Literal["number", "counter", "bool", "text", "code", "bits"] = "number"
    lane: Lane = "n"
    decimals: int | None = None
    name: Text | None = None
    limits: Limits | None = None
    texts: dict[str, Text] = {}
    """Texts of codes (`"3"`) or bits (`"b3"`)."""
    signs: dict[str, str] = {}
    """Codes or bits that are failure signs, to the failure they speak of (`overload`, `dry-run`, ...)."""


class Device(msgspec.Struct, frozen=True, omit_defaults=True):
    """One device of the gateway, for people and for topology."""

    id: str
    profile: str = ""
    profile_version: str = ""
    bus: str = ""
    name: Text | None = None
    nameplate: dict[str, float | int | bool | str] = {}
    """Rated values under fixed keys (`rated_current_a`, `shut_off_head_m`, `volume_m3`, ...)."""
    part_of: str = ""
    """The equipment it belongs to (`pump-1`): points of one equipment are judged together."""
    fed_by: list[str] = []
    """Devices or equipment without which this one cannot work."""


class BirthBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the series of a gateway are. Its hash names it; equal configuration gives an equal body."""

    software: str
    series: list[Series]
    devices: list[Device] = []
    receipt_hold_ms: int = 1000
    """How long the collector may hold a receipt of lane `n` back; one of lane `u` at most URGENT_HOLD_MS of it."""
    contract: int = VERSION
    receipt_every: int = 0
    """So many batches of lane `n` without receipt make one due at once; 0: only the time does."""
    batch_ms: int = 5000
    """How long a reading of lane `n` may wait for company before it is sent; more where a data budget asks for it."""


class Past(msgspec.Struct, frozen=True, array_like=True):
    """An earlier run of this gateway, as far as it was settled: its sequences 1..n and 1..u were receipted and let go.

    That is the least: a run that was cut off has told how far it had come once alone, soon after its first receipt.
    """

    e: str
    n: int
    """Of lane `n`; 0: none."""
    u: int
    t: int = 0
    """When this was so, ms UTC; 0: not known."""


class Birth(msgspec.Struct, frozen=True, tag_field="k", tag="b", omit_defaults=True):
    """A birth: itself an outbox message of lane `u`. body stays raw so that its hash can be checked byte for byte."""

    v: int
    e: str
    l: Lane
    s: int
    low: int
    h: str
    boot: str
    t0: int
    body: msgspec.Raw
    c: Clock | None = None
    past: list[Past] = []
    """Earlier runs, the newest last, in births of the present run."""


Sequenced = Data | Birth


class LaneReceipt(msgspec.Struct, frozen=True, array_like=True):
    """What is durable of one epoch and lane: 1..upto, and up to 32 closed ranges above."""

    e: str
    l: Lane
    upto: int
    ranges: list[tuple[int, int]] = []


class Receipt(msgspec.Struct, frozen=True):
    """The collector's word for one gateway."""

    v: int
    log: str
    """Log id. When it changes, the agent sends again everything that it still holds."""
    lanes: list[LaneReceipt]


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """Retained; also the last will. `offline` means "may be offline", nothing more."""

    v: int
    state: Literal["online", "offline"]
    epoch: str
    boot: str = ""
    software: str = ""


class TimeAsk(msgspec.Struct, frozen=True, tag_field="k", tag="ask"):
    """The agent asks for the time. id: drawn at random, comes back in the answer."""

    v: int
    id: str


class TimeTell(msgspec.Struct, frozen=True, tag_field="k", tag="tell"):
    """The collector's clock, ms UTC, when it saw the question."""

    v: int
    id: str
    t: int


TimeMessage = TimeAsk | TimeTell


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question or order to the agent. name: one of docs/contract.md's list (`ping`, `birth`, `status`)."""

    v: int
    id: str
    name: str
    args: dict[str, float | int | bool | str | None] = {}
    until: int | None = None
    """ms UTC; afterwards it must not be carried out."""


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to the command with the same id."""

    v: int
    id: str
    ok: bool
    result: dict[str, float | int | bool | str | None] = {}
    problem: str = ""
