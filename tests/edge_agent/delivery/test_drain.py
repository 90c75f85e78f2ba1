"""When a backlog will be gone."""

from __future__ import annotations

from edge_agent.delivery.drain import LEAST_MS, SPAN_MS, Drain


def test_the_rate_is_net_and_of_the_last_minutes() -> None:
    drain = Drain()
    for second in range(600):  # first it grows by 10 readings a second, then it falls by 20
        depth = 10 * second if second < 300 else 3000 + 6000 - 20 * (second - 300)
        drain.note(second * 1000, depth)
    assert drain.readings_per_s(600_000, 3000) == 20.0
    assert drain.left_s(600_000, 3000) == 150
    assert drain.left_s(600_000, 0) == 0


def test_what_does_not_go_down_has_no_end() -> None:
    drain = Drain()
    for second in range(120):
        drain.note(second * 1000, 500 + second)
    assert drain.readings_per_s(120_000, 620) == -1.0
    assert drain.left_s(120_000, 620) is None
    assert drain.left_s(120_000, 500) is None, "standing still"


def test_nothing_is_said_before_enough_was_seen_and_old_samples_go() -> None:
    drain = Drain()
    assert drain.readings_per_s(0, 0) is None
    drain.note(0, 1000)
    assert drain.readings_per_s(LEAST_MS - 1, 10) is None
    assert drain.readings_per_s(LEAST_MS, 700) == 10.0
    drain.note(SPAN_MS + 1, 100)
    assert drain.readings_per_s(SPAN_MS + 2, 100) is None
