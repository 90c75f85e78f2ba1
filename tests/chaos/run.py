"""Does I/O: a whole run: lines side by side until enough was killed, rest, orderly end, account, report."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import witnesses
from tests.chaos.account import BatchName, Case, Receipted, Verdict, judge
from tests.chaos.instrument import now_ms
from tests.chaos.line import WINDOW_MS, Line
from tests.chaos.part import ChaosError
from tests.chaos.plan import Plan
from tests.chaos.proxy import Network
from tests.chaos.weather import Weather
from tests.support.programs import REPOSITORY

TICK_S = 0.02
ROUND_KILLS = 100
"""After so many a line comes to rest, and how long that takes is measured."""
REST_S = 300.0
"""A line that has not come to rest by then never will."""
ALLOWED_MS = 400
"""For an exchange to be taken in and one write of the outbox, on a machine that never stalls."""
ENOUGH = 0.8
"""Share of the readings that must be past their window."""


class Pulse:
    """Measures how far the machine stalls, so that what it owes to a loaded machine is not held against the product."""

    def __init__(self) -> None:
        self._stalls: list[tuple[int, int]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def allowance_ms(self, at_ms: int) -> int:
        """How long the way to the disk may have taken for what was under way at at_ms."""
        return ALLOWED_MS + 2 * sum(late_ms for when_ms, late_ms in self._stalls if at_ms - 4000 <= when_ms <= at_ms + 1000)

    def longest_ms(self) -> int:
        """The longest stall."""
        return max((late_ms for _, late_ms in self._stalls), default=0)

    def _run(self) -> None:
        while not self._over.is_set():
            began_s = time.monotonic()
            time.sleep(0.03)
            late_ms = int((time.monotonic() - began_s - 0.03) * 1000)
            if late_ms > 20:
                self._stalls.append((now_ms(), late_ms))


@dataclass
class Wish:
    """What is asked for. kills, seconds: of each line, whichever comes first (0: no bound)."""

    broker: str
    kills: int
    seconds: float
    seed: str
    restores: bool = True


@dataclass
class Outcome:
    """Of one line."""

    name: str
    broker: str
    kills: Counter[tuple[str, str]]
    faults: Counter[str]
    verdicts: dict[str, Verdict]
    rests_s: list[float]
    refused_starts: int
    twice: int
    swapped: int
    left_out: list[str] = field(default_factory=list)
    holes_unseen: int = 0
    """Batches that a restore lost and that `collector account` does not show as absent."""
    holes_unheard: int = 0
    """The same of the end of an agent's run that ended between backup and restore: nobody can tell the new log how far it went."""

    def total(self, name: str) -> int:
        """A figure or the length of a list, of all gateways."""
        values = (getattr(verdict, name) for verdict in self.verdicts.values())
        return sum(value if isinstance(value, int) else len(value) for value in values)


def run_line(number: int, wish: Wish, folder: Path, pulse: Pulse, stop: threading.Event) -> Outcome:
    """One line from its start to its account. Raises ChaosError."""
    name = f"line-{number}"
    plan = Plan(f"{wish.seed}/{name}")
    rests_s: list[float] = []
    with Network() as network, ExitStack() as stack:
        line = Line(name, wish.broker, folder / name, plan, network, stack)
        line.stop = stop
        line.start()
        _until(line, line.all_up, "everything is up")
        weather = Weather(line, plan)
        _wild(line, weather, wish, rests_s)
        _come_to_rest(line, weather, rests_s, is_last=True)
        _end_in_order(line)
        return _account(line, weather, rests_s, pulse)


def _wild(line: Line, weather: Weather, wish: Wish, rests_s: list[float]) -> None:
    began_s = time.monotonic()
    next_kill_s, round_ends = began_s, ROUND_KILLS
    line.is_wild = True
    while not line.stop.is_set():
        killed, now_s = line.kills.total(), time.monotonic()
        if (wish.kills and killed >= wish.kills) or (wish.seconds and now_s - began_s >= wish.seconds):
            return
        if killed >= round_ends:
            round_ends += ROUND_KILLS
            _come_to_rest(line, weather, rests_s, is_last=False)
            print(f"{line.name}: {line.kills.total()} kills, came to rest in {rests_s[-1]:.1f} s", flush=True)
            line.is_wild = True
        line.tend()
        weather.turn()
        targets = line.targets() if now_s >= next_kill_s else []
        if targets:
            line.strike(line.plan.victim(targets))
            next_kill_s = now_s + line.plan.gap_s()
        time.sleep(TICK_S)


def _come_to_rest(line: Line, weather: Weather, rests_s: list[float], *, is_last: bool) -> None:
    """Every fault passes, nobody is killed; how long the line takes until it has caught up."""
    line.is_wild = False
    for part in line.parts:
        part.aim.set(None) if part.armed_s is not None and part.aim.death() is None else None
    _until(line, lambda: weather.settle(time.monotonic()), "every fault has passed")
    for proxy in line.proxies.values():
        proxy.heal()
    began_s = time.monotonic()
    _until(line, line.is_caught_up, "the line catches up")
    if is_last:
        for instrument in line.instruments.values():
            instrument.silent = True
        _until(line, line.is_drained, "the line is drained")
        for instrument in line.instruments.values():
            instrument.away = True
    rests_s.append(time.monotonic() - began_s)


def _until(line: Line, condition: object, what: str) -> None:
    deadline_s = time.monotonic() + REST_S
    while not condition():  # type: ignore[operator]
        line.tend()
        if line.stop.is_set():
            raise ChaosError(f"{line.name}: ended before its time")
        if time.monotonic() > deadline_s:
            raise ChaosError(f"{line.name}: {what}: not within {REST_S:.0f} s")
        time.sleep(TICK_S)


def _end_in_order(line: Line) -> None:
    for agent in line.agents:
        _ended(line, agent.name, agent.end())
    _until_stored(line)
    _ended(line, "collector", line.collector.end())


def _until_stored(line: Line) -> None:
    deadline_s = time.monotonic() + REST_S
    while not ((said := line.collector.status()) and said["stored"] == said["judged"] == said["log_last"]):
        if time.monotonic() > deadline_s:
            raise ChaosError(f"{line.name}: the consumers do not come to the end of the log")
        time.sleep(0.1)


def _ended(line: Line, name: str, code: int) -> None:
    if code != 0:
        raise ChaosError(f"{line.name}/{name}: an orderly end gave code {code}")


def _account(line: Line, weather: Weather, rests_s: list[float], pulse: Pulse) -> Outcome:
    stored = witnesses.stored(line.collector.state)
    _, places, kept = witnesses.logged(line.collector.state)
    thrown: dict[str, dict[witnesses.Place, BatchName]] = {}
    for folder in weather.restores.thrown_away:
        log_id, there, _ = witnesses.logged(folder)
        for gateway, readings in there.items():
            receipted = line.receipted.get((gateway, log_id), Receipted())
            for place, entry in readings.items():
                places.setdefault(gateway, {}).setdefault(place, entry)
                if receipted.covers(entry.batch) and (gateway, entry.batch) not in kept:
                    thrown.setdefault(gateway, {})[place] = entry.batch
    verdicts, unseen, unheard = {}, 0, 0
    holes = witnesses.holes(line.config)
    for agent in line.agents:
        gateway = agent.name.removeprefix("agent-")
        allowance = {life.ended_ms: pulse.allowance_ms(life.ended_ms) for life in agent.lives}
        journal, there, gone = line.instruments[gateway].journal, places.get(gateway, {}), thrown.get(gateway, {})
        unsure = weather.unsure.get(agent.name, [])
        verdict = judge(Case(journal, agent.lives, WINDOW_MS, allowance, stored.get(gateway, {}), there, unsure, gone))
        verdicts[gateway] = verdict
        tops: dict[tuple[str, str], int] = {}
        for of, name in kept:
            if of == gateway:
                tops[name[:2]] = max(tops.get(name[:2], 0), name[2])
        hidden = [name for name in verdict.batches_thrown_away if not holes.covers(gateway, name)]
        unheard += (beyond := sum(name[2] > tops.get(name[:2], 0) for name in hidden))
        unseen += len(hidden) - beyond
    proxies = line.proxies.values()
    left_out = [] if all(disk.is_real for disk in line.disks.values()) else ["full disks (no right to mount)"]
    if line.broker_kind == "embedded":
        left_out.append("faults between broker and collector (the embedded broker is the collector's own child)")
    faults = weather.counts + Counter({"restore from an older backup": len(weather.restores.thrown_away)})
    return Outcome(
        line.name, line.broker_kind, line.kills, faults, verdicts, rests_s, line.refused_starts,
        sum(proxy.done.twice for proxy in proxies), sum(proxy.done.swapped for proxy in proxies), left_out, unseen, unheard,
    )  # fmt: skip


def commit() -> str:
    """The commit that was run, `+` where files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False).stdout.strip()

    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+" if git("status", "--porcelain") else "")
