"""The intake machine, one behaviour each."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from collector.domain.identity import GatewayId
from collector.intake import core
from collector.intake.core import Intake
from collector.intake.gateway import HOLD_MS
from collector.intake.machine import (
    Action,
    Append,
    Arrived,
    CommitFailed,
    Committed,
    Connected,
    Event,
    Publish,
    Start,
    Tick,
    WakeAt,
)
from collector.intake.records import LaneState, Record
from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.contract.topics import Kind
from tests.support.intake import EPOCHS, NAME, OTHER, T0, arrived, birth, data

EPOCH = EPOCHS[0]


class Bench:
    """An intake whose commits succeed at once unless `slow`."""

    def __init__(self, start: Start | None = None) -> None:
        self.intake = Intake()
        self.now = T0
        self.slow = False
        self.appends: list[Append] = []
        self.published: list[tuple[int, Publish]] = []
        self.wake: int | None = None
        self.tell(start or Start("log-1"))
        self.tell(Connected())

    def tell(self, event: Event) -> Sequence[Action]:
        actions = self.intake.step(self.now, event)
        self.wake = None
        for action in actions:
            if isinstance(action, Append):
                self.appends.append(action)
            elif isinstance(action, Publish):
                self.published.append((self.now, action))
            elif isinstance(action, WakeAt):
                self.wake = action.ms
        if not self.slow and actions and any(isinstance(a, Append) for a in actions):
            self.tell(Committed(self.appends[-1].token))
        return actions

    def run_to(self, at_ms: int) -> None:
        """Lets the time pass, waking when asked."""
        while self.wake is not None and self.wake <= at_ms:
            self.now = self.wake
            self.tell(Tick())
        self.now = at_ms

    def receipts(self, name: GatewayId = NAME) -> list[tuple[int, m.Receipt]]:
        return [
            (at, encoding.decode_receipt(p.payload)) for at, p in self.published if p.kind is Kind.RECEIPT and p.gateway == name
        ]

    def commands(self) -> list[tuple[GatewayId, str]]:
        return [(p.gateway, encoding.decode_command(p.payload).name) for _, p in self.published if p.kind is Kind.CMD]

    def records(self) -> list[Record]:
        return [record for append in self.appends for record in append.records]

    def poison(self) -> list[str]:
        return [poison.reason for append in self.appends for poison in append.poison]


def test_a_receipt_goes_out_when_its_hold_is_over_and_covers_what_came_meanwhile() -> None:
    bench = Bench()
    bench.tell(arrived(birth(EPOCH, 1)[0]))
    for seq in (1, 2, 3):
        bench.run_to(T0 + 100 * seq)
        bench.tell(arrived(data(EPOCH, "n", seq)))
    bench.run_to(T0 + 5000)
    ((at, receipt),) = bench.receipts()
    assert at == T0 + HOLD_MS
    assert receipt.log == "log-1"
    assert {(row.l, row.upto) for row in receipt.lanes} == {("u", 1), ("n", 3)}


def test_the_birth_says_how_long_a_receipt_may_be_held() -> None:
    bench = Bench()
    bench.tell(arrived(birth(EPOCH, 1, body=m.BirthBody("1", [], receipt_hold_ms=0))[0]))
    bench.tell(arrived(data(EPOCH, "n", 1)))
    assert [at for at, _ in bench.receipts()] == [T0, T0]


def test_the_birth_says_after_how_many_batches_a_receipt_is_due_at_once() -> None:
    bench = Bench()
    body = m.BirthBody("1", [], receipt_hold_ms=7_200_000, receipt_every=4)
    bench.tell(arrived(birth(EPOCH, 1, body=body)[0]))
    bench.run_to(T0 + 60_000)
    assert [at for at, _ in bench.receipts()] == [T0 + 1000], "of lane u, quickly"
    for seq in range(1, 10):
        bench.run_to(T0 + seq * 1_800_000)
        bench.tell(arrived(data(EPOCH, "n", seq)))
    assert [(at, receipt.lanes[-1].upto) for at, receipt in bench.receipts()[1:]] == [
        (T0 + 4 * 1_800_000, 4),
        (T0 + 8 * 1_800_000, 8),
    ]
    bench.run_to(T0 + 9 * 1_800_000 + 7_200_000)
    assert bench.receipts()[-1][0] == T0 + 9 * 1_800_000 + 7_200_000, "the hold is the longest wait"


def test_batches_of_one_commit_count_each() -> None:
    bench = Bench()
    bench.tell(arrived(birth(EPOCH, 1, body=m.BirthBody("1", [], receipt_hold_ms=60_000, receipt_every=4))[0]))
    bench.run_to(T0 + 2000)
    bench.slow = True
    for seq in range(1, 6):
        bench.tell(arrived(data(EPOCH, "n", seq)))
    bench.slow = False
    bench.tell(Committed(bench.appends[-1].token))
    assert [receipt.lanes[-1].upto for _, receipt in bench.receipts()[1:]] == [5]


def test_an_urgent_batch_and_a_copy_have_a_quick_receipt_whatever_the_hold() -> None:
    bench = Bench()
    bench.tell(arrived(birth(EPOCH, 1, body=m.BirthBody("1", [], receipt_hold_ms=7_200_000))[0]))
    bench.run_to(T0 + 5000)
    bench.tell(arrived(data(EPOCH, "n", 1)))
    bench.run_to(T0 + 10_000)
    bench.tell(arrived(data(EPOCH, "u", 2)))
    bench.run_to(T0 + 20_000)
    assert [(at - T0, {(row.l, row.upto) for row in r.lanes}) for at, r in bench.receipts()[1:]] == [(11_000, {("n", 1), ("u", 2)})]
    bench.tell(arrived(data(EPOCH, "n", 1)))
    bench.run_to(T0 + 30_000)
    assert bench.receipts()[-1][0] == T0 + 21_000


def test_messages_gather_while_a_commit_is_under_way_and_are_not_receipted() -> None:
    bench = Bench()
    bench.slow = True
    for seq in range(1, 6):
        bench.tell(arrived(data(EPOCH, "n", seq)))
    assert [len(a.records) for a in bench.appends] == [1]
    bench.run_to(T0 + 10_000)
    assert bench.receipts() == []
    bench.tell(Committed(bench.appends[0].token))
    assert [len(a.records) for a in bench.appends] == [1, 4]
    assert [row.upto for row in bench.receipts()[-1][1].lanes] == [1]


def test_a_failed_commit_forgets_everything_that_rested_on_it() -> None:
    bench = Bench()
    bench.slow = True
    payload, name = birth(EPOCH, 1)
    bench.tell(arrived(payload))
    bench.tell(arrived(data(EPOCH, "n", 1, birth=name)))
    bench.tell(CommitFailed(bench.appends[0].token, "disk full"))
    assert bench.intake.failed == "disk full"
    bench.slow = False
    bench.run_to(T0 + core.FAILED_PAUSE_MS)
    bench.tell(arrived(data(EPOCH, "n", 1, birth=name)))
    assert bench.commands() == [(NAME, "birth")], "the birth was lost with the commit"
    bench.tell(arrived(payload))
    assert [r.key.lane for r in bench.records()[1:]] == ["n", "u"]
    assert bench.intake.failed == ""


def test_a_duplicate_is_counted_and_receipted_again() -> None:
    bench = Bench()
    bench.tell(arrived(data(EPOCH, "n", 1)))
    bench.run_to(T0 + 2000)
    bench.tell(arrived(data(EPOCH, "n", 1)))
    bench.run_to(T0 + 4000)
    bench.tell(arrived(data(EPOCH, "n", 2, body=m.Body([m.Block([0], [m.Column(0, [1])])]))))
    assert [at - T0 for at, _ in bench.receipts()] == [1000, 3000]
    assert len(bench.records()) == 2
    (pulse,) = bench.intake.pulses()
    assert (pulse.received, pulse.duplicate, pulse.lost, pulse.behind) == (2, 1, 0, 0)


def test_a_message_that_would_make_a_33rd_range_is_refused_and_taken_later() -> None:
    bench = Bench()
    for seq in range(2, 70, 2):
        bench.tell(arrived(data(EPOCH, "n", seq)))
    assert len(bench.records()) == 32
    assert bench.intake.let_go == 2
    for seq in range(1, 70):
        bench.tell(arrived(data(EPOCH, "n", seq)))
    assert sorted(r.key.seq for r in bench.records()) == list(range(1, 70))


def test_a_burst_of_many_epochs_is_receipted_whole_in_receipts_of_eight() -> None:
    bench = Bench()
    epochs = [f"{n}-00000000000000aa" for n in range(1, 21)]
    for epoch in epochs:
        bench.now += 1
        bench.tell(arrived(data(epoch, "n", 1)))
    bench.run_to(T0 + 5000)
    receipts = [receipt for _, receipt in bench.receipts()]
    assert all(len(r.lanes) <= 8 for r in receipts)
    assert sorted(row.e for r in receipts for row in r.lanes) == sorted(epochs)
    assert [row.e for row in receipts[-1].lanes] == epochs[-8:], "the broker keeps the last one"


def test_an_epoch_flood_is_bounded() -> None:
    bench = Bench()
    for n in range(1000):
        bench.tell(arrived(data(f"{n}-00000000000000aa", "n", 1)))
    assert len(bench.records()) == 200
    bench.tell(arrived(data("3-00000000000000aa", "n", 2)))
    assert len(bench.records()) == 201, "what is known already goes on"


def test_after_a_reconnect_every_gateway_heard_lately_gets_its_receipt() -> None:
    lately = LaneState(*NAME, EPOCH, "n", upto=7, heard_ms=T0 - 1000)
    long_ago = LaneState(*OTHER, EPOCH, "n", upto=7, heard_ms=T0 - 2 * core.HEARD_LATELY_MS)
    bench = Bench(Start("log-1", (lately, long_ago)))
    assert [row.upto for _, r in bench.receipts(NAME) for row in r.lanes] == [7]
    assert bench.receipts(OTHER) == []


def test_a_birth_that_another_log_receipted_is_taken_all_the_same() -> None:
    bench = Bench()
    payload, name = birth(EPOCH, 1, low=1)
    bench.tell(arrived(data(EPOCH, "u", 90, low=90, birth=name)))
    assert bench.commands() == [(NAME, "birth")]
    bench.tell(arrived(payload, Kind.BIRTH, retained=True))
    assert [r.kind for r in bench.records()] == ["data", "birth"]
    bench.tell(arrived(payload, Kind.BIRTH, retained=True))
    bench.tell(arrived(data(EPOCH, "u", 91, low=90, birth=name)))
    assert [r.kind for r in bench.records()] == ["data", "birth", "data"], "once is enough"


def test_two_gateways_of_equal_configuration_each_need_their_birth() -> None:
    bench = Bench()
    payload, name = birth(EPOCH, 1)
    bench.tell(arrived(payload))
    bench.tell(arrived(data(EPOCH, "n", 1, birth=name)))
    bench.tell(arrived(data(EPOCH, "n", 1, birth=name), name=OTHER))
    bench.tell(arrived(data(EPOCH, "n", 2, birth=name), name=OTHER))
    assert bench.commands() == [(OTHER, "birth")]


def test_births_of_the_log_are_known_at_start() -> None:
    name = birth(EPOCH, 1)[1]
    bench = Bench(Start("log-1", (), frozenset({(NAME, name)})))
    bench.tell(arrived(data(EPOCH, "n", 1, birth=name)))
    assert bench.commands() == []


def test_the_time_is_told_at_once_and_our_own_answer_is_not_asked_back() -> None:
    bench = Bench()
    bench.tell(arrived(encoding.encode(m.TimeAsk(1, "q1")), Kind.TIME))
    ((_, publish),) = bench.published
    assert encoding.decode_time(publish.payload) == m.TimeTell(1, "q1", T0)
    bench.tell(arrived(publish.payload, Kind.TIME))
    assert len(bench.published) == 1


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (Arrived("$SYS/x", None, None, b""), "topic"),
        (arrived(b"\xff\x00"), "not-decodable"),
        (arrived(b"{}"), "shape"),
        (arrived(b"{" + b" " * (1 << 20)), "too-large"),
        (arrived(encoding.unpack(data(EPOCH, "n", 1)).replace(b'"v":1', b'"v":9')), "version"),
        (arrived(data(EPOCH, "n", 1), retained=True), "retained"),
        (arrived(b"{}", Kind.RECEIPT), "topic"),
        (arrived(data(EPOCH, "n", 1), Kind.BIRTH, retained=True), "topic"),
        (arrived(b"{}", Kind.STATUS), "shape"),
    ],
)
def test_what_is_no_message_is_quarantined_with_its_reason(event: Arrived, reason: str) -> None:
    bench = Bench()
    bench.tell(event)
    bench.tell(arrived(data(EPOCH, "n", 1)))
    assert bench.poison() == [reason]
    assert [r.key.seq for r in bench.records()] == [1], "and the line goes on"


def test_refusals_are_counted_by_reason_and_the_last_one_is_named() -> None:
    bench = Bench()
    bench.slow = True
    for _ in range(core.MAX_POISON + 5):
        bench.tell(arrived(b"{}"))
    bench.tell(Arrived("a\n" + "b" * 200, None, None, b""))
    refusals = bench.intake.refusals()
    assert refusals.counts == {"shape": core.MAX_POISON + 5, "topic": 1}
    assert (refusals.topic, refusals.reason) == ("a?" + "b" * 98, "topic")


@pytest.mark.parametrize(
    "event",
    [
        arrived(b"junk"),
        arrived(b"junk", Kind.BIRTH, retained=True),
        arrived(b'{"v":1,"state":"online","epoch":"nonsense"}', Kind.STATUS, retained=True),
        arrived(b'{"v":1,"id":"1","ok":true}', Kind.REPLY),
        arrived(encoding.encode(m.TimeAsk(1, "q1")), Kind.TIME),
        arrived(data(EPOCH, "n", 1, body=m.Body())),
    ],
)
def test_a_gateway_comes_to_exist_only_by_what_it_says(event: Arrived) -> None:
    bench = Bench()
    bench.tell(event)
    assert bench.intake.pulses() == []
    bench.tell(arrived(birth(EPOCH, 1)[0]))
    assert [pulse.gateway for pulse in bench.intake.pulses()] == [NAME]


def test_quarantine_and_queue_are_bounded_while_the_disk_is_slow() -> None:
    bench = Bench()
    bench.slow = True
    bench.tell(arrived(data(EPOCH, "n", 1)))
    for n in range(1000):
        bench.tell(arrived(b"x" * 100_000 + str(n).encode()))
    for seq in range(2, core.MAX_PENDING + 100):
        bench.tell(arrived(data(EPOCH, "n", seq)))
    bench.tell(Committed(bench.appends[0].token))
    assert len(bench.appends[1].records) == core.MAX_PENDING
    assert len(bench.appends[1].poison) == core.MAX_POISON
    assert max(len(p.payload) for p in bench.appends[1].poison) == core.POISON_BYTES


COLUMNS = (b'"d":{}', b'"d":{"blocks":[[[0],[[0,[1,2]]]]]}')


def unreadable(*changes: tuple[bytes, bytes]) -> bytes:
    """Batch 2, by default with a sound head and a column of two values at one instant."""
    raw = encoding.unpack(data(EPOCH, "n", 2))
    for old, new in changes or (COLUMNS,):
        assert old in raw
        raw = raw.replace(old, new)
    return encoding.pack(raw)


TOO_LARGE = unreadable((b'"d":{}', b'"d":{"events":[' + b" " * (1 << 20) + b"]}"))
TOO_LARGE_JSON = encoding.unpack(data(EPOCH, "n", 2)).replace(b'"d":{}', b'"d":{"events":[' + b" " * (1 << 20) + b"]}")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (unreadable(), "shape"),
        (unreadable((b'"d":{}', b'"d":7')), "shape"),
        (unreadable((b'"d":{}', b'"d":{"blocks":[[[0],[[0,[9223372036854775808]]]]]}')), "range"),
        (TOO_LARGE, "too-large"),
        (TOO_LARGE_JSON, "too-large"),
    ],
    ids=["columns", "no body", "64 bits", "too large packed", "too large"],
)
def test_a_batch_whose_content_cannot_be_read_is_quarantined_and_receipted_once(payload: bytes, reason: str) -> None:
    bench = Bench()
    name = birth(EPOCH, 1)[1]
    bench.tell(arrived(birth(EPOCH, 1)[0]))
    bench.tell(arrived(data(EPOCH, "n", 1)))
    for _ in range(5):
        bench.tell(arrived(payload))
        bench.run_to(bench.now + HOLD_MS)
    assert bench.poison() == [reason]
    assert bench.appends[-1].poison[0].payload == payload[: core.POISON_BYTES]
    lanes = {lane.l: lane.upto for _, receipt in bench.receipts() for lane in receipt.lanes}
    assert lanes["n"] == 2
    (stand_in,) = [r for r in bench.records() if r.key.seq == 2]
    head = encoding.decode_sequenced(stand_in.payload)
    assert isinstance(head, m.Data)
    assert [(event.kind, event.reason, event.about) for event in head.d.events] == [
        ("batch.unreadable", reason, {"bytes": len(payload)})
    ]
    assert name != head.b == "00"


@pytest.mark.parametrize(
    "payload",
    [
        unreadable()[:-1],
        unreadable(COLUMNS, (b'"v":1', b'"v":2')),
        unreadable((b'"l":"n"', b'"l":"x"')),
        unreadable(COLUMNS, (b'"low":1', b'"low":7')),
        unreadable(COLUMNS, (EPOCH.encode(), b"1-nonsense")),
        encoding.pack(encoding.unpack(birth(EPOCH, 2)[0]).replace(b'"software":"1"', b'"software":"2"')),
    ],
    ids=["truncated", "version", "lane", "low", "epoch", "birth"],
)
def test_what_cannot_be_trusted_or_may_be_read_later_gets_no_receipt(payload: bytes) -> None:
    bench = Bench()
    bench.tell(arrived(birth(EPOCH, 1)[0]))
    bench.tell(arrived(payload))
    bench.run_to(bench.now + HOLD_MS)
    assert len(bench.poison()) == 1
    assert [r.key.seq for r in bench.records()] == [1]
    assert {lane.l for _, receipt in bench.receipts() for lane in receipt.lanes} == {"u"}


def test_what_cannot_be_read_makes_no_gateway() -> None:
    bench = Bench()
    bench.tell(arrived(unreadable()))
    assert (bench.intake.pulses(), bench.records(), bench.poison()) == ([], [], ["shape"])


def test_a_storm_of_one_batch_again_costs_no_commit_and_few_receipts() -> None:
    bench = Bench()
    bench.tell(arrived(birth(EPOCH, 1)[0]))
    bench.tell(arrived(data(EPOCH, "n", 1)))
    commits, receipts = len(bench.appends), len(bench.receipts())
    for n in range(1000):
        bench.run_to(T0 + 10 * n)
        bench.tell(arrived(data(EPOCH, "n", 1)))
        bench.tell(arrived(b"no message"))
    assert len(bench.appends) == commits + 1, "the one quarantined message alone"
    assert len(bench.receipts()) - receipts <= 12
    bench.tell(arrived(data(EPOCH, "n", 2)))
    assert next(lane for lane in bench.appends[-1].lanes if lane.lane == "n").duplicate == 1000
    assert bench.intake.refusals().counts == {"not-decodable": 1000}


def test_a_clock_set_back_holds_no_receipt() -> None:
    bench = Bench()
    bench.tell(arrived(data(EPOCH, "n", 1)))
    bench.now -= 3_600_000
    bench.tell(Tick())
    assert len(bench.receipts()) == 1


def test_a_pulse_shows_what_the_gateway_says_of_itself() -> None:
    bench = Bench()
    bench.tell(arrived(encoding.encode(m.Status(1, "online", EPOCH, software="0.1")), Kind.STATUS, retained=True))
    (pulse,) = bench.intake.pulses()
    assert (pulse.online, pulse.software, pulse.heard_ms) == (True, "0.1", None), "a retained word is no sign of life"
    bench.tell(arrived(data(EPOCH, "n", 5, low=1)))
    (pulse,) = bench.intake.pulses()
    assert (pulse.heard_ms, pulse.epoch, pulse.behind) == (T0, EPOCH, 4)
    bench.tell(arrived(encoding.encode(m.Status(1, "offline", EPOCH)), Kind.STATUS))
    assert bench.intake.pulses()[0].online is False
