"""Laws of the account by day: whatever comes in whatever order, again, late, around a crash, it equals one made by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.domain.days import Days
from collector.intake import holes
from collector.intake.day_account import DayAccount, Wanted, totals
from collector.intake.daybook import Daybook, calendars
from collector.intake.records import BatchKey, Record
from collector.io.account_book import SqliteAccountBook
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from tests.support.intake import EPOCHS, NAME

ZONE = "Asia/Shanghai"
HOUR_MS = 3_600_000
NOON_MS = Days(ZONE).span("2026-03-01")[0] + 12 * HOUR_MS
DAYS = calendars(lambda _site: ZONE)
LANES: tuple[tuple[str, m.Lane], ...] = ((EPOCHS[0], "n"), (EPOCHS[0], "u"), (EPOCHS[1], "n"))
WHYS = ("overflow", "age", "damaged")


def time_of(seq: int) -> int:
    """A batch every five hours: the sequences of a test lie in several days, none crosses a midnight."""
    return NOON_MS + seq * 5 * HOUR_MS


@dataclass(frozen=True)
class Batch:
    """What a gateway sends: readings are 1..3 by its sequence."""

    lane: tuple[str, m.Lane]
    seq: int
    low: int
    after_ms: int
    gap: m.Gap | None = None

    @property
    def readings(self) -> int:
        return self.seq % 3 + 1

    def record(self, offset: int) -> Record:
        body = m.Body([m.Block([0] * self.readings, [m.Column(0, [1.0] * self.readings)])], gaps=[self.gap] if self.gap else [])
        payload = encoding.encode(m.Data(1, *self.lane, self.seq, self.low, "00", time_of(self.seq), body))
        return Record(offset, BatchKey(*NAME, *self.lane, self.seq), time_of(self.seq) + self.after_ms, payload)


gaps = st.builds(
    lambda lane, a, size, why, readings: m.Gap(*lane, a, a + size, readings, why, time_of(a), time_of(a + size)),
    st.sampled_from(LANES), st.integers(1, 40), st.integers(0, 8), st.sampled_from(WHYS), st.integers(0, 100),
)  # fmt: skip
batches = st.builds(
    lambda lane, seq, behind, late, gap: Batch(lane, seq, max(1, seq - behind), (HOUR_MS + 1) * late, gap),
    st.sampled_from(LANES), st.integers(1, 40), st.integers(0, 40), st.booleans(), st.none() | gaps,
)  # fmt: skip
steps = st.lists(
    st.tuples(st.sampled_from(("take", "take", "take", "again", "commit", "crash", "crash-late", "reread")), batches), max_size=60
)


def by_hand(told: list[Batch]) -> tuple[dict[str, tuple[int, int, int, int]], dict[tuple[str, m.Lane], Counter[str]]]:
    """Per day batches, late batches, readings, late readings received; per lane how many sequences are what."""
    first: dict[tuple[tuple[str, m.Lane], int], Batch] = {}
    state: dict[tuple[str, m.Lane], dict[int, str]] = {}

    def know(lane: tuple[str, m.Lane], upto: int) -> dict[int, str]:
        known = state.setdefault(lane, {})
        for seq in range(1, upto + 1):
            known.setdefault(seq, "missing")
        return known

    for batch in told:
        known = know(batch.lane, batch.seq)
        is_new = known[batch.seq] != "received"
        known[batch.seq] = "received"
        for seq in range(1, batch.low):
            if known[seq] == "missing":
                known[seq] = holes.NOT_HERE
        if is_new:
            first[batch.lane, batch.seq] = batch
            if batch.gap is not None:
                lost = know((batch.gap.e, batch.gap.l), batch.gap.z)
                for seq in range(batch.gap.a, batch.gap.z + 1):
                    if lost[seq] in {"missing", holes.NOT_HERE}:
                        lost[seq] = batch.gap.why
    days: dict[str, tuple[int, int, int, int]] = {}
    for batch in first.values():
        day, late = DAYS("").of(time_of(batch.seq)), batch.after_ms > HOUR_MS
        b, lb, r, lr = days.get(day, (0, 0, 0, 0))
        days[day] = (b + 1, lb + late, r + batch.readings, lr + late * batch.readings)
    return days, {lane: Counter(known.values()) for lane, known in state.items()}


class World:
    """A log, an accountant that dies at any time, the file it leaves."""

    def __init__(self, path: Path) -> None:
        self.log: list[Batch] = []
        self.path = path
        self.start()

    def start(self) -> None:
        self.book = SqliteAccountBook(self.path)
        self.cursor = self.book.follow("log", len(self.log), (), 0)
        self.daybook, self.position = Daybook(self.book.lane, DAYS), self.cursor

    def read(self) -> None:
        for offset, batch in enumerate(self.log[self.position :], self.position + 1):
            self.daybook.take(batch.record(offset))
        self.position = len(self.log)

    def commit(self) -> None:
        self.read()
        changes = self.daybook.changes()
        self.book.commit(self.cursor, self.position, changes)
        if self.position != self.cursor:
            self.book.commit(self.cursor, self.position, changes)  # a commit that seemed to fail is tried again
        self.cursor = self.position

    def play(self, what: str, batch: Batch) -> None:
        match what:
            case "take":
                self.log.append(batch)
            case "again" if self.log:
                self.log.append(self.log[batch.seq % len(self.log)])
            case "commit":
                self.commit()
            case "crash":
                self.read()
                self.book.close()
                self.start()
            case "crash-late":
                self.commit()
                self.book.close()
                self.start()
            case "reread":  # another log with the same content: everything is read again
                self.commit()
                self.cursor = self.position = self.book.follow(f"log {len(self.log)}", len(self.log), (), 0)
                self.commit()
                self.book.close()
                self.book = SqliteAccountBook(self.path)
                self.book.follow("log", len(self.log), (), 0)
                self.book.close()
                self.start()

    def accounts(self) -> list[DayAccount]:
        return self.book.accounts(Wanted(), DAYS)


@settings(max_examples=40, deadline=None)
@given(steps)
def test_the_account_equals_one_made_by_hand(tmp_path_factory: object, told: list[tuple[str, Batch]]) -> None:
    world = World(tmp_path_factory.mktemp("law") / "account.sqlite")  # type: ignore[attr-defined]
    try:
        for what, batch in told:
            world.play(what, batch)
        world.commit()
        accounts = world.accounts()
        days, lanes = by_hand(world.log)
        received = {a.day: (a.received, a.late, a.received_readings, a.late_readings) for a in accounts if a.received}
        assert received == days
        counts = Counter[str]()
        for lane in lanes.values():
            counts += lane
        total = totals(accounts)
        assert total["expected"] == total["received"] + total["lost"] + total["missing"] == counts.total()
        assert (total["received"], total["missing"]) == (counts.pop("received", 0), counts.pop("missing", 0))
        why = Counter[str]()
        for account in accounts:
            why.update(account.why)
            assert account.lost == sum(account.why.values())
        assert +why == counts
    finally:
        world.book.close()


@given(st.lists(gaps, min_size=1, max_size=20), st.randoms())
def test_readings_of_gaps_that_overlap_are_not_counted_twice(told: list[m.Gap], chance: object) -> None:
    """Each sequence is one batch of 10 readings; records join and repeat them in any way."""
    lane = [m.Gap(EPOCHS[0], "n", g.a, g.z, 10 * (g.z - g.a + 1), "overflow", g.t_from, g.t_to) for g in told]
    book = holes.LaneBook()
    for gap in lane:
        book = holes.told(book, gap, NOON_MS)
    sequences = {seq for gap in lane for seq in range(gap.a, gap.z + 1)}
    lost = [hole for hole in book.holes if hole.why == "overflow"]
    assert sum(hole.size for hole in lost) == len(sequences)
    assert sum(hole.readings or 0 for hole in lost) == 10 * len(sequences)
    assert book.top == max(sequences)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 40 * 24), st.integers(0, 24))
def test_a_hole_is_spread_over_its_days_without_remainder(size: int, readings: int, hours: int, start: int) -> None:
    begin = NOON_MS + start * HOUR_MS
    hole = holes.Hole(1, size + 1, "age", readings, begin, begin + hours * HOUR_MS)
    shares = list(holes.by_day(hole, Days(ZONE)))
    assert (sum(b for _, b, _ in shares), sum(r for _, _, r in shares)) == (size + 1, readings)
    assert [day for day, _, _ in shares] == sorted({day for day, _, _ in shares})
    if size >= 10**4:
        assert len(shares) == len(list(Days(ZONE).between(hole.from_ms, hole.to_ms)))


def test_a_day_of_the_clock_change_has_its_own_length() -> None:
    assert Days("Europe/Berlin").span("2026-03-29")[1] - Days("Europe/Berlin").span("2026-03-29")[0] == 23 * HOUR_MS
