"""The whole agent against a broker and a collector: every reading exactly once, whatever dies."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.bus import BusRunner
from edge_agent.cli.main import build_app
from edge_agent.common.clock import SystemClock
from edge_agent.common.problem import Problem, ProblemError
from edge_agent.common.program import run
from edge_agent.contract.message import VERSION, Command
from edge_agent.contract.topics import Kind
from edge_agent.io.status_file import read_status
from edge_agent.model.lessons import Hole, Lessons, LessonsOf
from tests.support.broker import Broker
from tests.support.counting_instrument import Instrument
from tests.support.fake_collector import FakeCollector
from tests.support.ports import free_port, wait_until
from tests.support.running_agent import FixedKernel, Moved, RunningAgent, site, with_points


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@pytest.fixture
def agent(broker: Broker, tmp_path: Path) -> Iterator[RunningAgent]:
    running = RunningAgent(site(broker.port, "3.1.1"), tmp_path)
    yield running
    if hasattr(running, "thread") and running.thread.is_alive():
        running.stop()


def arrived(collector: FakeCollector) -> Counter[tuple[str, str, Any]]:
    return Counter((device, point, value) for device, point, _, value, _ in collector.rows())


def status_of(running: RunningAgent) -> dict[str, Any]:
    return read_status([running.folder / "run"]) or {}


def test_every_reading_arrives_once_and_the_end_is_clean(broker: Broker, agent: RunningAgent) -> None:
    with FakeCollector(broker.port) as collector:
        agent.start()
        wait_until(lambda: len(collector.rows()) > 50)
        wait_until(lambda: status_of(agent)["link"]["up"])
        agent.stop()
        wait_until(lambda: "offline" in collector.statuses)
        assert arrived(collector) == Counter(agent.given)
        kinds = [event.kind for event in collector.events()]
        assert {"agent.start", "agent.stop", "device.silent"} <= set(kinds)
        (totals,) = (event.about for event in collector.events() if event.kind == "agent.stop")
        assert totals["taken"] - totals["held_back"] >= len(agent.given), "what it measures of its links comes on top"
        assert max(collector.copies.values()) == 1
    assert not (agent.folder / "run" / "status.json").exists()
    assert not [t.name for t in threading.enumerate() if t.name in {"mqtt", "delivery", "outbox", "bus-tcp-1"}]


def test_nothing_is_lost_or_doubled_over_kills_of_the_broker_and_a_restart(broker: Broker, agent: RunningAgent) -> None:
    with FakeCollector(broker.port) as collector:
        agent.start()
        for seen in (20, 60):
            wait_until(lambda: len(collector.rows()) > seen)  # noqa: B023
            broker.kill()
            wait_until(lambda: not status_of(agent)["link"]["up"], what="link down")
            broker.start()
            wait_until(lambda: status_of(agent)["link"]["up"], 20, "link up")
        broker.kill()
        before = len(agent.given)
        wait_until(lambda: len(agent.given) > before + 20)
        agent.stop()
        broker.start()
        agent.start()
        wait_until(lambda: set(agent.given[: before + 20]) <= set(arrived(collector)), 30, "the backlog of the first run")
        agent.stop()
        # Values repeat after the restart: the second run counts from 1 again.
        assert arrived(collector) == Counter(agent.given)


class Lines(logging.Handler):
    """The agent's log: level, id and text of each line."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.said: list[tuple[str, str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append((record.levelname, getattr(record, "event_id", ""), record.getMessage()))


@pytest.fixture
def lines() -> Iterator[Lines]:
    log, lines = logging.getLogger("edge_agent"), Lines()
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(lines)
    yield lines
    log.removeHandler(lines)
    log.setLevel(level)


def test_a_damaged_outbox_is_a_warning_and_no_line_is_empty(broker: Broker, agent: RunningAgent, lines: Lines) -> None:
    (agent.folder / "state").mkdir()
    (agent.folder / "state" / "outbox.db").write_bytes(b"water" * 1000)
    agent.start()
    wait_until(lambda: any(id == "outbox.set-aside" for _, id, _ in lines.said))
    agent.stop()
    aside = "The outbox file was damaged; it was set aside as outbox.db.damaged-1."
    assert ("WARNING", "outbox.set-aside", aside) in lines.said
    assert {"agent.start", "agent.stop"} <= {id for _, id, _ in lines.said}
    assert all(text for _, _, text in lines.said)


def test_an_outbox_that_cannot_be_written_is_told_and_taken_up_later(broker: Broker, agent: RunningAgent, lines: Lines) -> None:
    obstacle = agent.folder / "state" / "outbox.db"
    obstacle.mkdir(parents=True)
    with FakeCollector(broker.port) as collector:
        agent.start()
        wait_until(lambda: len(collector.rows()) > 20)
        wait_until(lambda: status_of(agent)["delivery"]["disk"])
        (said,) = [text for _, id, text in lines.said if id == "RUN403"]
        assert "goes on from memory" in said
        assert "df -h" in said
        obstacle.rmdir()
        wait_until(lambda: not status_of(agent)["delivery"]["disk"], 20, "the file is taken up")
        agent.stop()
        wait_until(lambda: arrived(collector) == Counter(agent.given))
        assert [e.on for e in collector.events() if e.kind == "outbox.disk"] == [True, False]


def test_while_the_broker_is_away_log_and_status_say_when_it_is_tried_again(
    tmp_path: Path, lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = RunningAgent(site(free_port(), "3.1.1"), tmp_path).start()
    wait_until(lambda: (status_of(agent).get("link") or {}).get("next_try_s"))
    assert run(build_app(), ["status", "--runtime-dir", str(tmp_path / "run")]) == 1
    assert re.search(r"broker .*: not connected, (next try in \d+ s|trying now), 0 sessions", capsys.readouterr().out)
    agent.stop()
    (said,) = [text for _, id, text in lines.said if id == "NET302"]
    assert re.search(r"\(next try in \d+ s\)$", said)


def test_without_receipts_nothing_is_forgotten(broker: Broker, agent: RunningAgent) -> None:
    with FakeCollector(broker.port) as collector:
        collector.receipts = False
        agent.start()
        wait_until(lambda: len(collector.rows()) > 20)
        agent.stop()
        collector.messages.clear()
        agent.make = lambda *parts: Idle()
        collector.receipts = True
        agent.start()
        wait_until(lambda: arrived(collector) == Counter(agent.given), 20, "all of it again")
        wait_until(lambda: status_of(agent).get("delivery", {}).get("depth") == 0)


def test_readings_wait_for_the_time_and_the_collector_gives_it(broker: Broker, tmp_path: Path) -> None:
    agent = RunningAgent(site(broker.port, "3.1.1"), tmp_path, FixedKernel(within_ms=None))
    with FakeCollector(broker.port) as collector:
        collector.tell_time = False
        agent.start()
        wait_until(lambda: len(agent.given) > 40)
        assert collector.rows() == []
        assert status_of(agent)["clock"]["source"] == ""
        collector.tell_time = True
        wait_until(lambda: len(collector.rows()) > 40, 15, "readings after the time is known")
        wait_until(lambda: status_of(agent)["clock"]["source"] == "collector")
        agent.stop()
        assert arrived(collector) == Counter(agent.given)


def test_commands_are_answered(broker: Broker, agent: RunningAgent) -> None:
    with FakeCollector(broker.port) as collector:
        agent.start()
        wait_until(collector.rows)
        for id, name, until in (("1", "ping", None), ("2", "status", None), ("3", "explode", None), ("4", "ping", 1000)):
            collector.command("station-1", "gw-1", Command(VERSION, id, name, until=until))
        collector.raw("station-1", "gw-1", Kind.CMD, b"\x00not a command")
        wait_until(lambda: len(collector.replies) == 4)
        replies = {reply.id: reply for reply in collector.replies}
        assert [replies[id].ok for id in "1234"] == [True, True, False, False]
        assert replies["2"].result["site"] == "station-1"
        assert replies["2"].result["delivery.epoch"] == status_of(agent)["epoch"]


def test_reload_takes_the_new_points_and_keeps_the_last_good_file(broker: Broker, agent: RunningAgent) -> None:
    with FakeCollector(broker.port) as collector:
        agent.start()
        wait_until(collector.rows)
        agent.reload(ProblemError(Problem("CFG001", "site.yaml:1:1", "wrong", "mend it")))
        agent.reload(with_points(agent.loaded, ["a", "c"]))
        wait_until(lambda: any(point == "c" for _, point, *_ in collector.rows()), what="the new point")
        assert len(collector.births) == 2
        agent.stop()
        assert arrived(collector) == Counter(agent.given)


def test_a_second_agent_in_the_same_folder_is_refused(broker: Broker, agent: RunningAgent) -> None:
    agent.start()
    wait_until(lambda: status_of(agent))
    second = RunningAgent(agent.loaded, agent.folder).start()
    second.thread.join(10)
    with pytest.raises(ProblemError, match="RUN401"):
        second.stop()
    assert status_of(agent)["pid"] == os.getpid()


def test_systemd_hears_ready_status_watchdog_and_stopping(broker: Broker, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(tmp_path / "notify"))
        door.settimeout(10)
        agent = RunningAgent(site(broker.port, "3.1.1"), tmp_path, environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        agent.start()
        wait_until(lambda: status_of(agent))
        agent.stop()
        said = []
        while not said or said[-1] != "STOPPING=1":
            said.append(door.recv(4096).decode())
    assert sum("READY=1" in text for text in said) == 1
    assert "WATCHDOG=1" in said
    assert any(text.startswith("STATUS=link") for text in said)


def test_a_bus_that_stands_still_ends_the_watchdog(broker: Broker, tmp_path: Path) -> None:
    ended = threading.Event()

    class Dead:
        def run(self, stop: threading.Event) -> None:
            ended.set()

        def figures(self) -> Moved:
            return Moved(SystemClock().monotonic_ms())

        def remember(self, lessons: LessonsOf) -> None:
            """It learns nothing."""

        def lessons(self) -> LessonsOf:
            return {}

    agent = RunningAgent(site(broker.port, "3.1.1"), tmp_path, make=lambda *parts: Dead()).start()
    wait_until(lambda: status_of(agent).get("hanging") == ["tcp-1"])
    agent.stop()


def test_the_status_file_holds_no_secret_and_is_json(broker: Broker, agent: RunningAgent) -> None:
    agent.start()
    wait_until(lambda: status_of(agent).get("delivery"))
    body = json.loads((agent.folder / "run" / "status.json").read_text())
    assert body["schema"] == "status/1"
    assert {row["point"] for row in body["series"]} == {"a", "b"}
    assert (agent.folder / "state").stat().st_mode & 0o077 == 0


def test_registers_of_a_real_instrument_arrive_over_a_kill_of_the_broker(broker: Broker, tmp_path: Path) -> None:
    with Instrument() as instrument, FakeCollector(broker.port) as collector:
        agent = RunningAgent(
            site(broker.port, "3.1.1", instrument.port), tmp_path, make=lambda *parts: BusRunner(*parts, 1)
        ).start()
        wait_until(lambda: len(collector.rows()) > 20)
        broker.kill()
        asked = instrument.answered
        wait_until(lambda: instrument.answered > asked + 10)
        broker.start()
        wait_until(lambda: status_of(agent)["link"]["up"], 20)
        agent.stop()
        wait_until(lambda: len({at for *_, at, _, _ in collector.rows()}) >= instrument.answered - 1)
        # Register 0 counts the requests: each value once, none left out.
        values = sorted(value for _, name, _, value, _ in collector.rows() if name == "a")
        assert values == list(range(1, len(values) + 1))
        assert instrument.answered - len(values) <= 1  # the one under way at the end
        assert {value for _, name, _, value, _ in collector.rows() if name == "b"} == {7}


class Idle:
    """A bus with nothing to say."""

    def run(self, stop: threading.Event) -> None:
        stop.wait()

    def figures(self) -> Moved:
        return Moved(SystemClock().monotonic_ms())

    def remember(self, lessons: LessonsOf) -> None:
        """It learns nothing."""

    def lessons(self) -> LessonsOf:
        return {}


def test_what_a_bus_learned_is_given_to_the_next_run(broker: Broker, tmp_path: Path) -> None:
    known = {"meter": Lessons(holes=(Hole("holding", 5, 8),))}
    remembered: list[LessonsOf] = []

    class Learner(Idle):
        def remember(self, lessons: LessonsOf) -> None:
            remembered.append(lessons)

        def lessons(self) -> LessonsOf:
            return known

    agent = RunningAgent(site(broker.port, "3.1.1"), tmp_path, make=lambda *parts: Learner())
    for _ in range(2):
        agent.start()
        wait_until(lambda: status_of(agent).get("learned", {}).get("devices"))
        agent.stop()
    assert remembered == [known]
    file = tmp_path / "state" / "learned.json"
    file.write_bytes(file.read_bytes()[:-1])
    agent.start()
    wait_until(lambda: status_of(agent).get("learned") == {"devices": 1, "damaged": 1, "error": ""})
    assert agent.folder.joinpath("state", "learned.json.damaged-1").exists()
    agent.reload(agent.loaded)
    wait_until(lambda: remembered == [known, known])
    agent.stop()
