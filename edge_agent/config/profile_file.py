"""Pure. The profile file, format 1: what one device model answers and what it means (docs/profiles.md explains every key)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edge_agent.common.located_model import Refused
from edge_agent.config.device_parts import AddressesFile, GroupFile, IdentifyFile, Steps, WakeFile
from edge_agent.config.parameters import ParameterFile
from edge_agent.config.point_parts import PARTS, FactorFile, FileType, LimitsFile, TermFile, WriteFile
from edge_agent.config.quantities import (
    Address,
    Bilingual,
    ConditionText,
    DurationMs,
    FileModel,
    FoldedText,
    Id,
    NumberOnly,
    PeriodMs,
    RoleName,
    SignName,
    UnitName,
    between,
)
from edge_agent.config.writing_check import check_writing
from edge_agent.contract.message import Lane
from edge_agent.contract.roles import ROLES
from edge_agent.contract.units import UNITS
from edge_agent.model.points import REGISTERS_OF, RawType, Table, WordOrder

ProfileName = Annotated[FoldedText, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}/[a-z0-9][a-z0-9.-]{0,31}$")]
Nameplate = dict[str, float | int | bool | str]
_STATE_KINDS = ("bool", "code", "bits")
_FLOATS = ("f16", "f32", "f64")
_WRITTEN_IN: dict[Table, Literal["coil", "holding"]] = {
    "coil": "coil", "discrete": "coil", "holding": "holding", "input": "holding",
}  # fmt: skip


class PointFile(FileModel):
    """One point: where its raw value stands and what it means."""

    id: Id
    name: Bilingual | None = None
    table: Table
    address: Address
    type: FileType | None = None
    half: Literal["high", "low"] | None = None
    order: WordOrder = "ABCD"
    scale: float = 1.0
    offset: float = 0.0
    decimals: Annotated[int, Field(ge=0, le=9)] | None = None
    mask: Annotated[int, Field(gt=0)] | None = None
    bit: Annotated[int, Field(ge=0, le=63)] | None = None
    on: Annotated[int, Field(ge=0, le=65535)] | None = None
    off: Annotated[int, Field(ge=0, le=65535)] | None = None
    length: Annotated[int, Field(ge=1, le=125)] | None = None
    letters: Annotated[Literal[1, 2], NumberOnly] = 2
    negative_from: Annotated[int, Field(gt=0)] | None = None
    scale_by: Annotated[list[FactorFile], Field(max_length=8)] = Field(default_factory=list)
    plus: Annotated[list[TermFile], Field(max_length=8)] = Field(default_factory=list)
    valid_when: ConditionText | None = None
    sentinels: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=8)] = Field(default_factory=list)
    unit: UnitName = ""
    role: RoleName = ""
    kind: Literal["number", "counter", "bool", "text", "code", "bits"] | None = None
    period: PeriodMs | None = None
    dead_band: Annotated[float, Field(ge=0)] | None = None
    heartbeat: PeriodMs | None = None
    lane: Lane = "n"
    enabled: bool = True
    read: bool = True
    when: ConditionText | None = None
    group: Id | None = None
    latched: bool = False
    write: WriteFile | None = None
    limits: LimitsFile = LimitsFile()
    texts: Annotated[dict[str, Bilingual], Field(max_length=256)] = Field(default_factory=dict)
    signs: Annotated[dict[str, SignName], Field(max_length=256)] = Field(default_factory=dict)

    @property
    def raw_type(self) -> RawType:
        """The type, with its default: `bool` for coils and discrete inputs, `u16` for registers."""
        if self.type in PARTS:
            return PARTS[self.type][0]
        return self.type or ("bool" if self.table in ("coil", "discrete") else "u16")  # type: ignore[return-value]  # no part

    @property
    def value_kind(self) -> Literal["number", "counter", "bool", "text", "code", "bits"]:
        """The kind, with its default: `bool` for single bits, `text` for texts, else `number`."""
        if self.type == "text" and self.kind is None:
            return "text"
        return self.kind or ("bool" if self.bit is not None or self.raw_type == "bool" else "number")

    @property
    def span(self) -> int:
        """Registers or bits it takes."""
        return self.length or REGISTERS_OF[self.raw_type]

    @property
    def bits_of_value(self) -> int | None:
        """The mask, also of `bit`, and of a type that is a part of another."""
        if self.type in PARTS:
            return PARTS[self.type][1] << (8 if self.half == "high" else 0)
        return self.mask if self.bit is None else 1 << self.bit

    @property
    def write_table(self) -> Literal["coil", "holding"]:
        """Where it is written."""
        return (self.write.table if self.write is not None else None) or _WRITTEN_IN[self.table]

    @property
    def writes_its_own_place(self) -> bool:
        """True where it is written at the place where it is read."""
        write = self.write
        return write is not None and self.write_table == self.table and write.address in (None, self.address)

    @model_validator(mode="after")
    def _heartbeat_belongs_to_a_dead_band(self) -> Self:
        if self.heartbeat is not None and self.dead_band is None:
            do = "add `dead_band: 0` (only changes are sent), or leave `heartbeat` out."
            raise Refused("CFG006", "`heartbeat` confirms a point with a dead-band; `dead_band` is missing.", do, "heartbeat")
        return self

    @model_validator(mode="after")
    def _raw_fits(self) -> Self:
        span, kind = self.span, self.raw_type
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
        if self.type in PARTS and (self.mask is not None or self.bit is not None):
            key = "mask" if self.mask is not None else "bit"
            raise Refused(
                "CFG031", f"`{self.type}` is a part of a register; `{key}` asks for another.", f"write `type: {kind}`.", key
            )
        bits = self.bits_of_value
        if bits is not None and (kind in (*_FLOATS, "bool", "text") or bits >> (16 * span)):
            key = "bit" if self.bit is not None else "mask"
            raise Refused(
                "CFG031", f"`{key}` reaches outside a value of type `{kind}`.", "mend it, or choose a wider integer type.", key
            )
        if self.half is not None and self.type not in ("u8", "s8", "bcd8"):
            raise Refused("CFG031", "`half` belongs to the types u8, s8 and bcd8.", "leave it out, or choose one of them.", "half")
        if self.negative_from is not None and not kind.startswith(("u", "bcd")):
            what = f"`negative_from` belongs to unsigned types; `{kind}` has a sign of its own."
            raise Refused("CFG031", what, "choose a type such as `u16`, or leave it out.", "negative_from")
        return self

    @model_validator(mode="after")
    def _text_or_truth(self) -> Self:
        """A text is letters and nothing else; `on` and `off` belong to what is true or false."""
        if (self.type == "text") != (self.value_kind == "text"):
            raise Refused("CFG031", "`type: text` and `kind: text` belong together.", "leave `kind` out.", "kind")
        if self.type == "text" and self.length is None:
            raise Refused("CFG006", "A text needs `length`, its number of registers.", "add `length: 8`.", "type")
        if self.type != "text" and self.length is not None:
            raise Refused("CFG031", "`length` belongs to `type: text`.", "leave it out, or write `type: text`.", "length")
        if self.type == "text":
            set_here = self.model_fields_set & {
                "scale",
                "offset",
                "decimals",
                "negative_from",
                "sentinels",
                "unit",
                "texts",
                "write",
            }
            if set_here or self.order not in ("ABCD", "BADC"):
                key = min(set_here, default="order")
                what = f"A text is neither reckoned nor written; `{key}` does not fit it."
                raise Refused(
                    "CFG031", what, "leave it out." if set_here else "write BADC where the letters of a pair are exchanged.", key
                )
        if (self.on is not None or self.off is not None) and (self.value_kind != "bool" or self.raw_type in _FLOATS):
            key = "on" if self.on is not None else "off"
            raise Refused("CFG031", f"`{key}` belongs to a point of kind `bool`.", "write `kind: bool`, or leave it out.", key)
        if self.on is not None and self.on == self.off:
            raise Refused("CFG031", "`on` and `off` are the same value.", "mend one of them.", "off")
        return self

    @model_validator(mode="after")
    def _related(self) -> Self:
        if (self.scale_by or self.plus) and self.value_kind in (*_STATE_KINDS, "text"):
            key = "scale_by" if self.scale_by else "plus"
            raise Refused("CFG031", f"A point of kind `{self.value_kind}` is not scaled.", f"leave `{key}` out.", key)
        if not self.read and (self.group is not None or self.latched or self.role):
            key = "group" if self.group is not None else "latched" if self.latched else "role"
            raise Refused("CFG031", f"`{key}` speaks of reading; the point is only written.", "leave it out.", key)
        if self.latched and self.group is not None:
            what = "A latched point is read by a request of its own; a group is read together."
            raise Refused("CFG031", what, "leave `group` or `latched` out.", "latched")
        return self

    @model_validator(mode="after")
    def _writable(self) -> Self:
        if self.write is not None:
            check_writing(self)
        elif not self.read:
            raise Refused("CFG033", "What is not read must be written, else it is nothing.", "add `write: {...}`.", "read")
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
        elif self.value_kind in (*_STATE_KINDS, "text") or UNITS[self.unit].dimension != role.dimension:
            fitting = sorted(unit.name for unit in UNITS.values() if unit.dimension == role.dimension)
            now = (
                f"of kind `{self.value_kind}`"
                if self.value_kind in (*_STATE_KINDS, "text")
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
    keepalive: Annotated[DurationMs, between(0, 3_600_000)] | None = None
    gaps: bool | None = None
    holes: Annotated[list[HoleFile], Field(max_length=500)] | None = None


class SerialFactory(FileModel):
    """The serial settings a device comes with."""

    baudrate: Annotated[int, Field(ge=300, le=1_000_000)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Annotated[Literal[1, 2], NumberOnly] = 1
    bytesize: Literal[7, 8] = 8
    unit: Annotated[int, Field(ge=1, le=247)] | None = None


class ProfileFile(FileModel):
    """One device model."""

    profile: Annotated[Literal[1], NumberOnly]
    extends: ProfileName | None = None
    without: Annotated[list[Id], Field(max_length=2000)] = Field(default_factory=list)
    addresses: AddressesFile | None = None
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
    identify: IdentifyFile | None = None
    parameters: Annotated[list[ParameterFile], Field(max_length=500)] = Field(default_factory=list)
    groups: Annotated[list[GroupFile], Field(max_length=200)] = Field(default_factory=list)
    setup: Steps = Field(default_factory=list)
    wake: WakeFile | None = None
    trigger: Steps = Field(default_factory=list)
    after_parameters: Steps = Field(default_factory=list)
    points: Annotated[list[PointFile], Field(min_length=1, max_length=2000)]
