"""What the embedded broker tells of messages that it kept away: all are counted, little is said, nothing grows."""

from __future__ import annotations

import select

from collector.io.broker_refusals import BEGIN_BYTES, MAX_SENDERS, OTHERS, RefusalCounts, RefusedPublish, line_of, parse_line


def test_one_line_a_second_for_each_sender_and_every_message_in_one() -> None:
    counts, told = RefusalCounts(), list[RefusedPublish]()
    for n in range(640):
        now_s = n / 64
        counts.note("gw-1", f"root/s/h/{n}", b"x" * n)
        if n == 320:
            counts.note("gw-2", "root/a/b/data", b"once")
        for refused in counts.due(now_s):
            counts.told(refused, now_s)
            told.append(refused)
    assert [one.count for one in told if one.sender == "gw-1"] == [1, *[64] * 9]
    assert [one.count for one in told if one.sender == "gw-2"] == [1]
    (rest,) = counts.due(100.0)
    assert (rest.sender, rest.count) == ("gw-1", 63)


def test_what_could_not_be_told_is_told_with_the_next() -> None:
    counts = RefusalCounts()
    counts.note("gw-1", "t", b"1")
    (first,) = counts.due(0.0)
    counts.note("gw-1", "u", b"2")
    (again,) = counts.due(0.0)
    assert (first.count, again.count, again.topic) == (1, 2, "u")
    counts.told(again, 0.0)
    assert counts.is_empty
    assert counts.due(5.0) == []


def test_senders_are_bounded() -> None:
    counts = RefusalCounts()
    for n in range(MAX_SENDERS + 500):
        counts.note(f"user-{n}", "t", b"")
    due = counts.due(0.0)
    assert len(due) == MAX_SENDERS + 1
    assert (due[-1].sender, due[-1].count) == (OTHERS, 500)


def test_a_line_goes_into_a_pipe_as_a_whole_and_comes_out_as_it_was() -> None:
    counts = RefusalCounts()
    counts.note("g" * 32, "\x01水" * 5000, bytes(range(256)) * 100)
    (worst,) = counts.due(0.0)
    line = line_of(worst)
    assert len(line) <= select.PIPE_BUF
    assert parse_line(line.decode()) == worst
    assert (len(worst.begin), worst.size) == (BEGIN_BYTES, 25_600)
    assert line.count(b"\n") == 1


def test_other_lines_say_nothing() -> None:
    for line in ("ready 1883\n", "refused\n", "refused {}\n", "refused [1]\n", 'refused {"sender":1}\n'):
        assert parse_line(line) is None
    assert isinstance(parse_line(line_of(RefusedPublish("a", "b", b"c", 1, 1)).decode()), RefusedPublish)
