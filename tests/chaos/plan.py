"""Pure. What chaos does next, from its seed: gaps between kills, whom they hit, where they aim, which faults come, for how long.

Every choice has a source of chance of its own, so that the machine's speed changes when things happen but not what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.chaos.controls import Aim

AIMS = {
    "agent": (("", 6), ("outbox.commit.before", 3), ("outbox.commit.after", 3), ("start.", 2)),
    "collector": (
        ("", 12), ("log.", 6), ("log.commit.before", 2), ("log.commit.after", 2), ("log.spill.", 2), ("log.trim.", 2),
        ("operations.", 4), ("operations.commit.before", 2), ("operations.commit.after", 2), ("store.commit.before", 2),
        ("store.commit.after", 2),
    ),
}  # fmt: skip
"""Hazards by kind of program, and the passes among which the fatal one is drawn. Empty: any hazard, also those that come to be."""
AIMED = 0.62
"""Share of aimed kills among those of agents and collectors; brokers have no commit points. Together it makes half of all."""
AIMED_BEHIND = 0.9
"""The same while fewer than half were aimed: an aim whose hazard does not come in time becomes a kill anywhere."""
AT_START = 0.2
"""Share of the aimed ones that are in force already when the program starts."""
LATER_US = 4000
"""Half of the aimed kills come up to so much later: inside of the commit."""
STEPS_MS = (-3000, 2500, -700, 3_600_000, -3_600_000, 2 * 86_400_000, -400 * 86_400_000, -20 * 365 * 86_400_000)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what, for how long, and a number that says where and how much."""

    name: str
    lasts_s: float
    where: float
    how_much: float


class Plan:
    """Of one line."""

    def __init__(self, seed: str) -> None:
        def chance(what: str) -> Random:
            return Random(f"{seed}/{what}")

        self.proxies = chance("proxies")
        self._gaps, self._victims, self._aims, self._lives = chance("gaps"), chance("victims"), chance("aims"), chance("lives")
        self._network, self._disks, self._clocks = chance("network"), chance("disks"), chance("clocks")
        self._restores = chance("restores")

    def gap_s(self) -> float:
        """Until the next kill, if anybody may be hit then."""
        return self._gaps.uniform(0.2, 0.9)

    def life_s(self, kind: str) -> float:
        """How long a program lives at least once it is up. Agents long enough for most readings to pass their window."""
        low, high = {"agent": (8.0, 14.0), "broker": (12.0, 40.0), "collector": (0.1, 2.0)}[kind]
        return self._lives.uniform(low, high)

    def victim(self, names: Sequence[str]) -> str:
        """One of those that may be hit."""
        return names[int(self._victims.random() * len(names))]

    def aim(self, kind: str, behind: float = 0.0) -> Aim | None:
        """Where to hit; None: now, wherever it stands. behind: so many kills too few were aimed so far."""
        is_aimed, where, passes, later = (self._aims.random() for _ in range(4))
        if kind not in AIMS or is_aimed >= (AIMED if behind <= 0 else AIMED_BEHIND):
            return None
        hazard, most = AIMS[kind][int(where * len(AIMS[kind]))]
        return Aim(hazard, 1 + int(passes * most), int((2 * later - 1) * LATER_US) if later > 0.5 else 0)

    def aim_at_start(self, kind: str) -> Aim | None:
        """The same for a program that is about to start."""
        is_so = self._aims.random() < AT_START
        aim = self.aim(kind)
        return aim if is_so else None

    def aim_of_command(self) -> Aim | None:
        """For a backup or a restore: three in ten die at one of their steps."""
        is_aimed, passes = self._restores.random() < 0.3, self._restores.randint(1, 8)
        return Aim("", passes) if is_aimed else None

    def network(self) -> tuple[float, Fault]:
        """The next fault of a connection and the pause before it."""
        chance = self._network
        name = chance.choice(
            ("cut", "cut", "strand", "freeze", "delay", "delay", "twice", "twice", "swapped", "swapped", "instrument")
        )
        most_s = {"freeze": 4.0, "instrument": 1.5}.get(name, 6.0)
        return chance.uniform(0.5, 4.0), Fault(name, chance.uniform(0.3, most_s), chance.random(), chance.random())

    def disk(self) -> tuple[float, Fault]:
        """The next full disk and the pause before it."""
        chance = self._disks
        return chance.uniform(8.0, 30.0), Fault("full", chance.uniform(1.0, 6.0), chance.random(), chance.random())

    def clock(self) -> tuple[float, Fault]:
        """The next trouble with a clock and the pause before it; how_much picks the step."""
        chance = self._clocks
        return chance.uniform(4.0, 15.0), Fault("clock", chance.uniform(1.0, 10.0), chance.random(), chance.random())

    def restore(self) -> tuple[float, float]:
        """Pause until a backup is made, and until it is put back."""
        return self._restores.uniform(15.0, 50.0), self._restores.uniform(1.0, 9.0)


def step_ms(fault: Fault) -> int:
    """How far the clock goes wrong."""
    return STEPS_MS[int(fault.how_much * len(STEPS_MS))]
