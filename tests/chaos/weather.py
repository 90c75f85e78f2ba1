"""Does I/O: the faults of a line that are no kills: connections, disks and clocks (restores stand in restores.py)."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable

from tests.chaos.instrument import now_ms
from tests.chaos.line import Line
from tests.chaos.part import NTP_MS, Part
from tests.chaos.plan import Fault, Plan, step_ms
from tests.chaos.proxy import TO_BROKER, TO_CLIENT
from tests.chaos.restores import Restores

GRACE_S = 2.0
"""Between losing NTP and a clock that goes wrong, and between a clock put right and NTP: a program reads one after the other."""
SETTLED_MS = 5000
"""After NTP is back, until nothing rests on another source any more."""
DELAY_S = 1.5


class Weather:
    """Draws faults from the plan and lets each pass."""

    def __init__(self, line: Line, plan: Plan) -> None:
        self.line = line
        self.counts: Counter[str] = Counter()
        self.unsure: dict[str, list[tuple[int, int]]] = {}
        """By agent: when it may have had the time from the collector."""
        self._plan = plan
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._wrong_clocks: set[str] = set()
        self.restores = Restores(line, plan)
        self._draws = [(plan.network, self._network), (plan.disk, self._disk), (plan.clock, self._clock)]
        now_s = time.monotonic()
        self._next = [(now_s + pause_s, fault) for pause_s, fault in (draw() for draw, _ in self._draws)]

    def turn(self) -> None:
        """What is due begins or ends."""
        now_s = time.monotonic()
        self.pass_on(now_s)
        for n, (draw, begin) in enumerate(self._draws):
            at_s, fault = self._next[n]
            if now_s >= at_s:
                begin(fault)
                pause_s, following = draw()
                self._next[n] = (now_s + pause_s, following)
        self.restores.turn(now_s)

    def pass_on(self, now_s: float) -> bool:
        """Ends what is due to end; True when nothing is left."""
        while self._later and self._later[0][0] <= now_s:
            heapq.heappop(self._later)[2]()
        return not self._later

    def settle(self, now_s: float) -> bool:
        """The same, and what has begun of a restore; begins nothing."""
        if self.restores.is_under_way:
            self.restores.turn(now_s)
        return self.pass_on(now_s) and not self.restores.is_under_way

    def _in(self, seconds: float, do: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._later, (time.monotonic() + seconds, self._number, do))

    # --- connections -------------------------------------------------------------------------------------------------

    def _network(self, fault: Fault) -> None:
        names = sorted(self.line.proxies)
        proxy = self.line.proxies[names[int(fault.where * len(names))]]
        way = TO_BROKER if fault.how_much < 0.5 else TO_CLIENT
        if fault.name in ("twice", "swapped") and "collector" in names and fault.where < 0.6:
            proxy, way = self.line.proxies["collector"], TO_CLIENT  # where most messages pass, and no topic alias forbids it
        self.counts[fault.name] += 1
        match fault.name:
            case "cut":
                proxy.cut()
            case "strand":
                proxy.strand()
            case "freeze":
                proxy.freeze(on=True)
                self._in(fault.lasts_s, lambda: proxy.freeze(on=False))
            case "delay":
                proxy.faults.delay_s[way] = DELAY_S * fault.how_much
                self._in(fault.lasts_s, lambda: proxy.faults.delay_s.__setitem__(way, 0.0))
            case "twice" | "swapped":
                shares = getattr(proxy.faults, fault.name)
                shares[way] = 0.2 + 0.3 * fault.how_much
                self._in(fault.lasts_s, lambda: shares.__setitem__(way, 0.0))
            case "instrument":
                gateways = sorted(self.line.instruments)
                instrument = self.line.instruments[gateways[int(fault.where * len(gateways))]]
                instrument.away = True
                self._in(fault.lasts_s, lambda: setattr(instrument, "away", False))

    # --- disks -------------------------------------------------------------------------------------------------------

    def _disk(self, fault: Fault) -> None:
        names = sorted(self.line.disks)
        name = names[int(fault.where * len(names))]
        disk = self.line.disks[name]
        if not disk.is_real or disk.is_full or (name == "collector" and self.restores.is_under_way):
            return
        part = self._part(name)
        part.may_fail = True
        self.line.full_ms[name] = (now_ms(), 0)
        disk.fill()
        self.counts[f"full disk of {part.kind}"] += 1

        def free() -> None:
            disk.free()
            self.line.full_ms[name] = (self.line.full_ms[name][0], now_ms())

        self._in(fault.lasts_s, free)

    def _part(self, name: str) -> Part:
        return next(part for part in self.line.parts if part.name == name)

    # --- clocks ------------------------------------------------------------------------------------------------------

    def _clock(self, fault: Fault) -> None:
        """Never a wrong clock of the collector while an agent without NTP may ask it for the time: that would be a true answer."""
        if fault.where < 0.3:
            if not self._wrong_clocks:
                self._wrong_clock_of(self.line.collector, fault)
            return
        agent = self.line.agents[int((fault.where - 0.3) / 0.7 * len(self.line.agents))]
        if not self._wrong_clocks & {agent.name, "collector"}:
            self._lost_clock_of(agent, fault)

    def _wrong_clock_of(self, part: Part, fault: Fault) -> None:
        self.counts["clock step of collector"] += 1
        self._wrong_clocks.add(part.name)
        part.clock.offset_ms = step_ms(fault)

        def right() -> None:
            part.clock.offset_ms = 0
            self._in(GRACE_S, lambda: self._wrong_clocks.discard(part.name))

        self._in(fault.lasts_s, right)

    def _lost_clock_of(self, part: Part, fault: Fault) -> None:
        """NTP is gone, the clock goes wrong, it is put right, NTP is back."""
        self.counts["clock step of agent"] += 1
        self._wrong_clocks.add(part.name)
        part.clock.ntp_bound_ms = None
        lost_ms = now_ms()

        def back() -> None:
            part.clock.ntp_bound_ms = NTP_MS
            self.unsure.setdefault(part.name, []).append((lost_ms, now_ms() + SETTLED_MS))
            self._wrong_clocks.discard(part.name)

        self._in(GRACE_S, lambda: setattr(part.clock, "offset_ms", step_ms(fault)))
        self._in(GRACE_S + fault.lasts_s, lambda: setattr(part.clock, "offset_ms", 0))
        self._in(2 * GRACE_S + fault.lasts_s, back)
