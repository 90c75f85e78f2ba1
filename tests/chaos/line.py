"""Does I/O: one line - a broker, a collector, agents with an instrument each, proxies between them - and what is done to it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from edge_agent.contract.encoding import Malformed, decode_receipt
from tests.chaos.account import Receipted
from tests.chaos.disk import SmallDisk
from tests.chaos.instrument import Instrument
from tests.chaos.part import AgentPart, BrokerPart, ChaosError, CollectorPart, Part, wait_dead
from tests.chaos.plan import Plan
from tests.chaos.proxy import Network, Proxy
from tests.support.mosquitto import mosquitto_program
from tests.support.ports import free_port, listens

AGENTS = 3
WINDOW_MS = 1000
HOLD_MS = (100, 1000, 1000)
"""How long a receipt may be held back, by agent: with the first little is ever written, with the others nearly everything."""
AGENT_DISK_BYTES, COLLECTOR_DISK_BYTES = 8 << 20, 256 << 20
ARMED_S = 6.0
"""So long an aim may wait for its hazard; then it is a plain kill."""
POINTS_OF_DEVICE = 4
PROFILE = {
    "profile": 1, "maker": "chaos", "model": "counter", "title": {"zh": "计数器", "en": "counter"}, "source": ["tests/chaos"],
    "verified": True, "protocol": "modbus", "period": "250 ms", "requests": {"timeout": "10 s"},
    "points": [
        {"id": f"p{n}", "name": {"zh": f"{n}", "en": f"{n}"}, "table": "holding", "address": 2 * n, "type": "u32",
         **({"lane": "u"} if n == 3 else {})}
        for n in range(POINTS_OF_DEVICE)
    ],
}  # fmt: skip


class Line:
    """Everything of one line, running. `kills` counts by kind of program and aim."""

    def __init__(self, name: str, broker: str, folder: Path, plan: Plan, network: Network, stack: ExitStack) -> None:
        self.name, self.broker_kind, self.folder, self.plan = name, broker, folder, plan
        folder.mkdir(parents=True)
        self.kills: Counter[tuple[str, str]] = Counter()
        self.refused_starts = 0
        self.receipted: dict[tuple[str, str], Receipted] = {}
        """By gateway and log id."""
        self.held: set[str] = set()
        """Parts that are not started again for now."""
        self.trouble: list[str] = []
        """Found on another thread."""
        self._stack, self._network = stack, network
        self.disks: dict[str, SmallDisk] = {}
        self.full_ms: dict[str, tuple[int, int]] = {}
        """By part: when its disk was full last, from - to (0: still)."""
        self.broker_port = free_port()
        self._restart_s: dict[str, float] = {}
        self._make_collector()
        self.broker = self._make_broker()
        self.instruments: dict[str, Instrument] = {}
        self.agents = [self._make_agent(n) for n in range(AGENTS)]
        self.parts: list[Part] = [*([self.broker] if self.broker else []), self.collector, *self.agents]
        self._broker_life_s = 0.0
        self._broker_since_s = time.monotonic()

    def start(self) -> None:
        """Starts all; returns at once."""
        for proxy in self.proxies.values():
            proxy.start()
        for part in self.parts:
            part.rest_s = self.plan.life_s(part.kind)
            part.start()
            self._stack.callback(_over, part)

    # --- making ------------------------------------------------------------------------------------------------------

    def _disk(self, name: str, size_bytes: int) -> Path:
        disk = SmallDisk(self.folder / f"{name}.disk", size_bytes)
        self.disks[name] = disk
        self._stack.callback(disk.end)
        return disk.folder / "state"

    def _make_broker(self) -> BrokerPart | None:
        if self.broker_kind != "mosquitto":
            return None
        file = self.folder / "mosquitto.conf"
        file.write_text(f"listener {self.broker_port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        command = [mosquitto_program(), "-c", str(file)]
        return BrokerPart("broker", command, self.folder, python=False, port=self.broker_port)

    def _make_collector(self) -> None:
        state = self._disk("collector", COLLECTOR_DISK_BYTES)
        self.proxies: dict[str, Proxy] = {}
        mqtt = f"{{embedded: {{port: {self.broker_port}}}}}"
        if self.broker_kind == "mosquitto":
            proxy = self.proxies["collector"] = Proxy(self._network, self.broker_port, self.plan.proxies)
            mqtt = f"{{host: 127.0.0.1, port: {proxy.port}}}"
        self.config = self.folder / "collector.yaml"
        self.config.write_text(
            f"state_directory: {state}\nmqtt: {mqtt}\nweb: {{port: {free_port()}}}\nlog: {{retention_days: 1}}\n"
        )
        (self.folder / "county.yaml").write_text("")
        command = ["collector", "run", "--config", str(self.config)]
        self.collector = CollectorPart("collector", command, self.folder, state=state)

    def _make_agent(self, n: int) -> AgentPart:
        gateway = f"gw-{n + 1}"
        name = f"agent-{gateway}"
        instrument = self._stack.enter_context(Instrument())
        self.instruments[gateway] = instrument
        proxy = self.proxies[name] = Proxy(self._network, self.broker_port, self.plan.proxies, self._hears(gateway))
        state, runtime = self._disk(name, AGENT_DISK_BYTES), self.folder / f"{name}.run"
        profiles = self.folder / "profiles" / "chaos"
        profiles.mkdir(parents=True, exist_ok=True)
        (profiles / "counter.yaml").write_text(json.dumps(PROFILE))
        devices = [
            {"id": f"d{unit}", "profile": "chaos/counter", "unit": unit, "name": {"zh": "表", "en": "meter"}} for unit in (1, 2)
        ]
        site = {
            "site": self.name, "gateway": gateway,
            "mqtt": {"keepalive": "5 s", "brokers": [{"host": "127.0.0.1", "port": proxy.port}]},
            "delivery": {"batch": "300 ms", "window": f"{WINDOW_MS} ms", "resend": "2 s", "receipt_hold": f"{HOLD_MS[n % 3]} ms"},
            "buses": [{"id": "bus", "tcp": {"host": "127.0.0.1", "port": instrument.port}, "devices": devices}],
        }  # fmt: skip
        file = self.folder / f"{gateway}.yaml"
        file.write_text(json.dumps(site, ensure_ascii=False))
        places = ["--profiles", str(profiles.parent), "--state-dir", str(state), "--runtime-dir", str(runtime)]
        return AgentPart(name, ["edge_agent", "run", str(file), *places], self.folder, runtime=runtime)

    def _hears(self, gateway: str) -> Callable[[str, bytes], None]:
        def heard(topic: str, payload: bytes) -> None:
            if not topic.endswith("/receipt"):
                return
            try:
                receipt = decode_receipt(payload)
            except Malformed as error:
                self.trouble.append(f"{topic}: a receipt that cannot be read: {error}")
                return
            known = self.receipted.setdefault((gateway, receipt.log), Receipted())
            for lane in receipt.lanes:
                known.note(lane.e, lane.l, lane.upto, lane.ranges)

        return heard

    # --- deaths ------------------------------------------------------------------------------------------------------

    def tend(self) -> None:
        """Whoever died is noted and started again; whoever is up is seen. Raises ChaosError for an end that nobody wanted."""
        if self.trouble:
            raise ChaosError("; ".join(self.trouble))
        for part in self.parts:
            code = part.exit_code()
            if code is None:
                if part.is_up() and not self.is_or_was_full(part.name):
                    part.may_fail = False
                self._give_up_waiting(part)
                continue
            now_s = time.monotonic()
            if part.name not in self._restart_s:
                self._note_end(part, code)
                self._restart_s[part.name] = now_s + (0.5 if code != -signal.SIGKILL else 0.0)
            if now_s >= self._restart_s[part.name] and part.name not in self.held:
                del self._restart_s[part.name]
                part.rest_s = self.plan.life_s(part.kind)
                part.start(self.plan.aim_at_start(part.kind) if part.kind != "broker" and self.is_wild else None)

    stop: threading.Event
    """Set from outside: the run is over before its time."""
    is_wild = False
    """True while kills and faults are on."""

    def _give_up_waiting(self, part: Part) -> None:
        if part.armed_s is not None and time.monotonic() - part.armed_s > ARMED_S:
            part.aim.set(None)
            part.armed_s = None
            if part.exit_code() is None:
                self.kill(part)

    def _note_end(self, part: Part, code: int) -> None:
        life = part.lives[-1]
        life.is_killed = True
        death = part.aim.death() if part.armed_s is not None else None
        if death is not None:
            life.ended_ms = death.at_ms
            self.kills[part.kind, death.hazard] += 1
        elif code != -signal.SIGKILL:
            if not part.may_fail:
                tail = part.output.read_text(errors="replace")[-3000:]
                raise ChaosError(f"{self.name}/{part.name} ended with code {code} and nobody had killed it:\n{tail}")
            self.refused_starts += 1
            life.ended_ms = life.ended_ms or time.time_ns() // 1_000_000
        elif not life.ended_ms:
            raise ChaosError(f"{self.name}/{part.name} was killed by somebody else")
        if part.name in self.full_ms and self.is_or_was_full(part.name):
            life.floor_ms = self.full_ms[part.name][0]
        part.armed_s = None

    def is_or_was_full(self, name: str) -> bool:
        """Full, or so lately that the outbox may still wait for its next try."""
        _, until_ms = self.full_ms.get(name, (0, 1))
        return not until_ms or time.time_ns() // 1_000_000 - until_ms < 3 * WINDOW_MS

    # --- kills -------------------------------------------------------------------------------------------------------

    def targets(self) -> list[str]:
        """Whom a kill may hit now."""
        now_s = time.monotonic()
        found = [
            p.name for p in self.parts if p.since_s and p.armed_s is None and now_s - p.since_s > p.rest_s and p.exit_code() is None
        ]
        is_free = self.broker is None and bool(self.collector.since_s) and self.collector.armed_s is None
        if is_free and now_s - max(self._broker_since_s, self.collector.since_s) > self._broker_life_s:
            found.append("broker")
        return found

    def strike(self, name: str) -> None:
        """The next kill, now or where it aims."""
        if name == "broker" and self.broker is None:
            self._kill_embedded_broker()
            return
        part = next(part for part in self.parts if part.name == name)
        anywhere = sum(count for (_, aim), count in self.kills.items() if not aim)
        aim = self.plan.aim(part.kind, behind=anywhere - self.kills.total() / 2)
        if aim is None:
            self.kill(part)
        else:
            part.arm(aim)

    def kill(self, part: Part) -> None:
        """kill -9 wherever it stands."""
        if part.exit_code() is None:
            part.kill()
            self.kills[part.kind, ""] += 1

    def _kill_embedded_broker(self) -> None:
        self._broker_since_s, self._broker_life_s = time.monotonic(), self.plan.life_s("broker")
        for task in Path(f"/proc/{self.collector.pid}/task").glob("*/children"):
            with suppress(OSError):
                for pid in map(int, task.read_text().split()):
                    os.kill(pid, signal.SIGKILL)
                    self.kills["broker", ""] += 1
                    return

    # --- rest --------------------------------------------------------------------------------------------------------

    def all_up(self) -> bool:
        """Everything runs and does its work."""
        return all(part.is_up() for part in self.parts) and listens(self.broker_port)

    def is_caught_up(self) -> bool:
        """No backlog but of the last seconds."""
        said = self.collector.status()
        return (
            self.all_up()
            and bool(said)
            and min(said["stored"], said["judged"]) >= said["log_last"] - 30
            and all(map(_is_recent, self.agents))
        )

    def is_drained(self) -> bool:
        """Nothing is held, nothing is behind."""
        said = self.collector.status()
        return (
            bool(said)
            and said["stored"] == said["judged"] == said["log_last"]
            and all(agent.status() and agent.figure("depth") == agent.figure("depth_readings") == 0 for agent in self.agents)
        )


def _is_recent(agent: AgentPart) -> bool:
    """What it holds is a few seconds old at most."""
    delivery = agent.status().get("delivery") or {}
    return bool(delivery) and (delivery["oldest_ms"] is None or delivery["oldest_ms"] < 5000)


def _over(part: Part) -> None:
    """However the run ended, nothing outlives it."""
    if part.exit_code() is None:
        part.kill()
        wait_dead(part)
