"""Sessions under faults in simulated time: never a wrong value; identification."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

from edge_agent.protocols.modbus import Ask, Master, Span
from edge_agent.protocols.modbus_ascii import ascii_frame
from edge_agent.protocols.modbus_frames import rtu_frame
from edge_agent.protocols.modbus_pdus import write_expected, write_request
from edge_agent.protocols.session import Failure, Flush, Garbled, Receive, Refused, Send, Session, Silence, TwoAnswers
from tests.support.simulated_line import Faults, SimulatedLine, register

BAD_LINE = Faults(lost=0.1, late=0.25, damaged=0.05, doubled=0.1, noise=0.2, foreign=0.1, echo=0.1, busy=0.05)
SEVEN = rtu_frame(17, b"\x03\x02\x00\x07")
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
            others = tuple(other for other in SPANS if other != span)
            assert line.run(master.read(Ask(17, span, others=others))) == tuple(
                register(span.address + i) for i in range(span.count)
            )
    assert master.tally.requests == 50 * len(SPANS)
    assert (master.tally.timeouts, master.tally.retries, master.tally.crc_errors) == (0, 0, 0)


def functions_asked(replies: dict[int, bytes], *sessions: Session[object]) -> list[int]:
    """Functions of what the sessions ask, one after the other. replies: what comes to a function, once; else nothing comes."""
    asked: list[int] = []
    for session in sessions:
        answer = b""
        with suppress(StopIteration, Failure):
            while True:
                action = session.send(answer) if answer else next(session)
                answer = b""
                if isinstance(action, Send):
                    asked.append(action.payload[1])
                    answered = False
                elif isinstance(action, Receive) and not answered:
                    answer, answered = replies.get(asked[-1], b""), True
    return asked


def test_a_device_of_which_nothing_else_may_be_read_is_asked_once_for_its_identification() -> None:
    """Whether it answers that must be known before it is late for the first time; a refusal is an answer."""
    master, ask = Master("rtu"), Ask(17, Span("holding", 0, 1))
    replies = {3: SEVEN, 0x2B: rtu_frame(17, b"\xab\x01")}
    assert functions_asked(replies, *(master.read(ask) for _ in range(3))) == [3, 0x2B, 3, 3]
    assert master.tally.exceptions == 0


def test_nothing_comes_between_a_step_and_the_read_behind_it() -> None:
    master, write = Master("rtu"), write_request(6, 1, (1,))
    replies = {3: SEVEN, 6: rtu_frame(17, write)}
    step = master.ask(17, write, write_expected(write), 500)
    assert functions_asked(replies, step, master.read(Ask(17, Span("holding", 0, 1)))) == [6, 3]


def test_a_write_behind_one_that_was_not_answered_is_fenced_off() -> None:
    """The answer to 16 says how many registers were written and not what: one that comes late would confirm the next one."""
    master, write = Master("rtu"), write_request(16, 1, (1, 2))
    again = write_request(16, 1, (3, 4))
    assert functions_asked({}, master.write(17, write, 500), master.write(17, again, 500)) == [16, 0x2B], "nothing is sent"
    identified = {0x2B: rtu_frame(17, b"\xab\x01"), 16: rtu_frame(17, again[:5])}
    assert functions_asked(identified, master.write(17, again, 500)) == [0x2B, 16]
    assert functions_asked({}, Master("rtu").write(17, write, 500)) == [16]


def test_a_device_that_identified_itself_late_is_not_mute() -> None:
    """What it owes is not forgiven after a window of silence."""
    master, ask = Master("rtu"), Ask(17, Span("holding", 0, 1), retries=0)
    assert functions_asked({3: SEVEN}, master.read(ask), master.read(ask)) == [3, 0x2B, 3]
    late = {3: rtu_frame(17, b"\xab\x01")}
    assert functions_asked(late, master.read(ask)) == [0x2B, 3]
    assert functions_asked({3: SEVEN}, master.read(ask)) == [0x2B], "it is not asked for anything that it owes"


def test_after_a_rest_the_newest_debt_alone_is_feared() -> None:
    line, master = SimulatedLine(Faults(lost=1.0), 1), Master("rtu")
    ask = Ask(17, Span("holding", 0, 2), retries=1)
    with pytest.raises(Silence):
        line.run(master.read(ask))
    master.rested(17)
    session = master.read(ask)
    assert [next(session), next(session)] == [Flush()] * 2
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


def test_the_first_answers_of_a_device_are_listened_to_and_no_others() -> None:
    master, listened = Master("rtu", listen_ms=120), []
    for _ in range(6):
        session = master.read(Ask(17, Span("holding", 0, 1), others=(Span("holding", 9, 4),)))
        assert [type(next(session)), type(next(session)), type(next(session))] == [Flush, Send, Receive]
        with suppress(StopIteration):
            listened.append(session.send(rtu_frame(17, b"\x03\x02\x00\x07")))
            next(session)
    assert listened == [Receive(120, least_ms=120)] * 4


def heard(master: Master, *replies: bytes, rested_ms: int = 0) -> tuple[int, ...]:
    """One read, and what comes of it on a line that brings these replies one after the other."""
    ask = Ask(17, Span("holding", 0, 2), retries=0, others=(Span("holding", 9, 4),), rested_ms=rested_ms)
    session, chunks = master.read(ask), list(replies)
    answer = b""
    while True:
        try:
            action = session.send(answer) if answer else next(session)
        except StopIteration as end:
            return tuple(end.value)
        answer = chunks.pop(0) if chunks and isinstance(action, Receive) else b""


def doubted() -> Master:
    """One at whose device two different answers came to one question."""
    master, right = Master("rtu"), rtu_frame(17, b"\x03\x04\x00\x01\x00\x02")
    with pytest.raises(TwoAnswers):
        heard(master, right, rtu_frame(17, b"\x03\x04\x00\x01\x00\x03"))
    with pytest.raises(TwoAnswers):  # the question of another length that comes first
        heard(master, rtu_frame(17, b"\x03\x02\x00\x01"))
    return master


def test_an_address_at_which_two_answered_is_believed_at_the_sixteenth_single_answer() -> None:
    master, right = doubted(), rtu_frame(17, b"\x03\x04\x00\x01\x00\x02")
    for _ in range(15):
        with pytest.raises(TwoAnswers):
            heard(master, right, rested_ms=10_000)
    assert heard(master, right, rested_ms=10_000) == (1, 2)


def test_an_address_at_which_two_answered_is_not_believed_within_a_minute() -> None:
    master, right = doubted(), rtu_frame(17, b"\x03\x04\x00\x01\x00\x02")
    for _ in range(26):
        with pytest.raises(TwoAnswers):
            heard(master, right, rested_ms=2000)
    for _ in range(3):
        with suppress(TwoAnswers):
            heard(master, right, rested_ms=2000)
    assert heard(master, right) == (1, 2)


def test_the_same_answer_twice_is_no_second_device() -> None:
    master, right = Master("rtu"), rtu_frame(17, b"\x03\x04\x00\x01\x00\x02")
    assert heard(master, right, right) == heard(master, right + right) == (1, 2)


def test_registers_are_written_and_read_in_one_request() -> None:
    session = Master("rtu").read_write(17, Span("holding", 3, 2), 14, [255, 1], 500)
    next(session)
    sent = next(session)
    assert isinstance(sent, Send)
    assert sent.payload == rtu_frame(17, bytes.fromhex("17 0003 0002 000E 0002 04 00FF 0001"))
    next(session)
    assert session.send(rtu_frame(17, bytes.fromhex("17 04 1234 5678"))) == Receive(120, least_ms=120)
    with pytest.raises(StopIteration) as end:
        next(session)
    assert end.value.value == (0x1234, 0x5678)
    refused = Master("ascii").read_write(17, Span("holding", 3, 2), 14, [1], 500)
    for _ in range(3):
        next(refused)
    refused.send(ascii_frame(17, b"\x97\x04"))
    with pytest.raises(Refused, match="exception 4"):
        next(refused)


def test_a_frame_of_characters_may_pause_for_a_second() -> None:
    session = Master("ascii").read(Ask(17, Span("holding", 0, 1)))
    next(session)
    next(session)
    assert next(session) == Receive()
    assert session.send(b":1103") == Receive(least_ms=1000)
    assert session.send(ascii_frame(17, b"\x03\x02\x00\x07")[5:]) == Receive(120, least_ms=120)
    with pytest.raises(StopIteration) as end:
        next(session)
    assert end.value.value == (7,)


def test_a_reply_is_owed_when_the_link_went_in_the_middle() -> None:
    master = Master("tcp")
    session = master.read(Ask(17, Span("holding", 0, 2)))
    next(session)
    session.close()
    again = next(master.read(Ask(17, Span("holding", 0, 2))))
    assert isinstance(again, Send)
    assert again.payload[7:] == bytes.fromhex("03 0000 0001")


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
