"""Pure. Transcripts of exchanges (tests/transcripts/<protocol>/<case>.txt) and their replay through real sessions.

    # source: where the bytes come from           header: `# key: value` (framing, unit, profile, source, ...)
    >> 01 03 00 00 00 01 84 0A                    the session sends exactly these bytes
    << 01 03 02 00 05 78 47                       these bytes come, as one chunk
    << :010302000500F5                            ... of Modbus ASCII: these characters, CR and LF
    pause                                         the session leaves the line alone
    break                                         a break on the line: comes as one zero byte
    timeout                                       nothing (more) comes in this window
    = level 2.714 m good                          point, value, unit (`-`: none), quality (`good`, `uncertain:range`, ...)
    ! refused 2                                   the request gives no value: `silence`, `garbled`, `refused CODE`

Header `noise: no` and `truncate: no` leave out a way of replaying that would change what the case is about.
Values: numbers, `true`, `false`, `none`. A session that flushes gets nothing unless a `<<` stands before the `>>` it belongs to:
bytes that come before a request are late bytes of an earlier one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge_agent.contract.message import Value
from edge_agent.model.plan import Block, Cost, plan
from edge_agent.model.points import Device, Framing, Point, Table
from edge_agent.model.reading import Reading
from edge_agent.model.scaling import values_of
from edge_agent.protocols.modbus import Ask, Master, Span, Tally
from edge_agent.protocols.session import Failure, Flush, Pause, Receive, Refused, Reopen, Send, Session, Silence

FOLDER = Path(__file__).parents[1] / "transcripts"
LINE_9600 = Cost(byte_us=1e6 * 10 / 9600, silence_us=3.5e6 * 10 / 9600)
NETWORK = Cost(byte_us=1.0, silence_us=0.0)
Kind = Literal["send", "come", "pause", "timeout"]


@dataclass(frozen=True)
class Step:
    """One line of an exchange."""

    kind: Kind
    payload: bytes = b""
    line: int = 0


@dataclass(frozen=True)
class Shown:
    """A line that says what a point must be."""

    point: str
    value: Value
    unit: str
    quality: str
    line: int = 0


@dataclass
class Exchange:
    """One request of the plan: everything from its first byte to its outcome."""

    steps: list[Step] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    failure: str = ""

    @property
    def request(self) -> bytes:
        """The first frame that is sent."""
        return next(step.payload for step in self.steps if step.kind == "send")


@dataclass(frozen=True)
class Transcript:
    """A file of exchanges."""

    name: str
    header: dict[str, str]
    exchanges: list[Exchange]

    @property
    def framing(self) -> Framing:
        """How frames look; `rtu` unless the header says otherwise."""
        word = self.header.get("framing", "rtu")
        assert word in ("rtu", "ascii", "tcp", "rtu-over-tcp"), word
        return word  # type: ignore[return-value]  # narrowed by the line above

    @property
    def unit(self) -> int:
        """Modbus unit; 1 unless the header says otherwise."""
        return int(self.header.get("unit", "1"))


def read_transcript(path: Path) -> Transcript:
    """The transcript of a file. Raises ValueError with the line that is not understood."""
    header: dict[str, str] = {}
    exchanges: list[Exchange] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip()
        if text.startswith("#"):
            key, colon, value = text[1:].partition(":")
            if colon and not exchanges:
                header[key.strip()] = value.strip()
            continue
        if not text:
            continue
        if text[0] not in "=!" and (not exchanges or exchanges[-1].shown or exchanges[-1].failure):
            exchanges.append(Exchange())
        try:
            _take(exchanges[-1], text, number)
        except (ValueError, IndexError) as error:
            raise ValueError(f"{path.name}:{number}: {text!r}: {error}") from error
    if "source" not in header:
        raise ValueError(f"{path.name}: no `# source:`")
    return Transcript(path.stem, header, exchanges)


def _take(exchange: Exchange, text: str, number: int) -> None:
    mark, _, rest = text.partition(" ")
    match mark:
        case ">>":
            exchange.steps.append(Step("send", _bytes(rest), number))
        case "<<":
            exchange.steps.append(Step("come", _bytes(rest), number))
        case "break":
            exchange.steps.append(Step("come", b"\x00", number))
        case "pause" | "timeout":
            exchange.steps.append(Step(mark, b"", number))
        case "=":
            point, value, unit, quality = rest.split()
            exchange.shown.append(Shown(point, _value(value), "" if unit == "-" else unit, quality, number))
        case "!":
            exchange.failure = rest
        case _:
            raise ValueError("unknown mark")


def _bytes(text: str) -> bytes:
    return text.encode("ascii") + b"\r\n" if text.startswith(":") else bytes.fromhex(text)


def _value(text: str) -> Value:
    named: dict[str, Value] = {"true": True, "false": False, "none": None}
    if text in named:
        return named[text]
    return float(text) if set(text) & set(".eE") else int(text)


Chop = Callable[[bytes], Sequence[bytes]]


def whole(chunk: bytes) -> Sequence[bytes]:
    """As it stands."""
    return [chunk]


def byte_by_byte(chunk: bytes) -> Sequence[bytes]:
    """Every byte alone."""
    return [bytes((byte,)) for byte in chunk]


def noise_before(chunk: bytes) -> Sequence[bytes]:
    """Two glitch bytes, then as it stands: only for RTU."""
    return [b"\x00\xff", chunk]


def run_script(session: Session[tuple[int, ...]], steps: Sequence[Step], chop: Chop = whole) -> tuple[int, ...]:
    """The session's result, driven by a script. AssertionError where it does anything else than the script says."""
    left = list(steps)
    chunks: list[bytes] = []
    answer = b""
    while True:
        try:
            action = session.send(answer) if answer else next(session)
        except StopIteration as end:
            assert not left, f"line {left[0].line}: the session ended before this"
            return tuple(end.value)
        answer = b""
        if isinstance(action, Flush):
            while left and left[0].kind == "come":
                left.pop(0)
            chunks.clear()
        elif isinstance(action, Reopen):
            chunks.clear()
        elif isinstance(action, Send):
            step = left.pop(0) if left else Step("timeout")
            assert step.kind == "send", f"line {step.line}: sent {action.payload.hex(' ').upper()} instead of `{step.kind}`"
            assert step.payload == action.payload, f"line {step.line}: sent {action.payload.hex(' ').upper()}"
        elif isinstance(action, Pause):
            assert left, "a pause that the script does not know"
            assert left.pop(0).kind == "pause"
        elif isinstance(action, Receive):
            if not chunks and left and left[0].kind == "come":
                chunks = list(chop(left.pop(0).payload))
            if chunks:
                answer = chunks.pop(0)
            elif left and left[0].kind == "timeout":
                left.pop(0)


def master_for(transcript: Transcript, exchange: Exchange) -> Master:
    """A fresh master that has nothing behind it, with the transaction number of the exchange's first request."""
    tcp = transcript.framing == "tcp"
    return Master(transcript.framing, first_transaction=int.from_bytes(exchange.request[:2], "big") if tcp else 1)


def plan_of(transcript: Transcript, device: Device) -> tuple[Block, ...]:
    """The plan of the device on the line that the transcript shows."""
    return plan(device, NETWORK if transcript.framing == "tcp" else LINE_9600)


def blocks_shown(transcript: Transcript, device: Device) -> tuple[Block, ...]:
    """The requests that the transcript itself makes, each with the points it shows: for transcripts of a profile, whose
    register map is to be proved whatever the planner would do."""
    tables: dict[int, Table] = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
    points = {point.id: point for point in device.points}
    blocks = []
    for exchange in transcript.exchanges:
        pdu = exchange.request[7 if transcript.framing == "tcp" else 1 :]
        missing = [shown.point for shown in exchange.shown if shown.point not in points]
        assert not missing, f"line {exchange.steps[0].line}: the device has no point {missing}"
        shown = tuple(points[shown.point] for shown in exchange.shown)
        blocks.append(Block(tables[pdu[0]], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big"), shown))
    return tuple(blocks)


def replay(
    transcript: Transcript, device: Device, requests: Sequence[Block], chop: Chop = whole, tally: Tally | None = None
) -> list[Reading]:
    """The readings of a transcript, its exchanges taken as the requests of a plan in order.

    Each byte sent is checked, and what each exchange must give: exactly the points and values it shows, or its failure.
    """
    assert len(transcript.exchanges) == len(requests), f"{len(transcript.exchanges)} exchanges, {len(requests)} requests planned"
    master = Master(transcript.framing)
    readings: list[Reading] = []
    for exchange, block in zip(transcript.exchanges, requests, strict=True):
        try:
            words = run_script(master.read(ask_of(device, block, requests)), exchange.steps, chop)
        except Failure as failure:
            _check_failure(exchange, failure)
            continue
        assert not exchange.failure, f"line {exchange.steps[0].line}: gave {words}"
        values = values_of(block.points, [point_words(block, point, words) for point in block.points])
        made = {point.id: (point, *got) for point, got in zip(block.points, values, strict=True)}
        for shown in exchange.shown:
            assert shown.point in made, f"line {shown.line}: the request does not read `{shown.point}` but {sorted(made)}"
            point, value, quality = made.pop(shown.point)
            got = (value, point.unit, str(quality))
            assert got == (shown.value, shown.unit, shown.quality), f"line {shown.line}: {shown.point} is {got}"
            assert isinstance(value, bool) == isinstance(shown.value, bool), f"line {shown.line}: {shown.point} is {value!r}"
            readings.append(Reading(point.series, 0, value, quality))
        assert not made, f"line {exchange.steps[0].line}: not shown: {sorted(made)}"
    if tally is not None:
        tally.requests += master.tally.requests
    return readings


def _check_failure(exchange: Exchange, failure: Failure) -> None:
    assert exchange.failure == told(failure), f"line {exchange.steps[0].line}: {failure}"
    assert not exchange.shown


def replay_every_way(transcript: Transcript, device: Device, requests: Sequence[Block]) -> list[Reading]:
    """`replay` whole, byte by byte, with noise before each reply (RTU), and truncated at every byte, which never gives a value."""
    readings = replay(transcript, device, requests)
    quiet = transcript.framing == "tcp" or transcript.header.get("noise") == "no"
    ways: list[Chop] = [byte_by_byte] if quiet else [byte_by_byte, noise_before]
    for chop in ways:
        assert replay(transcript, device, requests, chop) == readings
    if transcript.header.get("truncate") == "no":
        return readings
    for exchange, block in zip(transcript.exchanges, requests, strict=True):
        for steps in truncations(exchange):
            session = master_for(transcript, exchange).read(ask_of(device, block, requests, retries=0))
            try:
                words = run_script(session, steps)
            except Failure:
                continue
            raise AssertionError(f"line {steps[-1].line}: a truncated reply gave {words}")
    return readings


def truncations(exchange: Exchange) -> Iterator[list[Step]]:
    """The first request of the exchange with its reply cut before each of its bytes."""
    sent = next(i for i, step in enumerate(exchange.steps) if step.kind == "send")
    asked = [*(step for step in exchange.steps[:sent] if step.kind == "pause"), exchange.steps[sent]]
    reply = exchange.steps[sent + 1] if len(exchange.steps) > sent + 1 else Step("timeout")
    for cut in range(len(reply.payload)):
        yield [*asked, Step("come", reply.payload[:cut], reply.line)] if cut else asked


def ask_of(device: Device, block: Block, requests: Sequence[Block], retries: int | None = None) -> Ask:
    """The request of a block as the bus makes it."""
    others = tuple(Span(b.table, b.address, b.count) for b in requests if b is not block)
    span = Span(block.table, block.address, block.count)
    return Ask(device.unit, span, device.timeout_ms, device.pause_ms, device.retries if retries is None else retries, others)


def point_words(block: Block, point: Point, words: Sequence[int]) -> Sequence[int]:
    """The words of one point in a block's reply."""
    start = point.address - block.address
    return words[start : start + point.span]


def told(failure: Failure) -> str:
    """A failure as `!` says it."""
    if isinstance(failure, Refused):
        return f"refused {failure.code}"
    return "silence" if isinstance(failure, Silence) else failure.word
