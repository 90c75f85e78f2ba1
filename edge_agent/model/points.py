"""Pure. What a site file and its profiles resolve to: buses, devices, points - everything a running agent needs, nothing else.

`config/` makes these from YAML; `model/`, `protocols/` and `bus.py` read them. No pydantic beyond `config/`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from edge_agent.contract.message import URGENT, URGENT_HOLD_MS, Lane, Limits, Text
from edge_agent.model.condition import Condition

Table = Literal["coil", "discrete", "holding", "input"]
"""Modbus tables: functions 1, 2, 3, 4."""
NumberType = Literal[
    "bool", "u16", "s16", "u32", "s32", "u48", "s48", "u64", "s64", "f16", "f32", "f64", "bcd16", "bcd32", "bcd48", "bcd64",
]  # fmt: skip
RawType = Literal[NumberType, "text"]
"""Parts of them (8 and 24 bits, halves of a register) are these with a mask."""
WordOrder = Literal["ABCD", "CDAB", "BADC", "DCBA"]
"""Wire bytes of a value, A the most significant; for 64 bits the same pattern over words and bytes."""
Framing = Literal["rtu", "ascii", "tcp", "rtu-over-tcp"]

NO_LIMITS = Limits()

REGISTERS_OF: dict[str, int] = {
    "bool": 1, "u16": 1, "s16": 1, "f16": 1, "bcd16": 1, "u32": 2, "s32": 2, "f32": 2, "bcd32": 2,
    "u48": 3, "s48": 3, "bcd48": 3, "u64": 4, "s64": 4, "f64": 4, "bcd64": 4, "text": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Write:
    """How a point is written, where its profile allows that: raw = (value - offset) / scale, coded as `type` and `order` say."""

    table: Literal["coil", "holding"]
    address: int
    """Wire address, counts from 0; often not the one it is read at."""
    type: NumberType
    order: WordOrder = "ABCD"
    function: Literal[5, 6, 15, 16, 22] = 6
    """22: the bits of the point's mask alone (mask write)."""
    low: float | None = None
    high: float | None = None
    """Bounds of what may be written, in the point's unit; both are given for numbers."""
    codes: tuple[int, ...] = ()
    """The only values that may be written; empty: any within the bounds."""
    on: int = 1
    off: int = 0
    """Raw values of true and false."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request that a device wants before it can be read: a write, or a read whose answer nobody uses."""

    table: Table
    address: int
    words: tuple[int, ...] = ()
    """Raw registers (0-65535), or bits (0/1), to write; of a read none."""
    wait_ms: int = 0
    """Time to leave the device alone after it."""
    function: Literal[1, 2, 3, 4, 5, 6, 15, 16] = 16
    """1-4: a read of `count`."""
    count: int = 0
    """Registers or bits that a read asks for. 0 occurs: Yosemitech probes are started by a read of no register."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A multiplier of a point's value that another point of the same reply gives."""

    of: str
    """The other point's id; its value after its own scale."""
    taken: Literal["factor", "decimals", "exponent"] = "factor"
    """decimals: divides by 10 to the power of it; exponent: multiplies by that."""
    table: tuple[tuple[int, float], ...] = ()
    """Multipliers by code; a code that is not among them leaves the point without value."""


@dataclass(frozen=True, slots=True)
class Term:
    """What another point of the same reply adds to a point's value."""

    of: str
    times: float = 1.0


@dataclass(frozen=True, slots=True)
class Point:
    """One point of one device, resolved. value = (raw & mask >> shift, as type) * scale + offset."""

    series: int
    """Index in the birth's series table; unique within the gateway."""
    device: str
    id: str
    table: Table
    address: int
    """Wire address, counts from 0."""
    type: RawType
    order: WordOrder = "ABCD"
    scale: float = 1.0
    offset: float = 0.0
    decimals: int | None = None
    """Decimals of an integer raw value after scaling; None: as many as scale and offset have."""
    mask: int | None = None
    """Bits of the raw word(s) that belong to the point; the value is shifted down to the mask's lowest bit."""
    length: int = 0
    """Registers of a text; 0: as many as the type has."""
    letters: Literal[1, 2] = 2
    """Of a text, in one register: 2, the first in the high byte, or 1 in the low byte."""
    on: int | None = None
    """Of a bool: the raw value that means true; None: all but `off`, or but 0."""
    off: int | None = None
    """The raw value that means false; None: all but `on`. With both, any other is no value."""
    negative_from: int | None = None
    """Raw values from here on mean minus what they are above it (magnitude with a sign); None: they do not."""
    sentinels: tuple[int, ...] = ()
    """Raw words (as one unsigned number), or the point's own bits of them, that mean "no value"."""
    scale_by: tuple[Factor, ...] = ()
    """Multipliers that stand in other points of the same group, beside `scale`."""
    plus: tuple[Term, ...] = ()
    valid_when: Condition | None = None
    """On points of the same group: where it is false the point has no value."""
    unit: str = ""
    role: str = ""
    kind: Literal["number", "counter", "bool", "text", "code", "bits"] = "number"
    period_ms: int = 1000
    dead_band: float | None = None
    """In its unit; None: every reading is sent."""
    heartbeat_ms: int = 0
    """With a dead-band: after so long a reading is sent although nothing changed."""
    lane: Lane = "n"
    limits: Limits = NO_LIMITS
    """range_low and range_high are what the instrument can measure: outside, the value is uncertain (range)."""
    group: str = ""
    """Points of one group must be read in one request."""
    latched: bool = False
    """Reading clears it: only its own request touches it, in its own turn, and a request that fails is not repeated."""
    write: Write | None = None
    name: Text | None = None
    texts: dict[str, Text] = field(default_factory=dict)
    signs: dict[str, str] = field(default_factory=dict)

    @property
    def span(self) -> int:
        """Registers or bits it takes."""
        return self.length or REGISTERS_OF[self.type]

    @property
    def leans(self) -> bool:
        """True if its value depends on other points of the same reply."""
        return bool(self.scale_by or self.plus) or self.valid_when is not None


@dataclass(frozen=True, slots=True)
class Device:
    """One Modbus device of a bus, resolved."""

    id: str
    unit: int
    """Modbus unit address: 1-247; 0-255 over TCP."""
    points: tuple[Point, ...]
    profile: str = ""
    profile_version: str = ""
    timeout_ms: int = 1000
    pause_ms: int = 0
    """Silence the device needs before each request, beside the protocol's own."""
    max_registers: int = 125
    max_bits: int = 2000
    retries: int = 1
    turnaround_ms: int = 20
    """Default until measured."""
    holes: tuple[tuple[Table, int, int], ...] = ()
    """Forbidden address ranges (table, first, last) that no request may touch."""
    gaps: bool = True
    """False: only registers of points may be read, never those between them."""
    setup: tuple[Step, ...] = ()
    """Written when the device begins to answer: after the start and after each silence."""
    wake: tuple[Step, ...] = ()
    """Written before a request when nothing was said to the device for wake_after_ms."""
    wake_after_ms: int = 0
    trigger: tuple[Step, ...] = ()
    """Written before each cycle of reading, so that the device measures; without it the previous values come back."""
    keepalive_ms: int = 0
    """The device stops, or reports an alarm, when nothing is asked for so long; 0: it does not mind."""
    identifies: bool = False
    """It can be asked who it is (function 43/14): the profile says so."""
    link_series: int | None = None
    """Index of the first of the series that tell how well the device can be reached (model/link_health.py); None: it has none."""
    name: Text | None = None
    nameplate: dict[str, float | int | bool | str] = field(default_factory=dict)
    part_of: str = ""
    fed_by: tuple[str, ...] = ()
    commands: tuple[Point, ...] = ()
    """What is only written: it has no readings and no series."""


@dataclass(frozen=True, slots=True)
class Serial:
    """How a serial bus is reached: `port` is a device path or a pyserial URL (`rfc2217://host:port`, `socket://...`)."""

    port: str
    baudrate: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    bytesize: Literal[7, 8] = 8


@dataclass(frozen=True, slots=True)
class Tcp:
    """How a TCP bus is reached."""

    host: str
    port: int = 502
    connect_timeout_ms: int = 3000


@dataclass(frozen=True, slots=True)
class Bus:
    """One bus: what it is reached by, how frames look, who is on it."""

    id: str
    link: Serial | Tcp
    framing: Framing
    devices: tuple[Device, ...]
    probe_budget: float = 0.02
    """Share of bus time for devices that do not answer."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of the MQTT link's TLS."""

    ca: str = ""
    cert: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the agent publishes."""

    host: str
    port: int = 1883
    version: Literal["auto", "5", "3.1.1"] = "auto"
    """auto: 5, and 3.1.1 where a broker refuses that."""
    username: str = ""
    password_file: str = ""
    tls: Tls | None = None
    keepalive_s: int = 240
    """Below the 5 minutes after which many cellular networks forget a connection that rests."""
    root: str = "waterworks"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a month on the air may cost, and how far batches and dead-bands may give way for it."""

    month_bytes: int
    from_day: int = 1
    """Day of the month, 1 to 28, on which the count begins anew (UTC)."""
    batch_most_ms: int = 600_000
    dead_band_most: float = 1.0
    """Times as wide as the points' own."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How readings are batched, kept and sent."""

    batch_ms: int = 5000
    """A normal batch is closed this long after its first reading."""
    batch_readings: int = 1000
    """... or when it holds this many."""
    window_ms: int = 10_000
    """Durability window: what is without receipt after it is on disk."""
    urgent_window_ms: int | None = None
    """A window of their own for readings of urgent points; 0: each of them at once."""
    in_flight: int = 32
    """Batches sent and not yet receipted."""
    resend_ms: int = 10_000
    """Without a receipt for this long, sent again; doubles up to 16 times this."""
    max_bytes: int = 256 << 20
    max_age_ms: int = 30 * 86_400_000
    receipt_hold_ms: int = 1000
    """How long the collector may hold a receipt of lane `n` back."""
    receipt_every: int = 0
    """... or until so many batches of lane `n` are without one, whichever is first; 0: a quarter of in_flight."""
    newest_first: bool = False
    confirm: Literal["receipt", "puback"] = "receipt"
    budget: Budget | None = None
    data_qos: Literal[0, 1] = 0
    """MQTT QoS of `data` with `confirm: receipt`. 1 buys a PUBACK for each batch, which nothing is built on."""

    @property
    def qos(self) -> Literal[0, 1]:
        """The QoS of `data`."""
        return 1 if self.confirm == "puback" else self.data_qos

    @property
    def batches_per_receipt(self) -> int:
        """So many batches of lane `n` may wait for a receipt before one is due at once; never more than half the window."""
        return min(self.receipt_every or self.in_flight // 4 or 1, max(1, self.in_flight // 2))

    def wait_ms(self, lane: Lane) -> int:
        """How long a message waits for its receipt before it is sent again: never before the receipt can be there."""
        hold_ms = min(self.receipt_hold_ms, URGENT_HOLD_MS) if lane == URGENT else self.receipt_hold_ms
        return max(self.resend_ms, hold_ms + self.resend_ms // 2)

    @property
    def late_ms(self) -> int:
        """A batch that is older is late: 5 minutes beyond the time that it and its receipt may take."""
        batch_ms = max(self.batch_ms, self.budget.batch_most_ms if self.budget is not None else 0)
        return batch_ms + self.receipt_hold_ms + 300_000

    @property
    def shortest_window_ms(self) -> int:
        """That of readings of urgent points."""
        return self.window_ms if self.urgent_window_ms is None else min(self.urgent_window_ms, self.window_ms)


@dataclass(frozen=True, slots=True)
class Site:
    """Everything a running agent needs to know. Points of all buses have distinct `series`, 0.. in order."""

    site: str
    gateway: str
    brokers: tuple[Broker, ...]
    buses: tuple[Bus, ...]
    delivery: Delivery = Delivery()
    name: Text | None = None
    return_s: float = 600.0
    """While a later broker serves, the preferred ones are knocked at so often."""
    clock_modem: str = ""
    """AT port of a cellular modem that tells the time, `modemmanager`, or empty."""
