"""What a request reads in which of its turns; how it is cut."""

from __future__ import annotations

from edge_agent.model.blocks import Block
from edge_agent.model.points import Point
from edge_agent.model.poll import Poll, Ride, Turns, split, without_rides


def atom(address: int, period_ms: int = 1000) -> Block:
    return Block("holding", address, 1, (Point(address, "d", f"p{address}", "holding", address, "u16", period_ms=period_ms),))


POLL = Poll(1000, (Ride(1, (atom(0), atom(1))), Ride(5, (atom(2), atom(3))), Ride(10, (atom(4),))))


def ids(block: Block) -> str:
    return "".join(p.id[1:] for p in block.points)


def test_the_first_turn_reads_everything_and_missed_rides_are_made_up_for() -> None:
    turns = Turns(POLL)
    assert [ids(turns.take(turn)) for turn in (-3, -2, 0, 1, 4, 5, 9, 13, 14)] == [
        "01234", "01", "01234", "01", "01", "0123", "01", "01234", "01",
    ]  # fmt: skip


def test_a_turn_that_counts_for_nothing_is_asked_again() -> None:
    turns = Turns(POLL)
    turns.take(0)
    assert ids(turns.take(5)) == "0123"
    turns.again()
    assert ids(turns.take(6)) == "0123"
    assert ids(turns.take(7)) == "01"


def test_a_ride_that_fails_has_a_second_chance_and_is_parted_in_the_end() -> None:
    turns = Turns(POLL)
    asked, parted = [], []
    for turn in range(12):
        block = turns.take(turn)
        asked.append(len(block.points))
        if len(block.points) > 2:
            parted.append(turns.failed())
        else:
            turns.worked()
    assert asked == [5, 5, 2, 2, 2, 4, 4, 2, 2, 2, 5, 5]
    assert parted == [False, False, False, True, True, True]


def test_a_device_that_fails_altogether_keeps_its_rides() -> None:
    turns = Turns(POLL)
    for turn in range(30):
        turns.take(turn)
        assert not turns.failed()


def test_a_refused_poll_is_cut_amid_what_was_asked() -> None:
    left, right = split(POLL, POLL.read(5, 4))
    assert [(poll.period_ms, [(r.every, len(r.parts)) for r in poll.rides]) for poll in (left, right)] == [
        (1000, [(1, 2)]),
        (5000, [(1, 2), (2, 1)]),
    ]
    first, second = split(POLL, POLL.read(1, 0))
    assert (ids(first.whole), ids(second.whole), second.period_ms) == ("0", "1234", 1000)
    one = Poll(1000, (Ride(1, (atom(0),)), Ride(5, (atom(2),))))
    assert [ids(poll.whole) for poll in split(one, one.read(1, 0))] == ["0", "2"]
    assert split(first, first.whole) == (first,)


def test_rides_are_parted_from_the_rest() -> None:
    core, rides = without_rides(POLL)
    assert (ids(core.whole), core.period_ms) == ("01", 1000)
    assert (ids(rides.whole), rides.period_ms, [ride.every for ride in rides.rides]) == ("234", 5000, [1, 2])
    assert without_rides(core) == (core,)
