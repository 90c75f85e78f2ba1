"""Sessions under faults in simulated time: never a wrong value; identification."""

from __future__ import annotations

import random

import pytest

from edge_agent.protocols.modbus import Ask, Master, Span
from edge_agent.protocols.modbus_frames import rtu_frame
from edge_agent.protocols.session import Failure, Flush, Garbled, Receive, Send, Silence
from tests.support.simulated_line import Faults, SimulatedLine, register

BAD_LINE = Faults(lost=0.1, late=0.25, damaged=0.05, doubled=0.1, noise=0.2, foreign=0.1, echo=0.1, busy=0.05)
SPANS = (Span("holding", 0, 2), Span("holding", 100, 2), Span("holding", 200, 4), Span("holding", 300, 1), Span("input", 0, 2))


@pytest.mark.parametrize("seed", range(6))
def test_a_bad_line_never_gives_a_wrong_value(seed: int) -> None:
    line, chance = SimulatedLine(BAD_LINE, seed), random.Random(seed)
    master = Master("rtu")
    right = wrong = 0
    for _ in range(1500):
        span = chance.choice(SPANS)
        others = tuple(other for other in SPANS if other != span)
        try:
            words = line.run(master.read(Ask(17, span, retries=chance.choice((0, 1)), others=others)))
        except Failure:
            continue
        good = words == tuple(register(span.address + i) for i in range(span.count))
        right += good
        wrong += not good
    assert wrong <= line.damage_unseen
    assert right > 150


def test_a_clean_line_loses_nothing_and_asks_nothing_else() -> None:
    line, master = SimulatedLine(Faults(), 1), Master("rtu")
    for _ in range(50):
        for span in SPANS:
            assert line.run(master.read(Ask(17, span))) == tuple(register(span.address + i) for i in range(span.count))
    assert master.tally.requests == 50 * len(SPANS)
    assert (master.tally.timeouts, master.tally.retries, master.tally.crc_errors) == (0, 0, 0)


def test_after_a_rest_the_newest_debt_alone_is_feared() -> None:
    line, master = SimulatedLine(Faults(lost=1.0), 1), Master("rtu")
    ask = Ask(17, Span("holding", 0, 2), retries=1)
    with pytest.raises(Silence):
        line.run(master.read(ask))
    master.rested(17)
    session = master.read(ask)
    assert next(session) == Flush()
    sent = next(session)
    assert isinstance(sent, Send)
    assert sent.payload[:6] == bytes.fromhex("110300000002")


def test_a_damaged_reply_is_given_up_before_its_window_ends() -> None:
    session = Master("rtu", idle_ms=50).read(Ask(17, Span("holding", 0, 1), retries=0))
    next(session)
    next(session)
    assert session.send(b"") == Receive(None)
    assert session.send(b"\x11\x03\x02\x00\x00\x00\x00") == Receive(50)
    with pytest.raises(Garbled):
        session.send(b"")


def test_identification_is_read_in_parts() -> None:
    parts = {
        0: b"\x2b\x0e\x01\x01\xff\x02\x02\x00\x04Acme\x01\x06LT-200",
        2: b"\x2b\x0e\x01\x01\x00\x00\x01\x02\x05V2.11",
    }
    session, answer, texts = Master("rtu").identify(17, 500), b"", None
    while texts is None:
        try:
            action = session.send(answer) if answer else next(session)
        except StopIteration as end:
            texts = end.value
            break
        if isinstance(action, Send):
            first = action.payload[4]
        answer = rtu_frame(17, parts[first]) if isinstance(action, Receive) else b""
    assert texts == {0: "Acme", 1: "LT-200", 2: "V2.11"}
