"""Pure. A transcript as the proof of a profile: replayed through the agent's own session, codec and scaling, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_agent.common.problem import Problem
from edge_agent.config.transcript import Exchange, Outcome, Shown, Transcript, asked_by
from edge_agent.contract.message import Value
from edge_agent.model.blocks import Block
from edge_agent.model.points import Device, Point
from edge_agent.model.preparation import Why, steps_of
from edge_agent.model.reply import words_of
from edge_agent.model.scaling import values_of
from edge_agent.protocols.modbus import Ask, Master, Span
from edge_agent.protocols.modbus_steps import step
from edge_agent.protocols.session import Failure, Flush, Pause, Receive, Refused, Result, Send, Session, Silence


@dataclass(frozen=True, slots=True)
class Proof:
    """What a transcript says of a profile."""

    values: tuple[Outcome, ...]
    """As the profile makes them of the bytes."""
    problems: tuple[Problem, ...]
    unproved: tuple[str, ...]
    """Points of which the transcript shows nothing, and kinds of steps that it does not show whole."""


@dataclass(slots=True)
class _Found:
    transcript: Transcript
    device: Device
    values: list[Outcome] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    steps: dict[Why, int] = field(default_factory=dict)
    """How many of each kind were shown."""

    def where(self, number: int) -> str:
        return f"{self.transcript.source}:{number}"


def proof(transcript: Transcript, device: Device) -> Proof:
    """Problems: PRF601 nothing is shown at all, PRF602 a value differs, PRF603 other bytes would be sent or the reply is refused,

    PRF604 there is no such point, or no such step.
    """
    found = _Found(transcript, device)
    if not any(exchange.shown for exchange in transcript.exchanges):
        do = "add lines `= POINT VALUE UNIT good`."
        found.problems.append(Problem("PRF601", transcript.source, "No exchange says what it means.", do))
    for exchange in transcript.exchanges:
        try:
            if exchange.step is not None:
                _prove_step(found, exchange, exchange.step)
            elif exchange.is_over:
                _prove_reading(found, exchange)
        except _Differs as differs:
            do = "compare request and reply with the manual."
            found.problems.append(Problem("PRF603", found.where(differs.number), str(differs), do))
    proved = {point.id for point, _, _ in found.values}
    lacking = [why for why, steps in steps_of(device).items() if found.steps.get(why, 0) < len(steps)]
    return Proof(
        tuple(found.values), tuple(found.problems), (*(p.id for p in device.points if p.id not in proved), *map(str, lacking))
    )


def told(failure: Failure) -> str:
    """A failure as `!` says it."""
    if isinstance(failure, Refused):
        return f"refused {failure.code}"
    return "silence" if isinstance(failure, Silence) else failure.word


def _prove_step(found: _Found, exchange: Exchange, why: Why) -> None:
    """The steps of a kind come in the order of the profile, and again from the first."""
    steps, number = steps_of(found.device)[why], found.steps.get(why, 0)
    if not steps:
        do = f"add it to `{why}` of the profile, or leave it out here."
        what = f"The profile has no step of kind `{why}`."
        found.problems.append(Problem("PRF604", found.where(exchange.number), what, do))
        return
    device = found.device
    session = step(master_for(found.transcript, exchange), found.transcript.unit, steps[number % len(steps)], 1000, device.pause_ms)
    try:
        _driven(session, exchange)
    except Failure as failure:
        if why != "wake":
            raise _Differs(exchange.number, f"The step does not work: {failure}.") from failure
    found.steps[why] = number + 1


def _prove_reading(found: _Found, exchange: Exchange) -> None:
    points = {point.id: point for point in found.device.points}
    for shown in exchange.shown:
        if shown.point not in points:
            what = f"The profile has no point `{shown.point}`."
            do = f"write one of {', '.join(list(points)[:20])}."
            found.problems.append(Problem("PRF604", found.where(shown.number), what, do))
    block = _block(found.transcript, exchange, points)
    if block is None:
        do = "a request reads with function 1, 2, 3 or 4, and the points below it lie within what it asks for."
        what = "The request does not read the points below it."
        found.problems.append(Problem("PRF603", found.where(exchange.number), what, do))
        return
    try:
        words = _driven(master_for(found.transcript, exchange).read(_ask(found, exchange, block)), exchange)
    except Failure as failure:
        if exchange.failure == told(failure):
            return
        raise _Differs(exchange.number, f"The reply is refused: {failure}.") from failure
    if exchange.failure:
        raise _Differs(exchange.number, f"The reply is taken, where the transcript says `! {exchange.failure}`.")
    words_by_point = [words_of(block, point, words) for point in block.points]
    values = dict(zip((point.id for point in block.points), values_of(block.points, words_by_point), strict=True))
    for shown in exchange.shown:
        if shown.point in points:
            value, quality = values[shown.point]
            found.values.append((points[shown.point], value, str(quality)))
            _compare(found, shown, found.values[-1], words_of(block, points[shown.point], words))


def _compare(found: _Found, shown: Shown, made: Outcome, words: Sequence[int]) -> None:
    point, value, quality = made
    alike = isinstance(value, bool) == isinstance(shown.value, bool)
    if alike and (value, point.unit, quality) == (shown.value, shown.unit, shown.quality):
        return
    raw = " ".join(f"{word:04X}" for word in words)
    said = _spoken(shown.value, shown.unit, shown.quality)
    what = f"`{point.id}` is {_spoken(value, point.unit, quality)}, the transcript says {said}."
    do = "if the instrument's display shows the transcript's value: mend `type`, `order`, `scale`, `offset` or `address`."
    detail = f"registers {raw} read as {point.type} {point.order}"
    found.problems.append(Problem("PRF602", found.where(shown.number), what, do, detail))


def _spoken(value: Value, unit: str, quality: str) -> str:
    return f"{'nothing' if value is None else value}{' ' + unit if unit else ''} ({quality})"


def _block(transcript: Transcript, exchange: Exchange, points: dict[str, Point]) -> Block | None:
    """The request, with every point it reads; None: it does not read all that are shown."""
    asked = asked_by(transcript.framing, exchange.request)
    if asked is None:
        return None
    read = tuple(point for point in points.values() if asked.reads(point))
    if any(points[s.point] not in read for s in exchange.shown if s.point in points):
        return None
    return Block(asked.table, asked.address, asked.count, read)


def _ask(found: _Found, exchange: Exchange, block: Block) -> Ask:
    retries = sum(line.kind == "send" for line in exchange.lines) - 1
    return Ask(found.transcript.unit, Span.of(block), found.device.timeout_ms, found.device.pause_ms, retries=retries)


def master_for(transcript: Transcript, exchange: Exchange) -> Master:
    """With nothing behind it, and the transaction number of the exchange's first request."""
    first = int.from_bytes(exchange.request[:2], "big") if transcript.framing == "tcp" else 1
    return Master(transcript.framing, first_transaction=first)


class _Differs(Exception):
    """The session does something else than the transcript says."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(what)
        self.number = number


def _driven(session: Session[Result], exchange: Exchange) -> Result:
    """The session's result, driven by the lines. Raises _Differs, and the Failure that the session raises."""
    left, number = [line for line in exchange.lines if line.kind != "pause"], exchange.number
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
        return end.value  # type: ignore[no-any-return]  # a session's own result
