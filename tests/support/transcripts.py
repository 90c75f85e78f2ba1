"""Does I/O: transcripts (tests/transcripts/<protocol>/<case>.txt) and their replay through real sessions.

The format is the product's (edge_agent/config/transcript.py). Here a source is needed, header `device` names what the case is
about, and `noise: no` and `truncate: no` leave out a way of replaying that would change it. A session that flushes gets nothing
unless a `<<` stands before the `>>` it belongs to: bytes that come before a request are late bytes of an earlier one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edge_agent.config import transcript as product
from edge_agent.config.load import load_site
from edge_agent.config.proof import master_for, told
from edge_agent.config.transcript import Exchange, Line, Transcript, asked_by
from edge_agent.model.plan import Block, Cost, plan
from edge_agent.model.points import Device
from edge_agent.model.reading import Reading
from edge_agent.model.reply import words_of
from edge_agent.model.scaling import values_of
from edge_agent.protocols.modbus import Ask, Master, Span, Tally
from edge_agent.protocols.session import Failure, Flush, Pause, Receive, Reopen, Send, Session
from tests.support.profile_transcripts import readings_in

FOLDER = Path(__file__).parents[1] / "transcripts"
LINE_9600 = Cost(byte_us=1e6 * 10 / 9600, silence_us=3.5e6 * 10 / 9600)
NETWORK = Cost(byte_us=1.0, silence_us=0.0)


def read_transcript(path: Path) -> Transcript:
    """The transcript of a file. Raises ProblemError with the line that is not understood."""
    transcript = product.read_transcript(path.read_text(encoding="utf-8"), str(path))
    assert "source" in transcript.header, f"{path.name}: no `# source:`"
    return transcript


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


def run_script(session: Session[tuple[int, ...]], steps: Sequence[Line], chop: Chop = whole) -> tuple[int, ...]:
    """The session's result, driven by a script. AssertionError where it does anything else than the script says."""
    left = list(steps)
    chunks: list[bytes] = []
    answer = b""
    while True:
        try:
            action = session.send(answer) if answer else next(session)
        except StopIteration as end:
            assert not left, f"line {left[0].number}: the session ended before this"
            return tuple(end.value)
        answer = b""
        if isinstance(action, Flush):
            while left and left[0].kind == "come":
                left.pop(0)
            chunks.clear()
        elif isinstance(action, Reopen):
            chunks.clear()
        elif isinstance(action, Send):
            step = left.pop(0) if left else Line("timeout")
            assert step.kind == "send", f"line {step.number}: sent {action.payload.hex(' ').upper()} instead of `{step.kind}`"
            assert step.payload == action.payload, f"line {step.number}: sent {action.payload.hex(' ').upper()}"
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


def device_of(profile: str, transcript: Transcript, folder: Path) -> Device:
    """The device that a transcript of a shipped profile shows, loaded from a site file."""
    bus = "tcp: {host: 127.0.0.1}" if transcript.framing == "tcp" else "serial: {port: /dev/ttyUSB0, baudrate: 9600}"
    shown = {shown.point for exchange in transcript.exchanges for shown in exchange.shown}
    points = ", ".join(f"{{id: {point}, enabled: true}}" for point in sorted(shown))  # some are off until somebody wants them
    parameters = ", ".join(f"{name}: {value:g}" for name, value in transcript.parameters.items())
    device = f"id: device, profile: {profile}, unit: {transcript.unit}, parameters: {{{parameters}}}, points: [{points}]"
    file = folder / "site.yaml"
    file.write_text(
        "site: bench\ngateway: gw-1\nmqtt: {brokers: [{host: 127.0.0.1}]}\n"
        f"buses:\n  - id: one\n    {bus}\n    devices: [{{{device}}}]\n",
        encoding="utf-8",
    )
    return load_site(file).site.buses[0].devices[0]


def plan_of(transcript: Transcript, device: Device) -> tuple[Block, ...]:
    """The plan of the device on the line that the transcript shows."""
    return plan(device, NETWORK if transcript.framing == "tcp" else LINE_9600)


def blocks_shown(transcript: Transcript, device: Device) -> tuple[Block, ...]:
    """The requests that the transcript itself makes, each with the points it shows: for transcripts of a profile, whose
    register map is to be proved whatever the planner would do."""
    points = {point.id: point for point in device.points}
    blocks = []
    for exchange in readings_in(transcript):
        asked = asked_by(transcript.framing, exchange.request)
        assert asked is not None, f"line {exchange.number}: the request reads nothing"
        missing = [shown.point for shown in exchange.shown if shown.point not in points]
        assert not missing, f"line {exchange.number}: the device has no point {missing}"
        shown = tuple(points[shown.point] for shown in exchange.shown)
        blocks.append(Block(asked.table, asked.address, asked.count, shown))
    return tuple(blocks)


def replay(
    transcript: Transcript, device: Device, requests: Sequence[Block], chop: Chop = whole, tally: Tally | None = None
) -> list[Reading]:
    """The readings of a transcript, its exchanges taken as the requests of a plan in order.

    Each byte sent is checked, and what each exchange must give: exactly the points and values it shows, or its failure.
    """
    exchanges = readings_in(transcript)
    assert len(exchanges) == len(requests), f"{len(exchanges)} exchanges, {len(requests)} requests planned"
    master = Master(transcript.framing)
    readings: list[Reading] = []
    for exchange, block in zip(exchanges, requests, strict=True):
        try:
            words = run_script(master.read(ask_of(device, block, requests)), exchange.lines, chop)
        except Failure as failure:
            _check_failure(exchange, failure)
            continue
        assert not exchange.failure, f"line {exchange.number}: gave {words}"
        values = values_of(block.points, [words_of(block, point, words) for point in block.points])
        made = {point.id: (point, *got) for point, got in zip(block.points, values, strict=True)}
        for shown in exchange.shown:
            assert shown.point in made, f"line {shown.number}: the request does not read `{shown.point}` but {sorted(made)}"
            point, value, quality = made.pop(shown.point)
            got = (value, point.unit, str(quality))
            assert got == (shown.value, shown.unit, shown.quality), f"line {shown.number}: {shown.point} is {got}"
            assert isinstance(value, bool) == isinstance(shown.value, bool), f"line {shown.number}: {shown.point} is {value!r}"
            readings.append(Reading(point.series, 0, value, quality))
        assert not made, f"line {exchange.number}: not shown: {sorted(made)}"
    if tally is not None:
        tally.requests += master.tally.requests
    return readings


def _check_failure(exchange: Exchange, failure: Failure) -> None:
    assert exchange.failure == told(failure), f"line {exchange.number}: {failure}"
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
    for exchange, block in zip(readings_in(transcript), requests, strict=True):
        for steps in truncations(exchange):
            session = master_for(transcript, exchange).read(ask_of(device, block, requests, retries=0))
            try:
                words = run_script(session, steps)
            except Failure:
                continue
            raise AssertionError(f"line {steps[-1].number}: a truncated reply gave {words}")
    return readings


def truncations(exchange: Exchange) -> Iterator[list[Line]]:
    """The first request of the exchange with its reply cut before each of its bytes."""
    sent = next(i for i, step in enumerate(exchange.lines) if step.kind == "send")
    asked = [*(step for step in exchange.lines[:sent] if step.kind == "pause"), exchange.lines[sent]]
    reply = exchange.lines[sent + 1] if len(exchange.lines) > sent + 1 else Line("timeout")
    for cut in range(len(reply.payload)):
        yield [*asked, Line("come", reply.payload[:cut], reply.number)] if cut else asked


def ask_of(device: Device, block: Block, requests: Sequence[Block], retries: int | None = None) -> Ask:
    """The request of a block as the bus makes it."""
    others = tuple(Span.of(b) for b in requests if b is not block)
    return Ask(
        device.unit, Span.of(block), device.timeout_ms, device.pause_ms, device.retries if retries is None else retries, others
    )
