"""Pure. Values as people write them in configuration files: ids, durations, sizes, units, roles, texts in two languages.

Full-width characters are folded to plain ones (NFKC) before anything is judged.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from edge_agent.common.located_model import Refused, choices, closest
from edge_agent.contract.message import Text
from edge_agent.contract.roles import ROLES
from edge_agent.contract.signs import SIGNS
from edge_agent.contract.topics import ID_PATTERN, is_id
from edge_agent.contract.units import UNITS
from edge_agent.model.condition import Unreadable, parse

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*(ms|s|min|h|d)")
_MS_OF = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZE = re.compile(r"([0-9]{1,15})\s*(B|kB|KiB|MB|MiB|GB|GiB)")
_BYTES_OF = {"B": 1, "kB": 1000, "MB": 1_000_000, "GB": 1_000_000_000, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_MEANT = {
    "meter": "m",
    "metre": "m",
    "meters": "m",
    "metres": "m",
    "percent": "%",
    "celsius": "degC",
    "°": "deg",
    "ohm": "Ohm",
    "ppm": "mg/l",
}
"""What people write for a unit whose spelling is not near its name."""
_UNIT_SPELLINGS = str.maketrans({"μ": "u", "Ω": "Ohm", "℃": "degC"})


class FileModel(BaseModel):
    """What every part of a configuration file is: strict, frozen, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Bilingual(FileModel):
    """One text in both languages."""

    zh: str = Field(min_length=1, max_length=120)
    en: str = Field(min_length=1, max_length=120)

    def resolved(self) -> Text:
        """As it goes into a birth."""
        return Text(self.zh, self.en)


def text_of(pair: Bilingual | None) -> Text | None:
    """The text of an optional pair."""
    return pair.resolved() if pair is not None else None


def _folded(value: object) -> object:
    return unicodedata.normalize("NFKC", value).strip() if isinstance(value, str) else value


def _id(value: str) -> str:
    if is_id(value):
        return value
    bare = re.sub(r"[^a-z0-9-]+", "-", value.lower()).strip("-")[:32].rstrip("-")
    do = f"write `{bare}`." if is_id(bare) else "write a short name such as `pump-1`."
    raise Refused(
        "CFG017", f"`{value}` cannot be an id: small letters a-z, digits and hyphens, at most 32, not a hyphen first.", do
    )


def _duration_ms(value: object) -> object:
    folded = _folded(value)
    if isinstance(folded, str) and (match := _DURATION.fullmatch(folded)):
        return round(float(match[1]) * _MS_OF[match[2]])
    example = f"`{value} s`" if isinstance(value, int | float) and not isinstance(value, bool) else "`5 s`"
    raise Refused(
        "CFG018", f"`{value}` is no duration: a number and its unit (ms, s, min, h, d) are needed.", f"write for example {example}."
    )


def spoken_ms(value_ms: int) -> str:
    """A duration as people write it, in its largest whole unit: `90 s`, `2 min`."""
    unit = next(unit for unit in ("d", "h", "min", "s", "ms") if value_ms % _MS_OF[unit] == 0)
    return f"{value_ms // _MS_OF[unit]} {unit}" if value_ms else "0 ms"


def between(low_ms: int, high_ms: int) -> AfterValidator:
    """Bounds of a duration, both included."""

    def bounded(value_ms: int) -> int:
        if low_ms <= value_ms <= high_ms:
            return value_ms
        word, bound = ("short", "at least " + spoken_ms(low_ms)) if value_ms < low_ms else ("long", "at most " + spoken_ms(high_ms))
        raise Refused("CFG009", f"{spoken_ms(value_ms)} is too {word}; it must be {bound}.", f"write {bound}.")

    return AfterValidator(bounded)


def _no_truth(value: object) -> object:
    """In Python true equals 1; in a file it is a mistake: `stopbits: true`."""
    if isinstance(value, bool):
        what = f"A number is needed; here stands {str(value).lower()}."
        raise Refused("CFG008", what, f"write a number, for example `{int(value)}` if that is meant.")
    return value


def spoken_bytes(size: int) -> str:
    """A size as it would be written in a file, in the largest unit that fits."""
    unit = next((unit for unit in ("GiB", "GB", "MiB", "MB", "KiB", "kB") if size and size % _BYTES_OF[unit] == 0), "B")
    return f"{size // _BYTES_OF[unit]} {unit}"


def sized(low_bytes: int, high_bytes: int) -> AfterValidator:
    """Bounds of a size, both included."""

    def bounded(size: int) -> int:
        if low_bytes <= size <= high_bytes:
            return size
        bound = "at least " + spoken_bytes(low_bytes) if size < low_bytes else "at most " + spoken_bytes(high_bytes)
        word = "small" if size < low_bytes else "large"
        raise Refused("CFG009", f"{spoken_bytes(size)} is too {word}; it must be {bound}.", f"write {bound}.")

    return AfterValidator(bounded)


def _size_bytes(value: object) -> object:
    folded = _folded(value)
    if isinstance(folded, str) and (match := _SIZE.fullmatch(folded)):
        return int(match[1]) * _BYTES_OF[match[2]]
    raise Refused(
        "CFG018",
        f"`{value}` is no size: a whole number and its unit (B, KiB, MiB, GiB, or kB, MB, GB) are needed.",
        "write for example `256 MiB`.",
    )


def _unit(value: str) -> str:
    name = value.translate(_UNIT_SPELLINGS).replace("°C", "degC")
    if name in UNITS:
        return name
    near = _MEANT.get(name.lower()) or closest(name, list(UNITS)) or next((u for u in UNITS if u.lower() == name.lower()), "")
    do = f"write `{near}`." if near else f"write one of {choices(sorted(set(UNITS) - {''}), 100)}."
    raise Refused("CFG022", f"The unit `{value}` is not in the list of units.", do)


def _role(value: str) -> str:
    if not value or value in ROLES:
        return value
    near = closest(value, list(ROLES))
    family = sorted(role for role in ROLES if role.split(".")[0] == value.split(".", maxsplit=1)[0])
    do = f"write `{near}`." if near else f"write one of {choices(family or sorted({r.split('.')[0] + '.*' for r in ROLES}), 40)}."
    raise Refused("CFG023", f"The role `{value}` is not in the list of roles.", do)


def _sign(value: str) -> str:
    if value in SIGNS:
        return value
    near = closest(value, list(SIGNS))
    do = f"write `{near}`." if near else f"write one of {choices(list(SIGNS), 80)}."
    raise Refused("CFG038", f"The failure sign `{value}` is not in the list of signs.", do)


def _condition(value: str) -> str:
    try:
        parse(value)
    except Unreadable as error:
        raise Refused("CFG034", error.what, error.do) from error
    return value


_OTHER_SPELLING = {"type": "string", "pattern": "[^ -~]"}
"""For editors: what the program folds to plain characters before it judges it."""


def _one_of(*names: str) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": "string", "enum": list(names)}, _OTHER_SPELLING]})


def _like(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": "string", "pattern": rf"^\s*({pattern})\s*$"}, _OTHER_SPELLING]})


Id = Annotated[str, BeforeValidator(_folded), AfterValidator(_id), _like(ID_PATTERN)]
"""An id of a site, gateway, bus, device, equipment or point."""
DurationMs = Annotated[int, BeforeValidator(_duration_ms), _like(_DURATION.pattern)]
"""Written `500 ms`, `5 s`, `30 min`, `2 h`, `7 d`; ms inside."""
SizeBytes = Annotated[int, BeforeValidator(_size_bytes), _like(_SIZE.pattern)]
"""Written `256 MiB`; bytes inside."""
UnitName = Annotated[str, BeforeValidator(_folded), AfterValidator(_unit), _one_of(*UNITS)]
"""One of contract/units.py."""
RoleName = Annotated[str, BeforeValidator(_folded), AfterValidator(_role), _one_of("", *ROLES)]
"""One of contract/roles.py, or empty."""
SignName = Annotated[str, BeforeValidator(_folded), AfterValidator(_sign), _one_of(*SIGNS)]
"""One of contract/signs.py."""
NumberOnly = BeforeValidator(_no_truth)
"""For numbers out of a list (`Literal`), which would take true for 1."""
Address = Annotated[int, Field(ge=0, le=65535), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 465_536})]
"""A wire address; counts from 0. In a file that says how its manual counts it is the manual's number, up to six digits."""
PeriodMs = Annotated[DurationMs, between(100, 86_400_000)]
"""How often something is read."""
ConditionText = Annotated[str, BeforeValidator(_folded), AfterValidator(_condition)]
"""A condition (model/condition.py), known to be readable."""
FoldedText = Annotated[str, BeforeValidator(_folded)]
"""A text whose full-width characters are folded."""
