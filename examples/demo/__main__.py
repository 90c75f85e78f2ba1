"""Does I/O: the demo - two simulated stations, their agents, and a collector, as real programs; `make demo` starts it.

python -m examples.demo [--seconds 90] [--check] [--dir .demo]
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from examples.demo import readings
from examples.demo.account import Key, check_readings, check_warnings
from examples.demo.programs import HERE, REPOSITORY, DemoFailed, Program, free_port, read_json, wait_for

SITES = ("shiquan", "baihe")
LINE_S = 5.0
SHOWN = 6
"""Warnings in a live line."""
APART_MS = 10_000
"""The record ends so long before the agents begin: a first stamp may lag by what the clock's bound allows."""
SHORTEST_CHECK_S = 85
"""The script of faults ends before that."""


def say(text: str) -> None:
    """One line for the person."""
    print(text, flush=True)


class Demo:
    """Everything the demo runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs: list[Program] = []
        self.broker_port, self.page_port = free_port(), free_port()
        self.began_ms = 0
        """Before it lies the record, behind it what the agents read; ms UTC."""
        self.environments: dict[str, dict[str, str]] = {}

    @property
    def page(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.page_port}"

    def start(self) -> None:
        """Starts everything in order; returns when the agents read. Raises DemoFailed."""
        collector = {
            "COLLECTOR_STATE_DIRECTORY": str(self.folder / "collector"),
            "COLLECTOR_MQTT__EMBEDDED__PORT": str(self.broker_port),
            "COLLECTOR_WEB__PORT": str(self.page_port),
        }
        config = ["--config", str(HERE / "collector.yaml")]
        say("Starting the collector ...")
        running = self._program("collector", ["collector", "run", *config], collector)
        wait_for("the collector", lambda: self.ask("/readyz"), [running])
        say("Loading three days of a real station's record (GECCO 2018, TH Köln / Thüringer Fernwasserversorgung) ...")
        record = [str(HERE / "record" / "three-days.csv.gz"), "--map", str(HERE / "record" / "mapping.yaml")]
        self.began_ms = time.time_ns() // 1_000_000 - APART_MS
        end = datetime.fromtimestamp(self.began_ms / 1000, UTC).isoformat()
        replay = ["collector", "replay", *record, "--site", "shiquan", "--gateway", "gw-1", "--end-at", end, *config]
        loading = self._program("replay", replay, collector)
        wait_for("the replay", lambda: not loading.alive, [running])
        if loading.end() != 0:
            raise DemoFailed(f"the replay failed:\n{loading.tail()}")
        self._start_stations()
        for site in SITES:
            self._start_agent(site)
        agents = self.programs[-len(SITES) :]
        for site in SITES:
            wait_for(f"readings of {site}", partial(self._reads, site), agents)
        self._stations.tell("go")

    def _start_stations(self) -> None:
        script = str(HERE / "stations.yaml")
        options = ["--run-dir", str(self.folder), "--broker", f"127.0.0.1:{self.broker_port}", "--hold"]
        self._stations = self._program("stations", ["examples.station_sim", script, *options], {})
        ports = wait_for("the stations", lambda: read_json(self.folder / "ports.json"), [self._stations])
        for site in SITES:
            serial = ("PORT", ports[site]["pty"]) if site == "shiquan" else ("URL", f"rfc2217://127.0.0.1:{ports[site]['rfc2217']}")
            self.environments[site] = {
                "EDGE_AGENT_MQTT__BROKERS__0__PORT": str(ports[site]["broker"]),
                "EDGE_AGENT_BUSES__0__TCP__PORT": str(ports[site]["panel"]),
                f"EDGE_AGENT_BUSES__1__SERIAL__{serial[0]}": str(serial[1]),
            }

    def _start_agent(self, site: str) -> None:
        place = ["--state-dir", str(self.folder / site / "state"), "--runtime-dir", str(self.folder / site / "run")]
        file = str(HERE / "sites" / f"{site}.yaml")
        self._program(f"agent-{site}", ["edge_agent", "run", file, *place], self.environments[site])

    def _program(self, name: str, arguments: list[str], environment: dict[str, str]) -> Program:
        program = Program(name, arguments, self.folder, environment)
        self.programs.append(program)
        return program

    def ask(self, path: str) -> Any:
        """JSON of the collector's REST interface; None while it does not answer."""
        try:
            with urllib.request.urlopen(self.page + path, timeout=5) as reply:
                return json.load(reply)
        except (urllib.error.URLError, OSError, ValueError):
            return None

    def status(self, site: str) -> dict[str, Any]:
        """What the agent of a site says of itself; empty while it says nothing."""
        return read_json(self.folder / site / "run" / "status.json") or {}

    def _reads(self, site: str) -> bool:
        return int(self.status(site).get("delivery", {}).get("delivered", 0)) > 0

    def warnings(self) -> list[dict[str, Any]]:
        """Every warning, the newest first."""
        answer = self.ask("/api/v1/warnings?limit=500")
        return list(answer["warnings"]) if answer else []

    def line(self) -> str:
        """The live line."""
        delivery = [self.status(site).get("delivery", {}) for site in SITES]
        read, delivered, depth = (sum(int(d.get(name, 0)) for d in delivery) for name in ("taken", "delivered", "depth"))
        live = [w for w in self.warnings() if w["state"] not in ("past", "closed")]
        shown = ", ".join(f"{w['site']} {w['rule']} ({w['level']}{', over' if w['over'] else ''})" for w in reversed(live[:SHOWN]))
        shown += f" and {len(live) - SHOWN} more" if len(live) > SHOWN else ""
        clock = datetime.now(UTC).strftime("%H:%M:%S")
        log = read_json(self.folder / "collector" / "status.json") or {}
        stored = f"stored {log.get('stored', 0)} of {log.get('log_last', 0)} batches"
        return f"{clock}  read {read:6d}  delivered {delivered:6d}  {stored}  outbox {depth:3d}  warnings: {shown or 'none'}"

    def live(self, seconds: float | None, stop: threading.Event) -> None:
        """Prints until the time is over, or somebody ends it. Raises DemoFailed when a program ends by itself."""
        until = time.monotonic() + seconds if seconds else None
        while not stop.wait(LINE_S if until is None else max(0.0, min(LINE_S, until - time.monotonic()))):
            say(self.line())
            for program in self.programs:
                if not program.alive and program.name != "replay":
                    raise DemoFailed(f"{program.name} ended by itself:\n{program.tail()}")
            if until is not None and time.monotonic() >= until:
                return

    def end_agents(self) -> None:
        """Agents first: they deliver what they hold. Then what remains of the stations."""
        for program in reversed(self.programs):
            if program.name.startswith("agent-"):
                code = program.end()
                if code != 0:
                    raise DemoFailed(f"{program.name} ended with {code}:\n{program.tail()}")
        self._stations.end()

    def end(self) -> None:
        """Ends whatever still runs."""
        for program in reversed(self.programs):
            program.end()


def told(demo: Demo) -> tuple[dict[Key, int], dict[str, Mapping[str, Any]], dict[Key, list[tuple[int, Any]]]]:
    """Readings in the log by series, what each agent said at its end, readings in the store; says the sums of each site."""
    in_log, said = readings.stopped(demo.folder / "collector" / "log.sqlite")
    stored = readings.stored(demo.folder / "collector" / "store.sqlite", demo.began_ms)
    for site in SITES:
        taken, held_back, logged = sums_of(site, in_log, said)
        in_store = sum(len(r) for k, r in stored.items() if k[0] == site)
        of_all = "an unknown number of" if taken is None else taken
        say(f"{site}: {of_all} readings taken, {held_back} of them unchanged and not sent, {logged} in the log, {in_store} stored")
    return in_log, said, stored


def sums_of(site: str, in_log: Mapping[Key, int], said: Mapping[str, Mapping[str, Any]]) -> tuple[int | None, int, int]:
    """Readings that the agent of a site took (None: it never said), those of them that it did not send, and those in the log."""
    totals = said.get(site, {})
    return totals.get("taken"), totals.get("held_back", 0), sum(count for key, count in in_log.items() if key[0] == site)


def check(demo: Demo, warnings: list[dict[str, Any]]) -> list[str]:
    """Everything that is not as it must be, after every program has ended."""
    in_log, said, stored = told(demo)
    served, unsent = dict[Key, list[Any]](), dict[Key, int]()
    for site in SITES:
        file, environment = HERE / "sites" / f"{site}.yaml", demo.environments[site]
        served |= readings.served(file, environment, demo.folder)
        unsent |= dict.fromkeys(readings.held_back(file, environment), sums_of(site, in_log, said)[1])
    failed = {site: int(said.get(site, {}).get("failed", 0)) for site in SITES}
    account = check_readings(in_log, stored, served, failed, unsent)
    for site in SITES:
        taken, held_back, logged = sums_of(site, in_log, said)
        if taken is None or taken - held_back != logged:
            account.errors.append(f"{site}: {taken} taken, {held_back} of them not sent, {logged} in the log")
    expected = yaml.safe_load((HERE / "expected.yaml").read_text(encoding="utf-8"))
    return account.errors + check_warnings([*expected["live"], *expected["past"]], warnings)


def run(arguments: argparse.Namespace, stop: threading.Event) -> int:
    """The whole demo. Gives the exit code."""
    folder = arguments.dir
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    demo = Demo(folder)
    began = time.monotonic()
    try:
        demo.start()
        say(f"Everything runs after {time.monotonic() - began:.0f} s. Open the page: {demo.page}    (Ctrl-C ends the demo)")
        demo.live(arguments.seconds, stop)
        say("Ending: agents deliver what they hold ...")
        demo.end_agents()
        wait_for("the last readings in the store", lambda: settled(demo), seconds=20)
        warnings = demo.warnings()
        demo.end()
        if not arguments.check:
            told(demo)
            return 0
        errors = check(demo, warnings)
    except DemoFailed as failed:
        say(f"The demo failed: {failed}")
        return 1
    finally:
        demo.end()
    for error in errors:
        say(f"  {error}")
    say(
        "Every reading taken was stored exactly once, and exactly the expected warnings came and went."
        if not errors
        else "NOT as it must be."
    )
    return 1 if errors else 0


def settled(demo: Demo) -> bool:
    """True when the collector has written and judged everything its log holds."""
    status = read_json(demo.folder / "collector" / "status.json") or {}
    return bool(status.get("log_last", -1) == status.get("stored") == status.get("judged"))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="make demo", description="Two simulated water stations and the whole line.")
    parser.add_argument("--seconds", type=float, help="end after so many seconds; default: when Ctrl-C is pressed")
    parser.add_argument("--check", action="store_true", help="exit with 1 unless every reading and every warning is as it must be")
    parser.add_argument("--dir", type=Path, default=REPOSITORY / ".demo", help="where the programs keep their state and logs")
    arguments = parser.parse_args()
    if arguments.check and (arguments.seconds or 0) < SHORTEST_CHECK_S:
        parser.error(f"--check needs --seconds {SHORTEST_CHECK_S} or more: the script of faults takes that long")
    stop = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stop.set())
    sys.exit(run(arguments, stop))


if __name__ == "__main__":
    main()
