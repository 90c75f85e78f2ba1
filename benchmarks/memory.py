"""Does I/O: resident memory of a real agent with 1,000 points on four buses, beside a plain script on the same instruments.

    python -m benchmarks memory

Both run one after the other against the same four Modbus TCP instruments (five units of 50 registers each, every point read once a
second) and the same Mosquitto; a collector that sends receipts listens. The plain script is what a tutorial ends with: pymodbus,
paho-mqtt, a JSON object per reading. Resident memory is VmRSS of the process; the highest of the last third of the run counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Figure, show
from tests.support.fake_collector import FakeCollector
from tests.support.instrument import Behaviour, TcpInstrument
from tests.support.mosquitto import Mosquitto

GOAL_MIB = 36.0
SECONDS = 60.0
"""Of each of the two runs."""
BUSES, UNITS, REGISTERS = 4, 5, 50
PLAIN = f"""
import json, sys, threading, time
import paho.mqtt.client as mqtt
from pymodbus.client import ModbusTcpClient

ports, broker = json.loads(sys.argv[1]), int(sys.argv[2])
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.connect("127.0.0.1", broker)
client.loop_start()

def read(number, port):
    bus = ModbusTcpClient("127.0.0.1", port=port)
    bus.connect()
    while True:
        begin = time.monotonic()
        for unit in range(1, {UNITS} + 1):
            answer = bus.read_holding_registers(0, count={REGISTERS}, device_id=unit)
            for address, value in enumerate(answer.registers):
                message = dict(bus=number, unit=unit, point=address, value=value, time=time.time())
                client.publish("plain/readings", json.dumps(message), qos=1)
        time.sleep(max(0, begin + 1 - time.monotonic()))

for number, port in enumerate(ports):
    threading.Thread(target=read, args=(number, port), daemon=True).start()
while True:
    time.sleep(3600)
"""


def site_text(ports: list[int], broker: int) -> str:
    """The site file of the agent that is measured."""
    points = [
        {"id": f"p{n}", "table": "holding", "address": n, "type": "u16", "scale": 0.1, "unit": "m", "period": "1 s"}
        for n in range(REGISTERS)
    ]
    buses = [
        {
            "id": f"bus-{number}",
            "tcp": {"host": "127.0.0.1", "port": port},
            "devices": [{"id": f"d{number}-{unit}", "unit": unit, "points": points} for unit in range(1, UNITS + 1)],
        }
        for number, port in enumerate(ports)
    ]
    return json.dumps(
        {"site": "bench", "gateway": "gw", "mqtt": {"brokers": [{"host": "127.0.0.1", "port": broker}]}, "buses": buses}
    )


@contextlib.contextmanager
def running(command: list[str], log: Path) -> Iterator[int]:
    """A child process; gives its id."""
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield child.pid
    finally:
        if child.poll() is not None:
            print(log.read_text()[-2000:], file=sys.stderr)
        child.terminate()
        child.wait(20)


def resident_mib(pid: int) -> float:
    """VmRSS."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def watched(pid: int, seconds: float) -> float:
    """The highest of the last third."""
    highest, begin = 0.0, time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        if passed > seconds * 2 / 3:
            highest = max(highest, resident_mib(pid))
        time.sleep(0.5)
    return highest


def main() -> int:
    """Prints the table. Exit code 0 also where the goal is missed: it is a goal."""
    words = {n: 1000 + n for n in range(REGISTERS)}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(Mosquitto(folder))
        collector = stack.enter_context(FakeCollector(broker.port))
        behaviours = [Behaviour({unit: dict(words) for unit in range(1, UNITS + 1)}) for _ in range(BUSES)]
        ports = [stack.enter_context(TcpInstrument(behaviour)).port for behaviour in behaviours]
        (folder / "site.yaml").write_text(site_text(ports, broker.port))
        own = ["--state-dir", str(folder / "state"), "--runtime-dir", str(folder / "run")]
        agent = [sys.executable, "-m", "edge_agent", "run", str(folder / "site.yaml"), "--trust-clock", *own]
        with running(agent, folder / "agent.log") as pid:
            agent_mib = watched(pid, SECONDS)
            status = json.loads((folder / "run" / "status.json").read_text())
        arrived = len(collector.rows())
        (folder / "plain.py").write_text(PLAIN)
        with running([sys.executable, str(folder / "plain.py"), json.dumps(ports), str(broker.port)], folder / "plain.log") as pid:
            plain_mib = watched(pid, SECONDS)
    points, taken = BUSES * UNITS * REGISTERS, status["delivery"]["taken"]
    print(
        f"{points} points on {BUSES} buses, once a second, {SECONDS:.0f} s each; agent: {taken} readings taken, {arrived} arrived"
    )
    show(
        "Resident memory",
        [
            Figure("agent, 1,000 points on four buses (the demand is a goal)", agent_mib, "MiB", GOAL_MIB),
            Figure("plain script with pymodbus and paho-mqtt, the same points", plain_mib, "MiB"),
            Figure("agent over plain script", agent_mib / plain_mib, "times"),
        ],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
