"""Pure. Parameters of a device: what its profile asks for, and what the site file says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edge_agent.common.located import Findings, Located, Mark
from edge_agent.common.located_model import Refused, choices, closest
from edge_agent.config.quantities import Address, Bilingual, ConditionText, DurationMs, FileModel, Id, UnitName, between
from edge_agent.model.condition import parse
from edge_agent.model.points import NumberType, WordOrder


class ParameterRegister(FileModel):
    """Where a parameter stands in the device: a value that the site file gives is written there before the first reading."""

    table: Literal["coil", "holding"] = "holding"
    address: Address
    type: NumberType | None = None
    order: WordOrder = "ABCD"
    scale: Annotated[float, Field(gt=0)] = 1.0
    function: Literal[5, 6, 15, 16] | None = None
    offset: float = 0.0
    wait: Annotated[DurationMs, between(0, 60_000)] = 0


class ParameterFile(FileModel):
    """One number that differs from one installed device to the next: a transformer ratio, a mode, a range."""

    id: Id
    name: Bilingual | None = None
    unit: UnitName = ""
    choices: Annotated[dict[str, Bilingual], Field(max_length=256)] = Field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    whole: bool = True
    default: float | None = None
    optional: bool = False
    when: ConditionText | None = None
    written_to: ParameterRegister | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for code in self.choices:
            if not code.removeprefix("-").isdecimal():
                raise Refused("CFG009", f"`{code}` is no code.", "write whole numbers in quotes.", "choices", code)
        if self.low is not None and self.high is not None and self.low > self.high:
            raise Refused("CFG019", f"`low` ({self.low:g}) is above `high` ({self.high:g}).", "exchange or mend them.", "high")
        if self.default is not None and (wrong := self.refusal(self.default)):
            raise Refused("CFG009", *wrong, "default")
        if self.default is not None and self.optional:
            raise Refused("CFG031", "A parameter with a `default` is optional anyway.", "leave `optional` out.", "optional")
        return self

    def refusal(self, value: float) -> tuple[str, str] | None:
        """Why it cannot have this value, and the mend; None: it can."""
        if self.choices and f"{value:g}" not in self.choices:
            words = ", ".join(f"{code} ({text.en})" for code, text in list(self.choices.items())[:12])
            return f"`{self.id}` cannot be {value:g}.", f"write one of {words}."
        if self.whole and value != int(value):
            return f"`{self.id}` must be a whole number; here stands {value:g}.", "write a whole number."
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            bounds = f"at least {self.low:g}" if self.low is not None and value < self.low else f"at most {self.high:g}"
            return f"`{self.id}` is {value:g}; it must be {bounds}.", f"write {bounds}."
        return None


@dataclass(frozen=True, slots=True)
class ParameterValues:
    """The parameters of one device. known: their values, default or given; None: none. given: those of the site file."""

    known: Mapping[str, float | None]
    given: frozenset[str]

    def holds(self, when: str | None) -> bool:
        """True where a condition holds, or there is none."""
        return when is None or parse(when).holds(self.known)


NO_PARAMETERS = ParameterValues(MappingProxyType({}), frozenset())


def parameter_values(
    parameters: Sequence[ParameterFile], said: Located | None, device: Mark, findings: Findings, context: str
) -> ParameterValues:
    """The values of a device's parameters. said: `parameters` of the device in the site file; device: where it stands.

    Adds CFG036 for one that is unknown, missing, not allowed, or has no meaning with the others as they are.
    """
    asked = dict(said.mapping) if said is not None else {}
    ids = [parameter.id for parameter in parameters]
    for name in asked:
        if name not in ids and said is not None:
            near = closest(name, ids)
            do = f"write `{near}`." if near else f"write one of {choices(ids)}." if ids else "remove it; the profile asks for none."
            findings.add("CFG036", said.keys.get(name, said.mark), f"The device has no parameter `{name}`.", do, context)
    known: dict[str, float | None] = dict.fromkeys(ids)
    given = set()
    for parameter in parameters:
        at = asked.get(parameter.id)
        if parameter.when is not None and not parse(parameter.when).holds(known):
            if at is not None:
                what = f"`{parameter.id}` has no meaning here: it belongs to `{parameter.when}`."
                findings.add("CFG036", at.mark, what, "remove it, or mend the other parameter.", context)
            continue
        known[parameter.id] = parameter.default
        if at is not None:
            known[parameter.id] = _given(parameter, at, findings, context)
            given.add(parameter.id)
        elif parameter.default is None and not parameter.optional:
            name = f" ({parameter.name.zh} / {parameter.name.en})" if parameter.name is not None else ""
            do = f"add `parameters: {{{parameter.id}: ...}}`, as it is set on the device or printed on its nameplate."
            findings.add("CFG036", device, f"The device needs the parameter `{parameter.id}`{name}.", do, context)
    return ParameterValues(known, frozenset(given))


def _given(parameter: ParameterFile, at: Located, findings: Findings, context: str) -> float | None:
    value = at.scalar
    if isinstance(value, bool) or not isinstance(value, int | float):
        findings.add("CFG036", at.mark, f"`{parameter.id}` must be a number.", "write a number.", context)
        return None
    wrong = parameter.refusal(float(value))
    if wrong is not None:
        findings.add("CFG036", at.mark, *wrong, context)
    return float(value)
