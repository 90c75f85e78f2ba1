"""Pure. Parts of a point in a profile: limits, how it is written, what other points multiply and add."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edge_agent.common.located_model import Refused
from edge_agent.config.quantities import Address, FileModel, Id
from edge_agent.model.points import NumberType, RawType, WordOrder

FileType = Literal[
    "bool", "u8", "s8", "u16", "s16", "u24", "s24", "u32", "s32", "u48", "s48", "u64", "s64",
    "f16", "f32", "f64", "bcd8", "bcd16", "bcd24", "bcd32", "bcd48", "bcd64", "text",
]  # fmt: skip
PARTS: dict[str, tuple[RawType, int]] = {
    "u8": ("u16", 0xFF), "s8": ("s16", 0xFF), "bcd8": ("bcd16", 0xFF),
    "u24": ("u32", 0xFFFFFF), "s24": ("s32", 0xFFFFFF), "bcd24": ("bcd32", 0xFFFFFF),
}  # fmt: skip
"""Types that are a part of another: that one, and the bits of it."""


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


class WriteFile(FileModel):
    """How a point is written. What is left out is as it is read."""

    table: Literal["coil", "holding"] | None = None
    address: Address | None = None
    type: NumberType | None = None
    order: WordOrder | None = None
    function: Literal[5, 6, 15, 16, 22] | None = None
    low: float | None = None
    high: float | None = None
    codes: Annotated[list[int], Field(max_length=256)] = Field(default_factory=list)
    on: Annotated[int, Field(ge=0, le=65535)] | None = None
    off: Annotated[int, Field(ge=0, le=65535)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise Refused("CFG019", f"`low` ({self.low:g}) is above `high` ({self.high:g}).", "exchange or mend them.", "high")
        return self


class FactorFile(FileModel):
    """A multiplier that stands in a parameter, or in another point of the same group."""

    of: Id
    taken: Literal["factor", "decimals", "exponent"] = "factor"
    factors: Annotated[dict[str, float], Field(max_length=64)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _codes_are_numbers(self) -> Self:
        for code in self.factors:
            if not code.removeprefix("-").isdecimal():
                raise Refused(
                    "CFG009", f"`{code}` is no code.", 'write whole numbers in quotes: `{"0": 1, "1": 0.01}`.', "factors", code
                )
        if self.factors and self.taken != "factor":
            raise Refused("CFG031", "`factors` and `taken` exclude each other.", "keep one of them.", "taken")
        return self


class TermFile(FileModel):
    """What another point of the same group adds."""

    of: Id
    times: float = 1.0
