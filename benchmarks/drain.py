"""Does I/O: how fast a backlog of a million readings drains: real outbox file, agent, Mosquitto, collector.

    python -m benchmarks drain

The backlog is made by the real Courier and OutboxFile with a link that is down (simulated time, real writes): ten points read
once a second, batches of 5 s, as the default is. Then the real agent starts on that file, and what is timed runs from its first
connection to the broker until the last receipt. Meanwhile it keeps one point alive. Beside it a plain script as tutorials store and
forward: a row per reading in SQLite, one message per reading at QoS 1, a row deleted at each PUBACK; it is given a smaller backlog,
and its rate counts. Both talk to the same broker in the same run.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.flash import Line
from benchmarks.memory import resident_mib, running
from benchmarks.station import Station
from benchmarks.table import Figure, show
from tests.support.collector_program import CollectorProgram
from tests.support.instrument import Behaviour, TcpInstrument
from tests.support.mosquitto import Mosquitto
from tests.support.ports import wait_until

READINGS, POINTS = 1_000_000, 10
PLAIN_READINGS = 2_000
PATIENCE_S = 300.0
PLAIN = """
import json, sqlite3, sys, time
import paho.mqtt.client as mqtt
store = sqlite3.connect(sys.argv[1], check_same_thread=False, isolation_level=None)
rows = store.execute("SELECT id, message FROM queue ORDER BY id").fetchall()
ids, left = {}, len(rows)
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
def acknowledged(client, userdata, mid, reason, properties):
    global left
    store.execute("DELETE FROM queue WHERE id = ?", (ids.pop(mid),))
    left -= 1
client.on_publish = acknowledged
client.max_inflight_messages_set(20)
client.connect("127.0.0.1", int(sys.argv[2]))
begin = time.monotonic()
for id, message in rows:
    ids[client.publish("plain/readings", message, qos=1).mid] = id
client.loop_start()
while left:
    time.sleep(0.01)
print(time.monotonic() - begin)
"""


def make_backlog(folder: Path, readings: int) -> int:
    """The outbox file of an agent whose link was down for so many readings; how many it holds."""
    line = Line(folder, Station(POINTS), receipts=False)
    taken = line.run(readings // POINTS)
    line.run(20)  # the last window too is written
    line.close()
    return taken


def drain(folder: Path, broker_port: int, readings: int) -> tuple[float, float, float, int]:
    """Seconds until the backlog had its receipts, until everything was stored, highest resident MiB, readings receipted."""
    state = folder / "agent" / "state"
    state.mkdir(parents=True)
    make_backlog(state, readings)
    runtime = folder / "agent" / "run"
    mqtt = f"{{host: 127.0.0.1, port: {broker_port}}}"
    with CollectorProgram(folder, mqtt=mqtt) as collector, TcpInstrument(Behaviour({1: {0: 7}})) as instrument:
        site = {
            "site": "bench",
            "gateway": "gw",
            "mqtt": {"brokers": [{"host": "127.0.0.1", "port": broker_port}]},
            "buses": [
                {
                    "id": "bus",
                    "tcp": {"host": "127.0.0.1", "port": instrument.port},
                    "devices": [{"id": "live", "points": [{"id": "level", "table": "holding", "address": 0, "unit": "m"}]}],
                }
            ],
        }
        (folder / "site.yaml").write_text(json.dumps(site))
        own = ["--state-dir", str(state), "--runtime-dir", str(runtime), "--trust-clock"]
        command = [sys.executable, "-m", "edge_agent", "run", str(folder / "site.yaml"), *own]
        highest = 0.0

        def status() -> dict[str, object]:
            nonlocal highest
            highest = max(highest, resident_mib(pid))
            try:
                return dict(json.loads((runtime / "status.json").read_text()))
            except FileNotFoundError:
                return {}

        def delivery(name: str) -> int:
            figures = status().get("delivery")
            return int(figures[name]) if isinstance(figures, dict) else 0

        def is_up() -> bool:
            link = status().get("link")
            return isinstance(link, dict) and bool(link["up"])

        with running(command, folder / "agent.log") as pid:
            wait_until(is_up, 60, "the agent is connected")
            begin = time.monotonic()
            wait_until(lambda: delivery("delivered") >= readings, PATIENCE_S, "the backlog is drained")
            receipted_s = time.monotonic() - begin
            done = delivery("delivered")

            def is_stored() -> bool:
                told = collector.status()
                return told is not None and told.stored == told.log_last > 0

            wait_until(is_stored, PATIENCE_S, "everything is stored")
            stored_s = time.monotonic() - begin
    return receipted_s, stored_s, highest, done


def plain(folder: Path, broker_port: int) -> float:
    """Readings a second of the plain script."""
    path = folder / "plain.db"
    with sqlite3.connect(path) as store:
        store.execute("CREATE TABLE queue(id INTEGER PRIMARY KEY, message TEXT)")
        rows = ((json.dumps({"point": n % POINTS, "value": n / 7, "time": 1.79e9 + n}),) for n in range(PLAIN_READINGS))
        store.executemany("INSERT INTO queue(message) VALUES(?)", rows)
    store.close()
    command = [sys.executable, "-c", PLAIN, str(path), str(broker_port)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    return PLAIN_READINGS / float(done.stdout)


def main() -> int:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Mosquitto(folder) as broker:
            receipted_s, stored_s, highest, done = drain(folder, broker.port, READINGS)
            plain_rate = plain(folder, broker.port)
    rate = done / receipted_s
    print(f"backlog of {READINGS:,} readings in batches of 5 s; plain script: {PLAIN_READINGS:,} rows")
    return show(
        "Drain of a backlog",
        [
            Figure("a million readings, from the first connection to the last receipt", receipted_s, "s"),
            Figure("... until the collector has stored and judged them", stored_s, "s"),
            Figure("drain rate", rate, "readings/s"),
            Figure("resident memory of the agent meanwhile, the highest", highest, "MiB"),
            Figure("plain script, a row and a message a reading: drain rate", plain_rate, "readings/s"),
            Figure("drain rate over that of the plain script", rate / plain_rate, "times"),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
