"""kill -9 of agent, broker and collector in the middle of traffic, again and again: every reading is accounted for.

What an agent had read and neither delivered nor written when it was killed is lost, and nothing else: it is no older than the
durability window and one exchange. `both`: the agent is killed while the collector is away and the outbox alone holds readings.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from collector.io.sqlite_log import SqliteLog
from examples.demo import readings
from tests.support.collector_program import CollectorProgram
from tests.support.mosquitto import Mosquitto
from tests.support.ports import listens, wait_until
from tests.support.programs import AgentProgram, Stations, addresses
from tests.support.programs_account import Series, Sum, Timed, may_be_unsent, served, settle

pytestmark = [pytest.mark.programs, pytest.mark.timeout(900)]

KILLS = (*("agent", "broker", "collector") * 2, "both")
WINDOW_MS, EXCHANGE_MS = 1000, 1000
"""As configured; the longest exchange is two requests of 500 ms."""
WRITE_MS = 500
"""For one write of the outbox on a disk with other work to do."""


@dataclass
class Line:
    """One station with everything that carries its readings."""

    site: str
    stations: Stations
    agent: AgentProgram
    collector: CollectorProgram
    kill_broker: Callable[[], None]
    agent_killed_ms: list[int] = field(default_factory=list)
    failed: int = 0
    """Exchanges that agents counted as failed."""

    def kill(self, victim: str) -> None:
        """kill -9, and up again."""
        if victim == "broker":
            self.kill_broker()
        elif victim == "collector":
            self.collector.kill()
            self.collector.start()
        elif victim == "agent":
            self.kill_agent()
        else:
            self.collector.kill()
            taken = self.agent.figure("taken")
            wait_until(lambda: self.agent.figure("taken") > taken + 150, 180, "readings that nobody takes")
            self.kill_agent()
            self.collector.start()

    def kill_agent(self) -> None:
        """kill -9, and up again."""
        self.agent.kill()
        self.agent_killed_ms.append(time.time_ns() // 1_000_000)
        self.failed += failed_exchanges(self.agent)
        self.agent.start()

    def live(self, readings: int) -> None:
        """Returns when the agent has taken so many more readings and the collector has stored something new."""
        taken, stored = self.agent.figure("taken"), self.stored()
        wait_until(lambda: self.agent.figure("taken") >= taken + readings and self.stored() > stored, 180, "traffic")

    def stored(self) -> int:
        status = self.collector.status()
        return status.stored if status is not None else 0


def failed_exchanges(agent: AgentProgram) -> int:
    buses = agent.status()["buses"].values()
    return sum(bus["timeouts"] + bus["crc_errors"] + bus["exceptions"] for bus in buses)


@contextmanager
def embedded(folder: Path) -> Iterator[Line]:
    """The collector's own broker, a station on a pty."""
    with CollectorProgram(folder) as collector, Stations(folder, ["shiquan"]) as stations:

        def kill_broker() -> None:
            before = collector.broker_pid()
            os.kill(before, signal.SIGKILL)
            wait_until(lambda: before not in collector.broker_pids() and listens(collector.broker_port), 120, "the broker again")

        with AgentProgram("shiquan", stations, collector.broker_port, folder, ["--trust-clock"], DELIVERY__WINDOW="1 s") as agent:
            yield Line("shiquan", stations, agent, collector, kill_broker)


@contextmanager
def foreign(folder: Path) -> Iterator[Line]:
    """Mosquitto, MQTT 5, a station behind a terminal server."""
    with Mosquitto(folder) as broker, Stations(folder, ["baihe"]) as stations:
        mqtt = f"{{host: 127.0.0.1, port: {broker.port}}}"
        settings = {"DELIVERY__WINDOW": "1 s", "MQTT__BROKERS__0__VERSION": '"5"'}
        with (
            CollectorProgram(folder, mqtt=mqtt) as collector,
            AgentProgram("baihe", stations, broker.port, folder, ["--trust-clock"], **settings) as agent,
        ):
            yield Line("baihe", stations, agent, collector, broker.restart)


def settled(line: Line) -> bool:
    status = line.collector.status()
    return status is not None and status.stored == status.log_last == status.judged > 0


@pytest.mark.parametrize(
    ("made", "seed"), [(embedded, 8), pytest.param(foreign, 11, marks=pytest.mark.mosquitto)], ids=["embedded", "mosquitto"]
)
def test_every_reading_is_accounted_for(made: Callable[[Path], AbstractContextManager[Line]], seed: int, tmp_path: Path) -> None:
    chance = Random(seed)
    order = chance.sample(KILLS, len(KILLS))
    began_ms = time.time_ns() // 1_000_000
    with made(tmp_path) as line:
        line.live(1)
        for victim in order:
            line.live(chance.randint(20, 120))
            line.kill(victim)
        line.live(100)
        assert line.agent.end() == 0, line.agent.output()
        wait_until(lambda: settled(line), 120, "the consumers are at the end of the log")
        assert line.stations.end() == 0
        assert line.collector.end() == 0, line.collector.output()
        state, site = line.collector.state, line.site
        in_log, said = readings.stopped(state / "log.sqlite")
        stored = {key[1:]: rows for key, rows in readings.stored(state / "store.sqlite", began_ms).items() if key[0] == site}
        environment = addresses(line.stations.ports[site])
        given, unsent = served(line.agent.file, environment, tmp_path), may_be_unsent(line.agent.file, environment)
    assert in_log == {(site, *series): len(rows) for series, rows in stored.items()}, "the log's readings and the store's"
    assert lanes_lost(state) == 0
    line.failed += int(said[site]["failed"])
    account(line, settle(stored, given, unsent), given, order)


def account(line: Line, total: Sum, given: dict[Series, list[Timed]], order: list[str]) -> None:
    """Judges and prints it."""
    last_ms = max(rows[-1][0] for rows in given.values())
    before_a_kill: dict[int, list[int]] = {killed_ms: [] for killed_ms in line.agent_killed_ms}
    astray: list[int] = []
    for at_ms in total.instants():
        killed = min((ms for ms in line.agent_killed_ms if ms >= at_ms - EXCHANGE_MS), default=0)  # a request outlives its agent
        if killed and killed - at_ms <= WINDOW_MS + EXCHANGE_MS + WRITE_MS:
            before_a_kill[killed].append(killed - at_ms)
        elif at_ms < last_ms - EXCHANGE_MS:
            astray.append(at_ms)
    print(f"killed in this order: {' '.join(order)}")
    print(f"served {total.served}, stored {total.arrived} of them, {total.without_value} readings without a value")
    for killed_ms, ages in before_a_kill.items():
        print(f"  agent killed at {killed_ms}: {len(ages)} exchanges lost, the oldest {max(ages, default=0)} ms old")
    print(f"  {len(astray)} exchanges failed otherwise; the agents counted {line.failed}")
    assert len(astray) <= line.failed, f"lost without a reason: {astray}"
    assert total.arrived > 1000
    assert total.served - total.arrived - total.unchanged == sum(map(len, total.lost.values()))


def lanes_lost(state: Path) -> int:
    """Batches that the collector knows to be lost: an agent that starts again never sends what it forgot."""
    log = SqliteLog(state / "log.sqlite")
    try:
        return sum(lane.lost for lane in log.lanes())
    finally:
        log.close()
