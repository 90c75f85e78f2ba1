"""Pure. The profile file, format 1: what one device model answers and what it means (docs/profiles.md explains every key)."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edge_agent.common.located_model import Refused
from edge_agent.config.quantities import Bilingual, DurationMs, FileModel, FoldedText, Id, RoleName, UnitName, between
from edge_agent.contract.message import Lane
from edge_agent.contract.roles import ROLES
from edge_agent.contract.units import UNITS
from edge_agent.model.points import REGISTERS_OF, RawType, Table, WordOrder

Address = Annotated[int, Field(ge=0, le=65535)]
Nameplate = dict[str, float | int | bool | str]
PeriodMs = Annotated[DurationMs, between(100, 86_400_000)]
_STATE_KINDS = ("bool", "code", "bits")
_INTEGERS = ("u16", "s16", "u32", "s32", "u64", "s64")


class LimitsFile(FileModel):
    """Limits of a point in its unit."""

    low_low: float | None = None
    low: float | None = None
    high: float | None = None
    high_high: float | None = None
    range_low: float | None = None
    range_high: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for names in (("low_low", "low", "high", "high_high"), ("range_low", "range_high")):
            given = [(name, value) for name in names if (value := getattr(self, name)) is not None]
            for (below, lower), (above, upper) in pairwise(given):
                if lower > upper:
                    raise Refused(
                        "CFG019", f"`{below}` ({lower:g}) is above `{above}` ({upper:g}).", "exchange or mend them.", above
                    )
        return self


class PointFile(FileModel):
    """One point: where its raw value stands and what it means."""

    id: Id
    name: Bilingual | None = None
    table: Table
    address: Address
    type: RawType | None = None
    order: WordOrder = "ABCD"
    scale: float = 1.0
    offset: float = 0.0
    decimals: Annotated[int, Field(ge=0, le=9)] | None = None
    mask: Annotated[int, Field(gt=0)] | None = None
    bit: Annotated[int, Field(ge=0, le=63)] | None = None
    sentinels: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=8)] = Field(default_factory=list)
    unit: UnitName = ""
    role: RoleName = ""
    kind: Literal["number", "counter", "bool", "code", "bits"] | None = None
    period: PeriodMs | None = None
    dead_band: Annotated[float, Field(ge=0)] | None = None
    heartbeat: PeriodMs | None = None
    lane: Lane = "n"
    enabled: bool = True
    group: Id | None = None
    limits: LimitsFile = LimitsFile()
    texts: Annotated[dict[str, Bilingual], Field(max_length=256)] = Field(default_factory=dict)
    signs: Annotated[dict[str, Id], Field(max_length=256)] = Field(default_factory=dict)

    @property
    def raw_type(self) -> RawType:
        """The type, with its default: `bool` for coils and discrete inputs, `u16` for registers."""
        return self.type or ("bool" if self.table in ("coil", "discrete") else "u16")

    @property
    def value_kind(self) -> Literal["number", "counter", "bool", "code", "bits"]:
        """The kind, with its default: `bool` for single bits, else `number`."""
        return self.kind or ("bool" if self.bit is not None or self.raw_type == "bool" else "number")

    @property
    def bits_of_value(self) -> int | None:
        """The mask, also of `bit`."""
        return self.mask if self.bit is None else 1 << self.bit

    @model_validator(mode="after")
    def _heartbeat_belongs_to_a_dead_band(self) -> Self:
        if self.heartbeat is not None and self.dead_band is None:
            do = "add `dead_band: 0` (only changes are sent), or leave `heartbeat` out."
            raise Refused("CFG006", "`heartbeat` confirms a point with a dead-band; `dead_band` is missing.", do, "heartbeat")
        return self

    @model_validator(mode="after")
    def _raw_fits(self) -> Self:
        span, kind = REGISTERS_OF[self.raw_type], self.raw_type
        if self.address + span - 1 > 65535:
            what = f"`{kind}` takes {span} registers from address {self.address}, beyond the last address 65535."
            raise Refused("CFG014", what, "mend `address` or `type`.", "address")
        if (self.table in ("coil", "discrete")) != (kind == "bool") and self.type is not None:
            do = (
                "leave `type` out."
                if self.table in ("coil", "discrete")
                else "write `bit: 0` (and `type: u16`) for one bit of a register."
            )
            raise Refused("CFG031", f"The type `{kind}` does not fit the table `{self.table}`.", do, "type")
        if self.mask is not None and self.bit is not None:
            raise Refused("CFG031", "`mask` and `bit` exclude each other.", "keep one of them.", "bit")
        bits = self.bits_of_value
        if bits is not None and (kind not in _INTEGERS or bits >> (16 * span)):
            key = "bit" if self.bit is not None else "mask"
            raise Refused(
                "CFG031", f"`{key}` reaches outside a value of type `{kind}`.", "mend it, or choose a wider integer type.", key
            )
        return self

    @model_validator(mode="after")
    def _meaning_fits(self) -> Self:
        role = ROLES.get(self.role)
        if role is None:
            return self
        if role.dimension == "state":
            if self.value_kind not in _STATE_KINDS:
                what = f"The role `{role.name}` is a state; the point is of kind `{self.value_kind}`."
                raise Refused("CFG024", what, "write `kind: bool`, `code` or `bits`.")
        elif self.value_kind in _STATE_KINDS or UNITS[self.unit].dimension != role.dimension:
            fitting = sorted(unit.name for unit in UNITS.values() if unit.dimension == role.dimension)
            now = (
                f"of kind `{self.value_kind}`"
                if self.value_kind in _STATE_KINDS
                else f"in `{self.unit}`"
                if self.unit
                else "without unit"
            )
            what = f"The role `{role.name}` is a {role.dimension}; the point is {now}."
            do = (
                "choose another role."
                if fitting == [""]
                else "write a unit of it (" + ", ".join(fitting) + "), or choose another role."
            )
            raise Refused("CFG024", what, do)
        return self


class HoleFile(FileModel):
    """Addresses that no request may touch."""

    table: Table
    first: Address
    last: Address

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.first > self.last:
            raise Refused("CFG019", f"`first` ({self.first}) is above `last` ({self.last}).", "exchange them.", "last")
        return self


class RequestsFile(FileModel):
    """How a device wants to be asked. What is None is taken from below: site over profile over the program's default."""

    max_registers: Annotated[int, Field(ge=1, le=125)] | None = None
    max_bits: Annotated[int, Field(ge=1, le=2000)] | None = None
    pause: Annotated[DurationMs, between(0, 10_000)] | None = None
    timeout: Annotated[DurationMs, between(20, 60_000)] | None = None
    turnaround: Annotated[DurationMs, between(0, 60_000)] | None = None
    retries: Annotated[int, Field(ge=0, le=5)] | None = None
    gaps: bool | None = None
    holes: Annotated[list[HoleFile], Field(max_length=500)] | None = None


class SerialFactory(FileModel):
    """The serial settings a device comes with."""

    baudrate: Annotated[int, Field(ge=300, le=1_000_000)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    bytesize: Literal[7, 8] = 8
    unit: Annotated[int, Field(ge=1, le=247)] | None = None


class ProfileFile(FileModel):
    """One device model."""

    profile: Literal[1]
    maker: Annotated[str, Field(min_length=1, max_length=60)]
    model: Annotated[str, Field(min_length=1, max_length=60)]
    title: Bilingual
    version: Annotated[FoldedText, Field(max_length=40)] = ""
    source: Annotated[list[str], Field(min_length=1, max_length=20)]
    verified: bool
    protocol: Literal["modbus"]
    notes: Annotated[list[str], Field(max_length=20)] = Field(default_factory=list)
    serial: SerialFactory | None = None
    requests: RequestsFile = RequestsFile()
    nameplate: Nameplate = Field(default_factory=dict)
    period: PeriodMs = 1000
    points: Annotated[list[PointFile], Field(min_length=1, max_length=2000)]
