"""Advice: each change by itself makes every point come at its period, and none is given where nothing is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from edge_agent.model.advice import advice, overloaded, spoken
from edge_agent.model.forecast import forecast
from edge_agent.model.line_cost import cost_of
from edge_agent.model.points import Bus, Device
from tests.edge_agent.model.test_forecast import FULL, bus, device

MS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
SPLIT = bus(*(device(unit, *((130 * i, 1000) for i in range(5))) for unit in range(1, 8)), baudrate=115_200)
NARROW = bus(device(1, *((i, 500) for i in range(60)), max_registers=4))
LATE = bus(device(1, (0, 200)), device(2, *((address, 60_000) for address in range(120)), turnaround_ms=100))


def of_words(text: str) -> int:
    number, unit = text.split()
    return int(float(number) * MS[unit])


def with_longer(made: Bus, is_meant: Callable[[Device, int], bool], longer_ms: int) -> Bus:
    return replace(
        made,
        devices=tuple(
            replace(
                each,
                points=tuple(replace(p, period_ms=longer_ms) if is_meant(each, p.period_ms) else p for p in each.points),
            )
            for each in made.devices
        ),
    )


def carried_out(made: Bus, change: str) -> list[Bus]:
    """What a reader of the advice would make of the site file."""
    if found := re.fullmatch(r"raise `baudrate` from \d+ to (\d+), here and in every device of the bus", change):
        return [replace(made, link=replace(made.link, baudrate=int(found[1])))]
    if found := re.fullmatch(r'set the period of "(.+)" to (.+) where it is (.+)', change):
        id, longer_ms, period_ms = found[1], of_words(found[2]), of_words(found[3])
        return [with_longer(made, lambda each, own_ms: each.id == id and own_ms == period_ms, longer_ms)]
    if found := re.fullmatch(r"set every period of the bus to (.+) at least", change):
        longer_ms = of_words(found[1])
        return [with_longer(made, lambda _, own_ms: own_ms < longer_ms, longer_ms)]
    if found := re.fullmatch(r"move (.+) to a second bus", change):
        moved = re.findall(r'"([^"]+)"', found[1])
        return [
            replace(made, devices=tuple(each for each in made.devices if (each.id in moved) is is_moved))
            for is_moved in (True, False)
        ]
    found = re.fullmatch(r'if the manual of "(.+)" allows it, take (.+) out of its profile', change)
    assert found, change
    limits = {"max_registers": 125, "max_bits": 2000, "gaps": True}
    taken = {name: limits[name] for name in re.findall(r"`requests\.(\w+)`", found[2])}
    assert taken
    return [replace(made, devices=tuple(replace(each, **taken) if each.id == found[1] else each for each in made.devices))]


@pytest.mark.parametrize("lag_us", [0.0, 16_000.0])
@pytest.mark.parametrize("made", [FULL, SPLIT, NARROW, LATE], ids=["full", "split", "narrow", "late"])
def test_each_advice_carried_out_meets_every_period(made: Bus, lag_us: float) -> None:
    cost = cost_of(made, lag_us)
    if forecast(made, cost).is_met:
        assert (made, lag_us) == (SPLIT, 0.0)
        return
    found = advice(made, cost)
    assert found
    for each in found:
        shares = []
        for changed in carried_out(made, each.change):
            after = forecast(changed, cost_of(changed, lag_us))
            assert after.is_met, each.change
            shares.append(after.share)
        assert max(shares) == pytest.approx(each.share), each.change


def kinds(made: Bus) -> list[str]:
    return [each.change.split()[0] for each in advice(made, cost_of(made))]


def test_the_kinds_of_changes() -> None:
    assert kinds(FULL) == ["raise", "set", "move"]
    assert kinds(NARROW)[0] == "if"
    assert "raise" in kinds(LATE)


def test_a_speed_at_which_a_point_still_comes_late_is_not_advised() -> None:
    """At 19200 there is room enough, but a request of 120 registers still makes one late that is made every 200 ms."""
    made = bus(device(1, (0, 200)), device(2, *((address, 60_000) for address in range(120)), turnaround_ms=150))
    quicker = replace(made, link=replace(made.link, baudrate=19_200))
    after = forecast(quicker, cost_of(quicker))
    assert (after.share < 0.5, after.missed, after.is_met) == (True, 0, False)
    assert any("from 9600 to 38400" in each.change for each in advice(made, cost_of(made)))


def test_a_turnaround_that_was_measured_is_counted() -> None:
    measured = {each.id: 120.0 for each in FULL.devices}
    found = advice(FULL, cost_of(FULL), measured)
    assert not any(each.change.startswith("raise") for each in found)
    for each in found:
        assert all(forecast(changed, cost_of(changed), measured).is_met for changed in carried_out(FULL, each.change))


def test_the_problem_names_point_share_and_changes() -> None:
    cost = cost_of(FULL)
    found = forecast(FULL, cost)
    problem = overloaded(FULL, found, cost)
    assert problem.code == "BUS120"
    assert problem.what.startswith("It would need 126 % of its time to read every point at its period: d")
    assert problem.do.startswith("raise `baudrate` from 9600 to ")
    assert problem.detail.startswith("or: set the period of ") or problem.detail.startswith("or: set every period ")


@pytest.mark.parametrize(
    ("span_ms", "text"),
    [(0, "0 ms"), (200, "200 ms"), (1500, "1.5 s"), (60_000, "1 min"), (90_000, "1.5 min"), (33_417, "33.4 s"), (3_600_000, "1 h")],
)
def test_times_as_people_write_them(span_ms: int, text: str) -> None:
    assert spoken(span_ms) == text
