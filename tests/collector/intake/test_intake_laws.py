"""Laws of the intake under any order, doubling, loss, failed commit and crash: no receipt ahead of the disk, nothing lost."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.intake import accounting
from collector.intake.core import Intake
from collector.intake.machine import (
    Action,
    Append,
    CommitFailed,
    Committed,
    Connected,
    Event,
    Publish,
    Start,
    Tick,
    WakeAt,
)
from collector.intake.records import BatchKey, LaneState, Record
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.contract.topics import Kind
from tests.support.intake import EPOCHS, NAME, T0, arrived, data

Lane = tuple[str, m.Lane]
LANES: tuple[Lane, ...] = tuple((epoch, lane) for epoch in EPOCHS for lane in m.LANES)


# --- the account of one lane -----------------------------------------------------------------------------------------


@dataclass
class NaiveLane:
    """The account as one would write it down: a set of sequences and the highest `low`."""

    first: int
    low: int
    here: set[int] = field(default_factory=set)
    duplicate: int = 0

    def take(self, seq: int, low: int) -> str:
        covered = self.covered(max(self.low, low))
        if seq in covered:
            self.low = max(self.low, low)
            self.duplicate += 1
            return "duplicate"
        if len(self.shape(covered | {seq})[1]) > accounting.MAX_RANGES:
            return "refused"
        self.low = max(self.low, low)
        self.here.add(seq)
        return "new"

    def covered(self, low: int) -> set[int]:
        return self.here | set(range(1, low))

    @staticmethod
    def shape(covered: set[int]) -> tuple[int, tuple[tuple[int, int], ...]]:
        upto = 0
        while upto + 1 in covered:
            upto += 1
        ranges: list[tuple[int, int]] = []
        for seq in sorted(n for n in covered if n > upto):
            if ranges and ranges[-1][1] == seq - 1:
                ranges[-1] = (ranges[-1][0], seq)
            else:
                ranges.append((seq, seq))
        return upto, tuple(ranges)

    @property
    def lost(self) -> int:
        return sum(1 for n in range(self.first, self.low) if n not in self.here)


@given(st.lists(st.tuples(st.integers(1, 120), st.integers(1, 120)), min_size=1, max_size=120))
def test_the_account_of_a_lane_equals_a_naive_one(told: list[tuple[int, int]]) -> None:
    first_low = min(told[0])
    state = accounting.first_contact(*NAME, EPOCHS[0], "n", first_low, T0)
    naive = NaiveLane(first_low, first_low)
    for seq, other in told:
        low = min(seq, other)
        state, verdict = accounting.account(state, seq, low, T0)
        assert verdict == naive.take(seq, low)
        upto, ranges = naive.shape(naive.covered(naive.low))
        assert (state.upto, state.ranges, state.low) == (upto, ranges, naive.low)
        assert (state.received, state.duplicate, state.lost) == (len(naive.here), naive.duplicate, naive.lost)
        assert accounting.behind(state) == (ranges[-1][1] - upto - len([n for n in naive.here if n > upto]) if ranges else 0)


def test_a_jump_to_the_highest_sequence_costs_one_range() -> None:
    state = accounting.first_contact(*NAME, EPOCHS[0], "n", 1, T0)
    state, verdict = accounting.account(state, encoding.MAX_SEQUENCE, 1, T0)
    assert (verdict, state.upto, len(state.ranges)) == ("new", 0, 1)
    state, verdict = accounting.account(state, encoding.MAX_SEQUENCE - 1, encoding.MAX_SEQUENCE - 1, T0)
    assert (verdict, state.upto, state.ranges) == ("new", encoding.MAX_SEQUENCE, ())
    assert state.lost == encoding.MAX_SEQUENCE - 2


# --- the whole machine against a world -------------------------------------------------------------------------------


class World:
    """One agent, a network that loses, doubles and reorders, a disk that keeps what was committed, a collector that dies."""

    def __init__(self) -> None:
        self.now = T0
        self.disk: dict[BatchKey, Record] = {}
        self.lanes: dict[Lane, LaneState] = {}
        self.pending: Append | None = None
        self.wake: int | None = None
        self.sent: dict[Lane, int] = dict.fromkeys(LANES, 0)
        self.held: dict[Lane, set[int]] = {lane: set() for lane in LANES}
        self.net: list[bytes] = []
        self.receipts = 0
        self.start()

    def start(self) -> None:
        self.intake = Intake()
        self.pending = None
        self.tell(Start("log", tuple(self.lanes.values())))
        self.tell(Connected())

    def tell(self, event: Event) -> None:
        for action in self.intake.step(self.now, event):
            self.do(action)

    def do(self, action: Action) -> None:
        match action:
            case Append():
                assert self.pending is None, "two commits at once"
                self.pending = action
            case WakeAt():
                self.wake = action.ms
            case Publish() if action.kind is Kind.RECEIPT:
                self.believe(encoding.decode_receipt(action.payload))

    def believe(self, receipt: m.Receipt) -> None:
        self.receipts += 1
        assert len(receipt.lanes) <= 8
        for row in receipt.lanes:
            lane = (row.e, row.l)
            covered = {n for n in self.held[lane] if n <= row.upto or any(a <= n <= z for a, z in row.ranges)}
            durable = {key.seq for key in self.disk if (key.epoch, key.lane) == lane}
            assert covered <= durable, f"receipted but not on disk: {sorted(covered - durable)}"
            self.held[lane] -= covered

    def make(self, lane: Lane) -> None:
        self.sent[lane] += 1
        self.held[lane].add(self.sent[lane])
        self.send(lane, self.sent[lane])

    def send(self, lane: Lane, seq: int) -> None:
        if seq in self.held[lane]:
            self.net.append(data(*lane, seq, min(self.held[lane])))

    def commit(self) -> None:
        if self.pending is not None:
            append, self.pending = self.pending, None
            self.write(append)
            self.tell(Committed(append.token))

    def write(self, append: Append) -> None:
        for record in append.records:
            self.disk.setdefault(record.key, record)
        for state in append.lanes:
            self.lanes[state.epoch, state.lane] = state

    def quiesce(self) -> None:
        for _ in range(200):
            for lane in LANES:
                for seq in sorted(self.held[lane]):
                    self.send(lane, seq)
            while self.net:
                self.tell(arrived(self.net.pop(0)))
            self.commit()
            self.commit()
            self.now += 2000
            self.tell(Tick())
            if not any(self.held.values()):
                return
        raise AssertionError(f"never receipted: {self.held}")


step = st.one_of(
    st.tuples(st.just("make"), st.sampled_from(LANES)),
    st.tuples(st.just("resend"), st.tuples(st.sampled_from(LANES), st.integers(1, 20))),
    st.tuples(st.sampled_from(("deliver", "double", "lose")), st.integers(0, 1000)),
    st.tuples(st.sampled_from(("commit", "fail", "crash-before", "crash-after", "tick", "clock-back")), st.none()),
)


REFUSED: list[tuple[str, object]] = [("make", LANES[0]), ("deliver", 0), ("fail", None), ("tick", None), ("tick", None)]
"""A batch comes, its commit fails, and the moment passes at which its receipt would have been due."""


@settings(max_examples=150, deadline=None)
@given(st.lists(step, max_size=80))
@example(REFUSED)
def test_nothing_is_lost_and_no_receipt_is_ahead_of_the_disk(steps: list[tuple[str, object]]) -> None:
    world = World()
    for what, with_ in steps:
        play(world, what, with_)
    world.quiesce()
    for lane in LANES:
        seqs = sorted(key.seq for key in world.disk if (key.epoch, key.lane) == lane)
        assert seqs == list(range(1, world.sent[lane] + 1))
        if seqs:
            state = world.lanes[lane]
            assert (state.upto, state.ranges, state.lost, state.received) == (len(seqs), (), 0, len(seqs))


def play(world: World, what: str, with_: object) -> None:
    match what, with_:
        case "make", lane:
            world.make(lane)  # type: ignore[arg-type]
        case "resend", (lane, seq):
            world.send(lane, seq)
        case "deliver" | "double" | "lose", int(index) if world.net:
            payload = world.net.pop(index % len(world.net))
            if what == "double":
                world.net.append(payload)
            if what != "lose":
                world.tell(arrived(payload))
        case "commit", _:
            world.commit()
        case "fail", _ if world.pending is not None:
            append, world.pending = world.pending, None
            world.tell(CommitFailed(append.token, "disk full"))
        case "crash-before", _:
            world.start()
        case "crash-after", _:
            if world.pending is not None:
                world.write(world.pending)
            world.start()
        case "tick", _:
            world.now += 700
            world.tell(Tick())
        case "clock-back", _:
            world.now -= 7_200_000
            world.tell(Tick())
