"""Pure. Modbus sessions: reads with their checks and repeats, writes, device identification. RTU, ASCII, TCP, RTU over TCP.

MODBUS Application Protocol V1.1b3. What is asked stands in modbus_pdus.py, frames in modbus_frames.py and modbus_ascii.py; here is
what is accepted as a reply, and what happens after a failure. On a serial line a reply carries no number, so a reply that comes
later than its window could be taken for the answer to the next request. Therefore what is owed is remembered (modbus_debts.py), and
before a device is asked for anything of the same function and length again, a question of another length goes first. A device of
which nothing else may be asked is asked for its identification, which nearly every device answers or refuses; whether it does is
learned from its first answers on. One that says nothing to that is left alone for a while. TCP replies carry numbers,
but cheap gateways hand on a serial reply that comes late under the newest one: so the same is done there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from edge_agent.model.points import Framing
from edge_agent.protocols.modbus_debts import GATEWAY_CODES
from edge_agent.protocols.modbus_exchange import Exchanges, Tally
from edge_agent.protocols.modbus_frames import Expected, Shape
from edge_agent.protocols.modbus_pdus import (
    Span,
    mask_request,
    read_expected,
    read_request,
    read_words,
    read_write_expected,
    read_write_request,
    read_write_words,
    write_expected,
    write_request,
)
from edge_agent.protocols.session import Garbled, Pause, Refused, Session, Silence

__all__ = [
    "CONFIGURATION_CODES", "Ask", "Master", "Span", "Tally", "mask_request", "read_expected", "read_request", "read_words",
    "write_expected", "write_request",
]  # fmt: skip

CONFIGURATION_CODES = frozenset((1, 2, 3))
"""Exceptions that asking again cannot change: illegal function, address, value."""
_LATER_CODES = frozenset((5, 6))
_BUSY_PAUSE_MS = 200
_BUSY_REPEATS = 3
_SETTLING_QUESTIONS = 3
_LEARNING_QUESTIONS, _LEARNING_MS = 4, 300
_REST_MS = 10_000
"""After so long nothing is feared of a device of which nothing else may be read."""
_IDENTIFY = b"\x2b\x0e\x01"
_MAX_PARTS = 8


@dataclass(frozen=True, slots=True)
class Ask:
    """One read of one device. retries: how often it is asked again when nothing or nonsense comes."""

    unit: int
    span: Span
    timeout_ms: int = 1000
    pause_ms: int = 0
    retries: int = 1
    others: tuple[Span, ...] = ()
    """What else may be read of this device."""
    is_apart: bool = False
    """Reading the span clears something: no part of it may be read in passing."""
    rested_ms: int = 0
    """For so long nothing was said to the device."""


class Master:
    """The asking side of one line or connection. Not shared between threads."""

    def __init__(self, framing: Framing, idle_ms: int = 50, first_transaction: int = 1, listen_ms: int = 120) -> None:
        """idle_ms: silence after which a damaged reply is given up before its window ends. listen_ms: how long the line is listened
        to behind the first answers of a device, so that a second one with the same address is heard."""
        self._exchanges = Exchanges(framing, idle_ms, listen_ms, first_transaction)
        self._exchange = self._exchanges.exchange
        self._debts, self._doubts = self._exchanges.memory.debts, self._exchanges.memory.doubts
        self._rested: set[int] = set()
        self._unheard: Counter[int] = Counter()
        """By unit: how often it said nothing to that."""
        self._prepared: set[int] = set()
        """Units that were told something ahead of a read: nothing comes in between."""

    @property
    def tally(self) -> Tally:
        """Counts since start."""
        return self._exchanges.tally

    def connected(self) -> None:
        """To be called after the link was opened: nothing of before can still come in the middle of a frame."""
        self._exchanges.connected()

    def rested(self, unit: int) -> None:
        """To be called when a device was left alone for half a minute: of what it owes, the newest alone is still feared."""
        self._rested.add(unit)

    def read(self, ask: Ask) -> Session[tuple[int, ...]]:
        """The words of a span. Raises Silence, Garbled, Refused; LinkDown comes from the link."""
        pdu = yield from self._repeated(ask)
        return read_words(ask.span, pdu)

    def read_write(
        self, unit: int, span: Span, address: int, words: Sequence[int], timeout_ms: int, pause_ms: int = 0
    ) -> Session[tuple[int, ...]]:
        """Writes registers, then reads holding registers, in one request (function 23). Never repeated. Raises as `read`."""
        request, expected = read_write_request(span, address, words), read_write_expected(span)
        yield from self._fence(unit, expected.shape, timeout_ms, pause_ms)
        pdu = yield from self._exchange(unit, request, expected, timeout_ms, pause_ms)
        return read_write_words(span, pdu)

    def write(self, unit: int, request: bytes, timeout_ms: int, pause_ms: int = 0) -> Session[None]:
        """Sends a write (`write_request`, `mask_request`) once. Raises as `read`.

        Never repeated: after a failure nobody knows whether the device took it; that is for the caller to find out by reading.
        """
        expected = write_expected(request)
        yield from self._fence(unit, expected.shape, timeout_ms, pause_ms)
        yield from self._exchange(unit, request, expected, timeout_ms, pause_ms)

    def ask(self, unit: int, request: bytes, expected: Expected, timeout_ms: int, pause_ms: int = 0) -> Session[bytes]:
        """The reply to any request, sent once. Raises as `read`. It may be that to an earlier one that was the same in all fields
        that a reply repeats: for steps ahead of a read, whose answers say nothing."""
        self._prepared.add(unit)
        return (yield from self._exchange(unit, request, expected, timeout_ms, pause_ms))

    def identify(self, unit: int, timeout_ms: int) -> Session[dict[int, str]]:
        """Texts of device identification, function 43/14: 0 vendor, 1 product, 2 revision. Raises as `read`."""
        texts: dict[int, str] = {}
        first = 0
        for _ in range(_MAX_PARTS):
            pdu = yield from self._exchange(unit, _IDENTIFY + bytes((first,)), Expected(_IDENTIFY, 0), timeout_ms, 0)
            texts.update(_objects(pdu))
            if pdu[4] != 0xFF or pdu[5] <= first:
                break
            first = pdu[5]
        return texts

    # --- repeats, and what is owed

    def _repeated(self, ask: Ask) -> Session[bytes]:
        request, expected = read_request(ask.span), read_expected(ask.span)
        failures = repeats = 0
        self._doubts.passed(ask.unit, ask.rested_ms)
        yield from self._take_note(ask.unit)
        if ask.unit not in self._prepared:
            yield from self._learn(ask)
        self._prepared.discard(ask.unit)
        while True:
            try:
                if self._debts.includes(ask.unit, expected.shape):
                    yield from self._settle(ask, 0 if failures + repeats else ask.rested_ms)
                return (yield from self._exchange(ask.unit, request, expected, ask.timeout_ms, ask.pause_ms))
            except (Silence, Garbled):
                failures += 1
                if failures > ask.retries:
                    raise
            except Refused as refused:
                failures += refused.code in GATEWAY_CODES
                repeats += refused.code in _LATER_CODES
                if failures > ask.retries:
                    raise Silence from refused
                if refused.code not in _LATER_CODES | GATEWAY_CODES or repeats > _BUSY_REPEATS:
                    raise
                yield Pause(_BUSY_PAUSE_MS)
            self.tally.retries += 1

    def _take_note(self, unit: int) -> Session[None]:
        """Hears what came of what is owed, and forgives what a rest makes forgivable."""
        if self._debts.any(unit):
            yield from self._exchanges.hear()
        if unit in self._rested:
            self._rested.discard(unit)
            self._debts.rested(unit)

    def _fence(self, unit: int, wanted: Shape, timeout_ms: int, pause_ms: int) -> Session[None]:
        """For what is sent once: no reply is owed that could be taken for the one wanted. Raises Silence, then nothing was sent."""
        yield from self._take_note(unit)
        for _ in range(_SETTLING_QUESTIONS):
            if not self._debts.includes(unit, wanted):
                return
            if not (yield from self._identifies(unit, timeout_ms, pause_ms)):
                break
        if self._debts.includes(unit, wanted):
            raise Silence

    def _settle(self, ask: Ask, rested_ms: int) -> Session[None]:
        """Makes sure that no reply is owed that could be taken for the one wanted. Raises Silence where that cannot be had.

        rested_ms: for so long nothing was said to the device.
        """
        wanted, other = read_expected(ask.span).shape, self._alternative(ask)
        was_given_up = self._exchanges.memory.was_given_up(ask.unit)
        for _ in range(_SETTLING_QUESTIONS):
            if not self._debts.includes(ask.unit, wanted):
                return
            if other is None and rested_ms >= _REST_MS:
                self._debts.excuse(ask.unit)
                return
            if other is None:
                if not (yield from self._identifies(ask.unit, ask.timeout_ms, ask.pause_ms)):
                    break
                continue
            try:
                yield from self._exchange(ask.unit, read_request(other), read_expected(other), ask.timeout_ms, ask.pause_ms)
            except Refused as refused:  # an answer as good as any, where the device itself says so
                if refused.code in GATEWAY_CODES:
                    raise
        if other is None and not self._is_identifiable(ask.unit):  # two windows are rest enough for one that is mute
            if was_given_up or self._exchanges.memory.was_given_up(ask.unit):
                yield Pause(ask.timeout_ms)
            self._debts.excuse(ask.unit)
            self._doubts.suspect(ask.unit)
        elif self._debts.includes(ask.unit, wanted):
            raise Silence

    def _learn(self, ask: Ask) -> Session[None]:
        """Of a device that answers, and of which nothing else may be read: whether it could be asked for its identification."""
        if self._is_identifiable(ask.unit) or self._unheard[ask.unit] >= _LEARNING_QUESTIONS:
            return
        if self._exchanges.memory.has_answered(ask.unit) and self._alternative(ask) is None:
            with suppress(Refused):
                yield from self._identifies(ask.unit, min(ask.timeout_ms, _LEARNING_MS), ask.pause_ms)

    def _identifies(self, unit: int, timeout_ms: int, pause_ms: int) -> Session[bool]:
        """True if the device answers a question for its identification. Raises Refused where a gateway speaks for it."""
        timeouts, exceptions = self.tally.timeouts, self.tally.exceptions
        try:
            yield from self._exchange(unit, _IDENTIFY + b"\0", Expected(_IDENTIFY, 0), timeout_ms, pause_ms)
        except Refused as refused:
            if refused.code in GATEWAY_CODES:
                raise
            self.tally.exceptions = exceptions  # no fault of the device: few have an identification
        except (Silence, Garbled):
            self.tally.timeouts = timeouts
            self._unheard[unit] += 1
            return False
        return True

    def _is_identifiable(self, unit: int) -> bool:
        """True for one that answered a question for its identification, if only by refusing it, be it late."""
        return self._exchanges.memory.has_answered(unit, _IDENTIFY[0])

    def _alternative(self, ask: Ask) -> Span | None:
        """The shortest span that may be asked of the device and is answered by another length than the one wanted.

        One of which nothing is owed goes first: its answer proves the most.
        """
        wanted = read_expected(ask.span).shape
        spans = [
            *(() if ask.is_apart else (replace(ask.span, count=1),)),
            *ask.others,
            *(replace(other, count=1) for other in ask.others),
        ]
        options = [span for span in spans if read_expected(span).shape != wanted]
        return min(options, key=lambda span: self._preference(ask.unit, read_expected(span).shape), default=None)

    def _preference(self, unit: int, shape: Shape) -> tuple[bool, int]:
        return self._debts.includes(unit, shape), shape.length


def _objects(pdu: bytes) -> dict[int, str]:
    texts, at = {}, 7
    for _ in range(pdu[6]):
        number, length = pdu[at], pdu[at + 1]
        texts[number] = pdu[at + 2 : at + 2 + length].decode("utf-8", "replace")
        at += 2 + length
    return texts
