"""Pure. The schema of a mapping: which column of a foreign record is which point (docs/replay.md)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from collector.config.county_file import TextPart
from collector.config.zone import Zone
from collector.rules.duration import duration_ms
from edge_agent.common.located_model import Refused, choices, closest
from edge_agent.contract import message as m
from edge_agent.contract.roles import ROLES
from edge_agent.contract.topics import is_id
from edge_agent.contract.units import UNITS

MAX_CELLS = 20_000
"""Cells of one batch: rows times columns."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TimePart(_Part):
    """How the time of a row is written."""

    column: str
    format: str = "iso"
    """`iso`, `unix` (s), `unix-ms`, or a pattern of strptime such as `%d.%m.%Y %H:%M`."""
    zone: Zone = "Asia/Shanghai"
    """For times without an offset of their own."""


class LimitsPart(_Part):
    """Limits in the point's unit."""

    low_low: float | None = None
    low: float | None = None
    high: float | None = None
    high_high: float | None = None
    range_low: float | None = None
    range_high: float | None = None


class SeriesPart(_Part):
    """One column."""

    column: str
    device: str
    point: str
    unit: str = ""
    role: str = ""
    kind: Literal["number", "counter", "bool", "text"] = "number"
    decimals: Annotated[int | None, Field(ge=0, le=12)] = None
    period: str = ""
    """How often a reading comes, e.g. `60s`; empty: not periodic."""
    name: TextPart | None = None
    limits: LimitsPart | None = None

    @field_validator("device", "point")
    @classmethod
    def _id(cls, name: str) -> str:
        if not is_id(name):
            do = "use small letters, digits and hyphens, at most 32 characters, a letter or digit first."
            raise Refused("CFG211", f"`{name}` is no id.", do)
        return name

    @field_validator("period")
    @classmethod
    def _period(cls, text: str) -> str:
        try:
            if text:
                duration_ms(text)
        except ValueError as error:
            raise Refused("CFG210", f"{error}.", "write a number and ms, s, m, h or d, e.g. `60s`.") from None
        return text

    @field_validator("unit")
    @classmethod
    def _unit(cls, unit: str) -> str:
        return _one_of(unit, sorted(UNITS), "unit")

    @field_validator("role")
    @classmethod
    def _role(cls, role: str) -> str:
        return _one_of(role, ["", *sorted(ROLES)], "role")


class DevicePart(_Part):
    """A device of the record, for people."""

    id: str
    profile: str = ""
    name: TextPart | None = None
    part_of: str = ""


class MappingFile(_Part):
    """The whole file."""

    time: TimePart
    separator: str = ","
    no_value: list[str] = Field(default_factory=lambda: ["", "NA", "NaN", "nan", "null"])
    """Cells that say: no reading."""
    batch_rows: Annotated[int, Field(ge=1, le=2000)] = 60
    devices: list[DevicePart] = Field(default_factory=list)
    series: Annotated[list[SeriesPart], Field(min_length=1, max_length=500)]

    @field_validator("separator")
    @classmethod
    def _separator(cls, separator: str) -> str:
        if len(separator) != 1:
            raise Refused("CFG215", f"The separator `{separator}` is not one character.", 'write "," or ";" or "\\t".')
        return separator

    @model_validator(mode="after")
    def _apart(self) -> MappingFile:
        seen: set[tuple[str, str]] = set()
        for number, part in enumerate(self.series):
            if (part.device, part.point) in seen:
                what = f"The point `{part.device}.{part.point}` stands here twice."
                raise Refused("CFG202", what, "give each column its own point.", "series", number)
            seen.add((part.device, part.point))
        if self.batch_rows * len(self.series) > MAX_CELLS:
            what = f"{self.batch_rows} rows of {len(self.series)} columns are too much for one batch."
            raise Refused("CFG215", what, f"write at most {MAX_CELLS // len(self.series)}.", "batch_rows")
        return self

    def birth(self, software: str) -> m.BirthBody:
        """The series table of the record; the index is the place in `series`."""
        series = [_series(number, part) for number, part in enumerate(self.series)]
        devices = [
            m.Device(part.id, part.profile, name=part.name.text if part.name else None, part_of=part.part_of)
            for part in self.devices
        ]
        return m.BirthBody(software, series, devices, receipt_hold_ms=100)


def _series(number: int, part: SeriesPart) -> m.Series:
    return m.Series(
        i=number,
        device=part.device,
        point=part.point,
        unit=part.unit,
        role=part.role,
        period_ms=duration_ms(part.period) if part.period else 0,
        kind=part.kind,
        decimals=part.decimals,
        name=part.name.text if part.name is not None else None,
        limits=m.Limits(**part.limits.model_dump()) if part.limits is not None else None,
    )


def _one_of(word: str, known: list[str], what: str) -> str:
    if word not in known:
        near = closest(word, known)
        do = f"write `{near}`." if near else f"write one of {choices(known)}."
        raise Refused("CFG216", f"`{word}` is no {what} of this product.", do)
    return word
