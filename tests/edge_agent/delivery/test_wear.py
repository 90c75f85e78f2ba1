"""What `check` says of flash and power cuts."""

from __future__ import annotations

from edge_agent.delivery.wear import READING_BYTES, WRITE_BYTES, estimate
from edge_agent.model.points import Delivery

DAY_S = 86_400


def test_receipts_inside_the_window_spare_the_flash_and_a_cut_costs_a_window() -> None:
    wear = estimate(Delivery(), [("n", 1000)] * 10)
    assert (wear.online_bytes_a_day, wear.is_written_online) == (0, False)
    assert wear.offline_bytes_a_day == DAY_S // 10 * WRITE_BYTES + 10 * DAY_S * READING_BYTES
    assert (wear.loss_ms, wear.loss_readings) == (10_000, 100)


def test_batches_that_wait_longer_than_the_window_are_written_as_without_a_link() -> None:
    wear = estimate(Delivery(batch_ms=60_000), [("n", 1000)])
    assert wear.is_written_online
    assert wear.online_bytes_a_day == wear.offline_bytes_a_day > 0


def test_slow_points_make_no_write_in_an_empty_window() -> None:
    assert estimate(Delivery(), [("n", 3_600_000)]).offline_bytes_a_day == 24 * (WRITE_BYTES + READING_BYTES)


def test_urgent_points_with_a_window_of_their_own_cost_flash_and_lose_nothing() -> None:
    wear = estimate(Delivery(urgent_window_ms=0), [("n", 1000), ("u", 60_000)])
    assert wear.online_bytes_a_day == 1440 * (WRITE_BYTES + READING_BYTES)
    assert (wear.urgent_loss_ms, wear.loss_readings) == (0, 10)
    assert estimate(Delivery(), []).offline_bytes_a_day == 0


def test_drafts_of_a_long_batch_cost_its_readings_again() -> None:
    long = Delivery(batch_ms=60_000, window_ms=10_000)
    wear = estimate(long, [("n", 1000)])
    assert wear.online_bytes_a_day == 8640 * WRITE_BYTES + round(86_400 * READING_BYTES * 3.5)
    assert wear.loss_ms == 10_000
