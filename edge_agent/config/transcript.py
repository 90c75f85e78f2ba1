"""Pure. Transcripts: exchanges with one instrument and the values they mean: the proof of a profile (docs/profiles.md).

# framing: rtu                                header: `# key: value` (framing, unit, source, ...)
>> 01 03 00 00 00 01 84 0A                    these bytes are sent
<< 01 03 02 00 05 78 47                       these bytes come, as one chunk
pause                                         the line is left alone
timeout                                       nothing (more) comes
= level 2.714 m good                          point, value, unit (`-`: none), quality (`good`, `uncertain:range`, ...)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edge_agent.common.problem import Problem, ProblemError
from edge_agent.contract.message import Value
from edge_agent.model.plan import Block
from edge_agent.model.points import Device, Framing, Point, Table
from edge_agent.model.scaling import value_of
from edge_agent.protocols.modbus import Ask, Master, Span
from edge_agent.protocols.session import Failure, Flush, Pause, Receive, Send, Session

Kind = Literal["send", "come", "pause", "timeout"]
_MARKS: dict[str, Kind] = {">>": "send", "<<": "come", "break": "come", "pause": "pause", "timeout": "timeout"}
_FRAMINGS: tuple[Framing, ...] = ("rtu", "ascii", "tcp", "rtu-over-tcp")
_TABLES: dict[int, Table] = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_NAMED: dict[str, Value] = {"true": True, "false": False, "none": None}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an exchange."""

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

    @property
    def request(self) -> bytes:
        """The first frame that is sent; empty where none is."""
        return next((line.payload for line in self.lines if line.kind == "send"), b"")


@dataclass(frozen=True, slots=True)
class Transcript:
    """A file of exchanges. source: its name, for messages."""

    source: str
    framing: Framing
    header: dict[str, str]
    exchanges: tuple[Exchange, ...]

    @property
    def unit(self) -> int:
        """Unit address of the first request."""
        first = self.exchanges[0].request if self.exchanges else b""
        at = _pdu_at(self.framing) - 1
        plain = _plain(self.framing, first)
        return plain[at] if len(plain) > at else 1


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
            if bare[0] != "=" and (not exchanges or exchanges[-1].shown):
                exchanges.append(Exchange())
            try:
                _take(exchanges[-1], bare, number)
            except (ValueError, IndexError) as error:
                do = "write `>> BYTES`, `<< BYTES`, `pause`, `timeout`, or `= POINT VALUE UNIT QUALITY` (docs/profiles.md)."
                raise ProblemError(Problem("PRF601", f"{source}:{number}", f"`{bare[:80]}` is not understood.", do)) from error
    framing = header.get("framing", "rtu")
    if framing not in _FRAMINGS:
        do = f"write one of {', '.join(_FRAMINGS)}."
        raise ProblemError(Problem("PRF601", source, f"The framing `{framing}` is not known.", do))
    if not any(exchange.shown for exchange in exchanges):
        raise ProblemError(Problem("PRF601", source, "No exchange says what it means.", "add lines `= POINT VALUE UNIT good`."))
    return Transcript(source, framing, header, tuple(exchanges))


def _take(exchange: Exchange, bare: str, number: int) -> None:
    mark, _, rest = bare.partition(" ")
    if mark == "=":
        point, value, unit, quality = rest.split()
        exchange.shown.append(Shown(point, _value(value), "" if unit == "-" else unit, quality, number))
        return
    if mark not in _MARKS:
        raise ValueError(mark)
    payload = b"\x00" if mark == "break" else bytes.fromhex(rest)
    exchange.lines.append(Line(_MARKS[mark], payload, number))


def _value(text: str) -> Value:
    if text in _NAMED:
        return _NAMED[text]
    return float(text) if set(text) & set(".eE") else int(text)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a transcript says of a profile."""

    values: tuple[tuple[Point, Value, str], ...]
    """Point, value and quality, as the profile makes them of the bytes."""
    problems: tuple[Problem, ...]
    unproved: tuple[str, ...]
    """Points of which the transcript shows nothing."""


def proof(transcript: Transcript, device: Device) -> Proof:
    """Replays every exchange through the agent's own session, codec and scaling, and compares.

    Problems: PRF602 a value differs, PRF603 other bytes would be sent or the reply is refused, PRF604 no such point.
    """
    points = {point.id: point for point in device.points}
    values: list[tuple[Point, Value, str]] = []
    problems: list[Problem] = []
    for exchange in transcript.exchanges:
        where = f"{transcript.source}:{exchange.lines[0].number if exchange.lines else exchange.shown[0].number}"
        if not exchange.shown:
            continue
        unknown = [shown for shown in exchange.shown if shown.point not in points]
        problems += [_no_point(transcript, shown, points) for shown in unknown]
        block = _block(transcript, exchange, points)
        if block is None:
            do = "a request reads with function 1, 2, 3 or 4, and the points below it lie within what it asks for."
            problems.append(Problem("PRF603", where, "The request does not read the points below it.", do))
            continue
        try:
            words = _replayed(transcript, exchange, device, block)
        except _Differs as differs:
            problems.append(
                Problem(
                    "PRF603", f"{transcript.source}:{differs.number}", str(differs), "compare request and reply with the manual."
                )
            )
            continue
        for shown in exchange.shown:
            if shown.point in points:
                made, problem = _compared(transcript, shown, points[shown.point], block, words)
                values.append(made)
                problems += [problem] if problem is not None else []
    proved = {point.id for point, _, _ in values}
    return Proof(tuple(values), tuple(problems), tuple(id for id in points if id not in proved))


def _compared(
    transcript: Transcript, shown: Shown, point: Point, block: Block, words: Sequence[int]
) -> tuple[tuple[Point, Value, str], Problem | None]:
    start = point.address - block.address
    value, quality = value_of(point, words[start : start + point.span])
    made = (point, value, str(quality))
    if (value, point.unit, str(quality)) == (shown.value, shown.unit, shown.quality) and isinstance(value, bool) == isinstance(
        shown.value, bool
    ):
        return made, None
    raw = " ".join(f"{word:04X}" for word in words[start : start + point.span])
    said = _spoken(shown.value, shown.unit, shown.quality)
    what = f"`{point.id}` is {_spoken(value, point.unit, str(quality))}, the transcript says {said}."
    do = "if the instrument's display shows the transcript's value: mend `type`, `order`, `scale`, `offset` or `address`."
    return made, Problem(
        "PRF602", f"{transcript.source}:{shown.number}", what, do, f"registers {raw} read as {point.type} {point.order}"
    )


def _spoken(value: Value, unit: str, quality: str) -> str:
    return f"{'nothing' if value is None else value}{' ' + unit if unit else ''} ({quality})"


def _no_point(transcript: Transcript, shown: Shown, points: dict[str, Point]) -> Problem:
    what = f"The profile has no point `{shown.point}`."
    return Problem("PRF604", f"{transcript.source}:{shown.number}", what, f"write one of {', '.join(list(points)[:20])}.")


def _block(transcript: Transcript, exchange: Exchange, points: dict[str, Point]) -> Block | None:
    pdu = _plain(transcript.framing, exchange.request)[_pdu_at(transcript.framing) :]
    if len(pdu) < 5 or pdu[0] not in _TABLES:
        return None
    table, address, count = _TABLES[pdu[0]], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
    shown = tuple(points[s.point] for s in exchange.shown if s.point in points)
    if any(p.table != table or p.address < address or p.address + p.span > address + count for p in shown):
        return None
    return Block(table, address, count, shown)


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


class _Differs(Exception):
    """The session does something else than the transcript says."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(what)
        self.number = number


def _replayed(transcript: Transcript, exchange: Exchange, device: Device, block: Block) -> tuple[int, ...]:
    tcp = transcript.framing == "tcp"
    first = int.from_bytes(exchange.request[:2], "big") if tcp else 1
    span = Span(block.table, block.address, block.count)
    ask = Ask(
        transcript.unit, span, device.timeout_ms, device.pause_ms, retries=sum(line.kind == "send" for line in exchange.lines) - 1
    )
    session = Master(transcript.framing, first_transaction=first).read(ask)
    return _driven(session, iter(exchange.lines), exchange.lines[0].number)


def _driven(session: Session[tuple[int, ...]], lines: Iterator[Line], number: int) -> tuple[int, ...]:
    """The session's result, driven by the lines."""
    left = [line for line in lines if line.kind != "pause"]
    answer = b""
    try:
        while True:
            action = session.send(answer) if answer else next(session)
            answer = b""
            if isinstance(action, Send):
                while left and left[0].kind != "send":
                    left.pop(0)
                if not left:
                    raise _Differs(number, f"{action.payload.hex(' ').upper()} is sent, which stands in no line.")
                line = left.pop(0)
                number = line.number
                if line.payload != action.payload:
                    raise _Differs(number, f"{action.payload.hex(' ').upper()} would be sent instead.")
            elif isinstance(action, Receive) and left and left[0].kind == "come":
                answer = left.pop(0).payload
            elif not isinstance(action, Flush | Pause | Receive):
                raise _Differs(number, "The reply cannot be followed.")
    except StopIteration as end:
        return tuple(end.value)
    except Failure as failure:
        raise _Differs(number, f"The reply is refused: {failure}.") from failure


def recorded(frames: Sequence[tuple[str, bytes]], taken: Sequence[tuple[Point, Value, str]], framing: Framing) -> str:
    """The body of a transcript: frames as they went (`>>`) and came (`<<`), and below each reply the values that its request reads.

    frames in their order; taken: what the agent made of them.
    """
    lines: list[str] = []
    left = list(taken)
    for number, (mark, payload) in enumerate(frames):
        if mark == ">>" and lines:
            lines.append("")
        lines.append(f"{mark} {payload.hex(' ').upper()}")
        is_last = number + 1 == len(frames) or frames[number + 1][0] == ">>"
        if mark == "<<" and is_last:
            request = next(sent for before, sent in reversed(frames[:number]) if before == ">>")
            inside = [item for item in left if _reads(framing, request, item[0])]
            left = [item for item in left if item not in inside]
            lines += [f"= {p.id} {_written(v)} {p.unit or '-'} {quality}" for p, v, quality in inside]
    return "\n".join(lines) + "\n"


def _reads(framing: Framing, request: bytes, point: Point) -> bool:
    pdu = _plain(framing, request)[_pdu_at(framing) :]
    if len(pdu) < 5 or _TABLES.get(pdu[0]) != point.table:
        return False
    address, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
    return address <= point.address and point.address + point.span <= address + count


def _written(value: Value) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return str(value)
