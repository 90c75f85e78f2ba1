"""Pure. Parts of a device in a profile: what is written or asked before it can be read."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edge_agent.common.located_model import Refused
from edge_agent.config.quantities import Address, Bilingual, ConditionText, DurationMs, FileModel, Id, NumberOnly, PeriodMs, between
from edge_agent.model.points import Table

Word = Annotated[int, Field(ge=0, le=65535)]
READ_FUNCTION: dict[Table, Literal[1, 2, 3, 4]] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}


def write_function(table: Table, count: int) -> Literal[5, 6, 15, 16]:
    """The function that writes so many bits or registers, where nothing else is said."""
    if table == "coil":
        return 5 if count == 1 else 15
    return 6 if count == 1 else 16


class StepFile(FileModel):
    """One request that a device wants: a write of `words`, or a read of `read` registers whose answer nobody uses."""

    name: Bilingual | None = None
    table: Table = "holding"
    address: Address
    words: Annotated[list[Word], Field(max_length=123)] | None = None
    read: Annotated[int, Field(ge=0, le=125)] | None = None
    function: Literal[5, 6, 15, 16] | None = None
    wait: Annotated[DurationMs, between(0, 60_000)] = 0
    when: ConditionText | None = None

    @property
    def code(self) -> Literal[1, 2, 3, 4, 5, 6, 15, 16]:
        """The function, with its default: 5 or 6 for one word, 15 or 16 for more."""
        if self.words is None:
            return READ_FUNCTION[self.table]
        return self.function or write_function(self.table, len(self.words))

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.words is None) == (self.read is None):
            what = "A step either writes `words` or asks for `read` registers."
            raise Refused("CFG031", what, "write `words: [1]`, or `read: 1`; not both.")
        if self.words is None:
            if self.function is not None:
                raise Refused("CFG031", "`function` belongs to a step that writes.", "leave it out.", "function")
            return self
        if self.table not in ("coil", "holding"):
            raise Refused("CFG031", f"`{self.table}` cannot be written.", "write `coil` or `holding`.", "table")
        fitting = (5, 15) if self.table == "coil" else (6, 16)
        if self.code not in fitting or (self.code in (5, 6) and len(self.words) != 1):
            what = f"Function {self.code} does not write {len(self.words)} words of table `{self.table}`."
            raise Refused("CFG031", what, f"write {fitting[1]}, or leave `function` out.", "function")
        if self.table == "coil" and any(word > 1 for word in self.words):
            raise Refused("CFG009", "A coil is 0 or 1.", "write 0 or 1.", "words")
        return self


Steps = Annotated[list[StepFile], Field(max_length=50)]


class WakeFile(FileModel):
    """What wakes a device that sleeps when nothing was said to it for `after`."""

    after: Annotated[DurationMs, between(100, 86_400_000)]
    steps: Annotated[list[StepFile], Field(min_length=1, max_length=10)]


class GroupFile(FileModel):
    """Points that are read in one request."""

    id: Id
    name: Bilingual | None = None
    period: PeriodMs | None = None
    when: ConditionText | None = None


class AddressesFile(FileModel):
    """How a manual counts: the number of the first address, of all tables or of each."""

    first: Annotated[int, Field(ge=0, le=400_001)] | dict[Table, Annotated[int, Field(ge=0, le=400_001)]]


class IdentifyTexts(FileModel):
    """Texts of device identification (function 43/14). Each must begin so; capital letters do not matter."""

    vendor: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    product: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    revision: Annotated[str, Field(min_length=1, max_length=100)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.vendor is None and self.product is None:
            raise Refused("CFG006", "Neither `vendor` nor `product` is given.", "add one of them.")
        return self


class IdentifyRegister(FileModel):
    """A register, or several with a text, that says which model it is."""

    table: Literal["holding", "input"] = "holding"
    address: Address
    value: Word | None = None
    mask: Annotated[int, Field(gt=0, le=65535)] = 0xFFFF
    text: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[ -~]+$")] | None = None
    letters: Annotated[Literal[1, 2], NumberOnly] = 2

    @property
    def span(self) -> int:
        """Registers that say it."""
        return 1 if self.text is None else -(-len(self.text) // self.letters)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.value is None) == (self.text is None):
            raise Refused("CFG031", "A register is known either by `value` or by `text`.", "keep one of them.")
        return self


class IdentifyFile(FileModel):
    """How `edge-agent scan` recognises the model. What is given must all be so."""

    texts: IdentifyTexts | None = None
    registers: Annotated[list[IdentifyRegister], Field(max_length=4)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.texts is None and not self.registers:
            raise Refused("CFG006", "Nothing is said to recognise it by.", "add `texts` or `registers`.")
        return self
