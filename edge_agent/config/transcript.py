"""Pure. Transcripts: exchanges with one instrument and what they mean, as text (docs/profiles.md).

# framing: rtu                                header: `# key: value` (framing, unit, source, parameters, ...)
>> 01 03 00 00 00 01 84 0A                    these bytes are sent
<< 01 03 02 00 05 78 47                       these bytes come, as one chunk
<< :010302000500F5                            ... of Modbus ASCII: these characters, CR and LF
pause                                         the line is left alone
break                                         a break on the line: comes as one zero byte
timeout                                       nothing (more) comes
= level 2.714 m good                          point, value, unit (`-`: none), quality (`good`, `uncertain:range`, ...)
! refused 2                                   the request gives no value: `silence`, `garbled`, `two-answers`, `refused CODE`
+ trigger                                     the request was a step of the profile: `setup`, `wake` or `trigger`

An exchange ends with its last line `=`, with `!`, or with `+`. Values: numbers, `true`, `false`, `none`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from edge_agent.common.problem import Problem, ProblemError
from edge_agent.contract.message import Value
from edge_agent.model.points import Device, Framing, Point, Table
from edge_agent.model.preparation import Why, steps_of
from edge_agent.protocols.modbus_steps import step_request

Kind = Literal["send", "come", "pause", "timeout"]
Outcome = tuple[Point, Value, str]
"""A point, the value made of it, and its quality."""
_MARKS: dict[str, Kind] = {">>": "send", "<<": "come", "break": "come", "pause": "pause", "timeout": "timeout"}
_TABLES: dict[int, Table] = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_FAILURE = re.compile(r"[a-z-]+( [0-9]{1,3})?")
_NAMED: dict[str, Value] = {"true": True, "false": False, "none": None}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an exchange. number: where it stands in the file."""

    kind: Kind
    payload: bytes = b""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A line that says what a point must be."""

    point: str
    value: Value
    unit: str
    quality: str
    number: int = 0


@dataclass(slots=True)
class Exchange:
    """One request: everything from its first byte to what it means."""

    lines: list[Line] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    failure: str = ""
    step: Why | None = None

    @property
    def request(self) -> bytes:
        """The first frame that is sent; empty where none is."""
        return next((line.payload for line in self.lines if line.kind == "send"), b"")

    @property
    def number(self) -> int:
        """The line at which it begins."""
        return self.lines[0].number if self.lines else self.shown[0].number if self.shown else 0

    @property
    def is_over(self) -> bool:
        """True when it is said what it means."""
        return bool(self.shown or self.failure or self.step)


@dataclass(frozen=True, slots=True)
class Transcript:
    """A file of exchanges. source: its name, for messages."""

    source: str
    framing: Framing
    header: dict[str, str]
    exchanges: tuple[Exchange, ...]

    @property
    def unit(self) -> int:
        """Unit address: that of the header, else of the first request."""
        first = self.exchanges[0].request if self.exchanges else b""
        at = _pdu_at(self.framing) - 1
        plain = _plain(self.framing, first)
        return int(self.header["unit"]) if "unit" in self.header else plain[at] if len(plain) > at else 1

    @property
    def parameters(self) -> dict[str, float]:
        """What the header says of the device's parameters: `# parameters: ct=20 pt=1`."""
        said = [word.partition("=") for word in self.header.get("parameters", "").split()]
        return {name: float(value) for name, _, value in said}


def read_transcript(text: str, source: str) -> Transcript:
    """The transcript of a file. Raises ProblemError PRF601 with the line that is not understood."""
    header: dict[str, str] = {}
    exchanges: list[Exchange] = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("#"):
            key, colon, value = bare[1:].partition(":")
            if colon and not exchanges:
                header[key.strip()] = value.strip()
        elif bare:
            if bare[0] not in "=!+" and (not exchanges or exchanges[-1].is_over):
                exchanges.append(Exchange())
            try:
                _take(exchanges[-1], bare, number)
            except (ValueError, IndexError) as error:
                do = "write `>> BYTES`, `<< BYTES`, `pause`, `timeout`, or `= POINT VALUE UNIT QUALITY` (docs/profiles.md)."
                raise ProblemError(Problem("PRF601", f"{source}:{number}", f"`{bare[:80]}` is not understood.", do)) from error
    framing = header.get("framing", "rtu")
    if framing not in get_args(Framing):
        do = f"write one of {', '.join(get_args(Framing))}."
        raise ProblemError(Problem("PRF601", source, f"The framing `{framing}` is not known.", do))
    made = Transcript(source, framing, header, tuple(exchanges))  # type: ignore[arg-type]  # narrowed by the line above
    _check_header(made)
    return made


def _check_header(transcript: Transcript) -> None:
    try:
        _ = (transcript.unit, transcript.parameters)
    except ValueError as error:
        do = "write `# unit: 1`, `# parameters: ct=20 pt=1`."
        raise ProblemError(Problem("PRF601", transcript.source, f"The header is not understood: {error}.", do)) from error


def _take(exchange: Exchange, bare: str, number: int) -> None:
    mark, _, rest = bare.partition(" ")
    if mark == "=":
        point, _, said = rest.partition(" ")
        value, behind = _value(said.strip())
        unit, quality = behind.split()
        exchange.shown.append(Shown(point, value, "" if unit == "-" else unit, quality, number))
    elif mark == "!":
        if not _FAILURE.fullmatch(rest) or exchange.is_over:
            raise ValueError(rest)
        exchange.failure = rest
    elif mark == "+":
        if exchange.is_over or not exchange.request:
            raise ValueError(rest)
        exchange.step = _why(rest)
    elif mark not in _MARKS:
        raise ValueError(mark)
    else:
        exchange.lines.append(Line(_MARKS[mark], b"\x00" if mark == "break" else _bytes(rest), number))


def _why(text: str) -> Why:
    for why in get_args(Why):
        if text == why:
            return why  # type: ignore[no-any-return]  # one of the names
    raise ValueError(text)


def _bytes(text: str) -> bytes:
    return text.encode("ascii") + b"\r\n" if text.startswith(":") else bytes.fromhex(text)


def _value(text: str) -> tuple[Value, str]:
    """A value, and what stands behind it. A text stands in quotes."""
    if text.startswith('"'):
        said, end = json.JSONDecoder().raw_decode(text)
        return said, text[end:]
    word, _, behind = text.partition(" ")
    if word in _NAMED:
        return _NAMED[word], behind
    return (float(word) if set(word) & set(".eE") else int(word)), behind


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for."""

    table: Table
    address: int
    count: int

    def reads(self, point: Point) -> bool:
        """True where all of the point lies within it."""
        return (
            point.table == self.table and self.address <= point.address and point.address + point.span <= self.address + self.count
        )


def asked_by(framing: Framing, request: bytes) -> Asked | None:
    """What a frame asks for; None: it reads nothing."""
    pdu = _plain(framing, request)[_pdu_at(framing) :]
    if len(pdu) < 5 or pdu[0] not in _TABLES:
        return None
    return Asked(_TABLES[pdu[0]], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big"))


def _pdu_at(framing: Framing) -> int:
    return 7 if framing == "tcp" else 1


def _plain(framing: Framing, frame: bytes) -> bytes:
    """A frame as bytes: that of Modbus ASCII is written in hexadecimal digits behind a colon."""
    if framing != "ascii":
        return frame
    try:
        return bytes.fromhex(frame.strip().removeprefix(b":").decode("ascii"))
    except ValueError:
        return b""


def recorded(frames: Sequence[tuple[str, bytes]], taken: Sequence[Outcome], device: Device, framing: Framing) -> str:
    """The body of a transcript: frames as they went (`>>`) and came (`<<`), and below each reply what it means.

    frames in their order; taken: what the agent made of them.
    """
    lines: list[str] = []
    left = list(taken)
    for number, (mark, payload) in enumerate(frames):
        if mark == ">>":
            lines += [""] if lines else []
            lines += ["pause"] if device.pause_ms else []
        lines.append(f"{mark} {_spelt(payload, framing)}")
        is_last = number + 1 == len(frames) or frames[number + 1][0] == ">>"
        if not is_last:
            continue
        request = next(sent for before, sent in reversed(frames[: number + 1]) if before == ">>")
        why = _step_of(device, framing, request)
        if why is not None:
            lines.append(f"+ {why}")
        elif mark == "<<":
            asked = asked_by(framing, request)
            inside = [item for item in left if asked is not None and asked.reads(item[0])]
            left = [item for item in left if item not in inside]
            lines += [f"= {p.id} {_written(v)} {p.unit or '-'} {quality}" for p, v, quality in inside]
    return "\n".join(lines) + "\n"


def _step_of(device: Device, framing: Framing, request: bytes) -> Why | None:
    """Of which kind of steps a request is one; None: it is none."""
    pdu = _plain(framing, request)[_pdu_at(framing) :]
    for why, steps in steps_of(device).items():
        if any(pdu.startswith(step_request(wanted)[0]) for wanted in steps):
            return why
    return None


def _spelt(payload: bytes, framing: Framing) -> str:
    if framing == "ascii" and payload.startswith(b":") and payload.endswith(b"\r\n") and payload.isascii():
        return payload[:-2].decode("ascii")
    return payload.hex(" ").upper()


def _written(value: Value) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return json.dumps(value) if isinstance(value, str) else str(value)
