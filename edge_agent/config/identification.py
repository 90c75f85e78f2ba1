"""Pure. Which profile fits a device that was found: what it says of itself, and what its registers hold (key `identify`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edge_agent.config.device_parts import IdentifyFile, IdentifyRegister, IdentifyTexts
from edge_agent.config.profile_file import ProfileFile
from edge_agent.model.points import Table

Words = Mapping[tuple[Table, int], int]
"""What was read, by table and wire address."""
Confidence = Literal["sure", "likely", "perhaps"]
_RANK: Sequence[Confidence] = ("sure", "likely", "perhaps")
_OBJECT = {"vendor": 0, "product": 1, "revision": 2}
_COMMON_UNIT = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """A device that was found. texts: of function 43/14 by object; line: `9600 8N1` of a serial line, empty for a network."""

    unit: int
    texts: Mapping[int, str] = field(default_factory=dict)
    words: Words = field(default_factory=dict)
    line: str = ""


@dataclass(frozen=True, slots=True)
class Fit:
    """A profile that fits. why: in plain words."""

    profile: str
    confidence: Confidence
    why: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Registers that one request reads."""

    table: Literal["holding", "input"]
    first: int
    count: int


def registers_asked(profiles: Mapping[str, ProfileFile]) -> tuple[Asked, ...]:
    """What is to be read of a device to tell these profiles apart; neighbours in one request."""
    cells = {
        (register.table, register.address + i)
        for file in profiles.values()
        for register in (file.identify.registers if file.identify is not None else ())
        for i in range(register.span)
    }
    made: list[Asked] = []
    for table, address in sorted(cells):
        last = made[-1] if made else None
        if last is not None and last.table == table and last.first + last.count == address:
            made[-1] = Asked(table, last.first, last.count + 1)
        else:
            made.append(Asked(table, address, 1))
    return tuple(made)


def fitting(profiles: Mapping[str, ProfileFile], seen: Seen) -> tuple[Fit, ...]:
    """The profiles that fit best, all with the same confidence; none where nothing speaks for any.

    sure: the device names itself, by 43/14 or in a text of its registers. likely: numbers in its registers, or its maker alone.
    perhaps: it has the address and the speed that the model comes with, and the address is no common one.
    """
    fits = [fit for name, file in profiles.items() if (fit := _fit(name, file, seen)) is not None]
    best = next((rank for rank in _RANK if any(fit.confidence == rank for fit in fits)), None)
    return tuple(sorted((fit for fit in fits if fit.confidence == best), key=lambda fit: fit.profile))


def _fit(name: str, file: ProfileFile, seen: Seen) -> Fit | None:
    if file.identify is not None:
        return _known_by(name, file.identify, seen)
    factory = file.serial
    if factory is None or factory.unit in (None, _COMMON_UNIT) or factory.unit != seen.unit:
        return None
    line = f"{factory.baudrate} {factory.bytesize}{factory.parity}{factory.stopbits}"
    return Fit(name, "perhaps", f"it comes with address {seen.unit} and {line}") if line == seen.line else None


def _known_by(name: str, identify: IdentifyFile, seen: Seen) -> Fit | None:
    """None where anything that is given is not so."""
    why: list[str] = []
    if identify.texts is not None:
        if not _texts_hold(identify.texts, seen.texts):
            return None
        why += ["it says " + " ".join(text for _, text in sorted(seen.texts.items()))]
    for register in identify.registers:
        said = _said(register, seen.words)
        if said is None:
            return None
        why += [f"{register.table} {register.address} says {said}"]
    names_itself = any(r.text for r in identify.registers) or (identify.texts is not None and identify.texts.product is not None)
    return Fit(name, "sure" if names_itself else "likely", "; ".join(why))


def _texts_hold(wanted: IdentifyTexts, texts: Mapping[int, str]) -> bool:
    said = ((getattr(wanted, key), texts.get(number, "")) for key, number in _OBJECT.items())
    return all(text.lower().startswith(begin.lower()) for begin, text in said if begin is not None)


def _said(register: IdentifyRegister, words: Words) -> str | None:
    """What the register says, if it is what the profile wants."""
    read = [words.get((register.table, register.address + i)) for i in range(register.span)]
    there = [word for word in read if word is not None]
    if len(there) < len(read):
        return None
    if register.text is None:
        return f"{there[0]:#06x}" if there[0] & register.mask == register.value else None
    text = b"".join(word.to_bytes(2, "big")[2 - register.letters :] for word in there).decode("latin-1")
    return f'"{register.text}"' if text.lower().startswith(register.text.lower()) else None
