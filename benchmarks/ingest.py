"""Does I/O: readings a second from message to durable log and store, beside what users write today.

    python -m benchmarks ingest

Batches of 270 readings (30 instants of nine points, GECCO-like) of many gateways, made by the real Courier, wait in one Mosquitto
and come in one burst. The real collector takes them with log, accounting and receipts on, into the embedded store and
into an HTTP server that takes InfluxDB's write API and keeps nothing. In the same run four plain scripts: (A) a Point and a write
per reading, (B) the batching WriteApi with Points, (C) one synchronous write of a list of Points per message, (D) rows of readings
into SQLite, a transaction per message. Counted is processor time of the process that collects (`/proc/PID/task`), so that broker
and server cost nobody; the plain scripts get fewer messages, and their rate counts. Each runs three times in turn, the best
counts. The warning engine follows the log with a cursor of its own: its time stands apart.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle, islice
from pathlib import Path

import paho.mqtt.client as mqtt

from benchmarks.station import Station
from benchmarks.table import Figure, show
from collector.io.status_file import Status
from edge_agent.contract.topics import DEFAULT_ROOT, Kind, topic
from edge_agent.delivery import machine as ev
from edge_agent.delivery.courier import Courier
from edge_agent.model.points import Delivery
from tests.support.collector_program import CollectorProgram
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port, wait_until

POINTS, INSTANTS = 9, 30
GATEWAYS, BATCHES = 40, 120
PLAIN = {"A": 5, "B": 300, "C": 600, "D": 600}
"""Messages that each plain script is given."""
ROUNDS = 3
PATIENCE_S = 60.0
ENGINE = "warning engine"
"""The name of its thread."""
UTC_MS = 1_790_000_000_000

PLAIN_SCRIPT = """
import json, resource, sqlite3, sys, time
import paho.mqtt.client as mqtt
from influxdb_client import InfluxDBClient, Point
from influxdb_client.client.write_api import SYNCHRONOUS
how, port, url, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
influx = InfluxDBClient(url=url, token="t", org="o", enable_gzip=True)
writer = influx.write_api() if how == "B" else influx.write_api(write_options=SYNCHRONOUS)
store = sqlite3.connect(sys.argv[5], isolation_level=None, check_same_thread=False)
store.execute("PRAGMA journal_mode = WAL")
store.execute("PRAGMA synchronous = FULL")
store.execute("CREATE TABLE reading(gateway TEXT, point TEXT, at INTEGER, value REAL, PRIMARY KEY(gateway, point, at))")
done = 0
def taken(client, userdata, message):
    global done
    gateway, rows = message.topic.split("/")[2], json.loads(message.payload)
    if how == "D":
        store.execute("BEGIN")
        store.executemany("INSERT OR REPLACE INTO reading VALUES(?,?,?,?)",
                          [(gateway, row["point"], row["time"], row["value"]) for row in rows])
        store.execute("COMMIT")
    else:
        points = [Point("reading").tag("gateway", gateway).tag("point", row["point"]).field("value", float(row["value"]))
                  .time(row["time"], "ms") for row in rows]
        if how == "C":
            writer.write("b", record=points, write_precision="ms")
        else:
            for point in points:
                writer.write("b", record=point, write_precision="ms")
    done += 1
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.on_message = taken
client.on_subscribe = lambda *_: print("ready", flush=True)
client.connect("127.0.0.1", port)
client.subscribe("plain/#", qos=1)
client.loop_start()
before = resource.getrusage(resource.RUSAGE_SELF)
while done < count:
    time.sleep(0.005)
writer.close()
after = resource.getrusage(resource.RUSAGE_SELF)
print((after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime), flush=True)
"""


def messages() -> tuple[bytes, list[bytes], list[bytes]]:
    """The birth of a station, its batches of 270 readings, and the same readings as users write them, a message each."""
    station = Station(POINTS)
    courier = Courier(Delivery(batch_ms=3_600_000, batch_readings=POINTS * INSTANTS, in_flight=BATCHES + 2, window_ms=86_400_000))
    birth, batches, plain, rows = b"", dict[int, bytes](), list[bytes](), list[dict[str, object]]()
    now_ms = 1000

    def tell(event: ev.Event) -> None:
        nonlocal birth
        for action in courier.step(now_ms, event):
            if isinstance(action, ev.Publish):
                if action.retained_birth:
                    birth = action.payload
                elif action.key.lane == "n":
                    batches[action.key.seq] = action.payload  # sent again, it is the same
            elif isinstance(action, ev.Write):
                tell(ev.Written(action.token))

    tell(ev.Start("1-0123456789abcdef", "boot", station.birth, (), None, (), shelves=()))
    tell(ev.ClockSet(now_ms, UTC_MS + now_ms, "ntp", 5))
    tell(ev.Connected())
    while len(batches) < BATCHES:
        now_ms += 60_000
        readings = station.read(now_ms)
        rows += [{"point": station.birth.series[r.series].point, "time": UTC_MS + r.taken_ms, "value": r.value} for r in readings]
        tell(ev.Taken(readings))
        tell(ev.Tick())
        if len(rows) == POINTS * INSTANTS:
            plain.append(json.dumps(rows).encode())
            rows = []
    return birth, list(batches.values()), plain


class _Sink(BaseHTTPRequestHandler):
    """Takes InfluxDB's write API and keeps nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def do_GET(self) -> None:
        body = b'{"results":[]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def sink() -> Iterator[str]:
    """The address of a server in a process of its own."""
    port = free_port()
    code = f"from benchmarks.ingest import serve; serve({port})"
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        time.sleep(1.0)
        yield f"http://127.0.0.1:{port}"
        child.kill()


def serve(port: int) -> None:
    """For `sink`."""
    ThreadingHTTPServer(("127.0.0.1", port), _Sink).serve_forever()


def by_thread(pid: int) -> dict[str, float]:
    """Processor time of each thread of a process so far, by its name."""
    spent: dict[str, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        before, _, after = (task / "stat").read_text().rpartition(")")
        fields, name = after.split(), before.partition("(")[2]
        spent[name] = spent.get(name, 0.0) + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return spent


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """The process stands still meanwhile: what is published waits in the broker, so that nobody else works while it collects."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def publish(port: int, each: list[tuple[str, bytes]], qos: int) -> None:
    """Publishes as fast as the broker takes it; returns when it has the last one."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(200)
    client.connect("127.0.0.1", port)
    client.loop_start()
    told = [client.publish(name, payload, qos=qos) for name, payload in each]
    told[-1].wait_for_publish(PATIENCE_S)
    client.loop_stop()
    client.disconnect()


@dataclass(frozen=True, slots=True)
class Spent:
    """What one run of the collector took. Times in s; line_s and engine_s are processor time."""

    wall_s: float
    line_s: float
    """Of everything but the warning engine."""
    engine_s: float
    engine_readings: int
    """What the engine had judged by then."""


def product(folder: Path, broker: Mosquitto, store: str, birth: bytes, batches: list[bytes]) -> Spent:
    """A run of the collector until everything is stored."""
    folder.mkdir()
    mqtt_file = f"{{host: 127.0.0.1, port: {broker.port}}}"
    with CollectorProgram(folder, mqtt=mqtt_file, more=store) as collector:
        pid = _status(collector).pid
        names = [f"gw-{n}" for n in range(GATEWAYS)]
        births = [(topic(DEFAULT_ROOT, "bench", name, Kind.BIRTH), birth) for name in names]
        data = [(topic(DEFAULT_ROOT, "bench", name, Kind.DATA), payload) for payload in batches for name in names]
        publish(broker.port, births, 1)
        wait_until(lambda: _status(collector).judged == _status(collector).log_last >= GATEWAYS, 60, "births are taken")
        before, begin = _status(collector), by_thread(pid)
        with paused(pid):
            publish(broker.port, data, 0)  # as agents send batches: the receipt is what counts
        begin_s = time.monotonic()

        def is_stored() -> bool:
            told = _status(collector)
            return told.log_last >= before.log_last + len(data) and told.stored == told.log_last

        wait_until(is_stored, PATIENCE_S, "everything is stored")
        wall_s, end, told = time.monotonic() - begin_s, by_thread(pid), _status(collector)
    spent = {name: share - begin.get(name, 0.0) for name, share in end.items()}
    print(f"  {folder.name}: " + ", ".join(f"{name} {share:.2f} s" for name, share in spent.items() if share >= 0.01))
    engine_s = spent.pop(ENGINE)
    return Spent(wall_s, sum(spent.values()), engine_s, (told.judged - before.judged) * POINTS * INSTANTS)


def _status(collector: CollectorProgram) -> Status:
    status = collector.status()
    assert status is not None
    return status


def plain_script(folder: Path, broker: Mosquitto, url: str, how: str, plain: list[bytes]) -> float:
    """Readings a second of processor time of a plain script."""
    given = list(islice(cycle(plain), PLAIN[how]))
    rows = folder / f"{how}-{time.monotonic_ns()}.db"
    command = [sys.executable, "-c", PLAIN_SCRIPT, how, str(broker.port), url, str(len(given)), str(rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with paused(child.pid):
            publish(broker.port, [("plain/bench/gw-1/data", payload) for payload in given], 1)
        spent = float(child.stdout.readline())
    return len(given) * POINTS * INSTANTS / spent


def main() -> int:
    """Prints the table."""
    birth, batches, plain = messages()
    size = sum(map(len, batches)) / len(batches)
    print(f"{GATEWAYS} gateways, {len(batches)} batches of {POINTS * INSTANTS} readings each ({size:.0f} bytes)")
    with tempfile.TemporaryDirectory() as name, sink() as url:
        folder = Path(name)
        (folder / "token").write_text("t")
        (folder / "token").chmod(0o600)
        with Mosquitto(folder, "max_queued_messages 0") as broker:
            influx = f"store:\n  influx: {{url: '{url}', org: o, bucket: b, token_file: {folder / 'token'}}}\n"
            owns, into_influx, rates = list[Spent](), list[Spent](), dict.fromkeys(PLAIN, 0.0)
            for n in range(ROUNDS):
                owns.append(product(folder / f"embedded-{n}", broker, "", birth, batches))
                into_influx.append(product(folder / f"influx-{n}", broker, influx, birth, batches))
                rates = {how: max(rates[how], plain_script(folder, broker, url, how, plain)) for how in PLAIN}
    own, lines = (min(runs, key=lambda run: run.line_s) for runs in (owns, into_influx))
    readings, c = GATEWAYS * len(batches) * POINTS * INSTANTS, rates["C"]
    return show(
        "Ingest, readings a second of processor time of the process that collects",
        [
            Figure("A: a Point and a write per reading", rates["A"], "/s"),
            Figure("B: the batching WriteApi with Points", rates["B"], "/s"),
            Figure("C: a synchronous write of a list of Points per message", c, "/s"),
            Figure("D: rows of readings in SQLite, a transaction per message", rates["D"], "/s"),
            Figure("the collector into its own store", readings / own.line_s, "/s"),
            Figure("... over C", readings / own.line_s / c, "times", at_least=5),
            Figure("the collector into InfluxDB's write API", readings / lines.line_s, "/s"),
            Figure("... over C", readings / lines.line_s / c, "times", at_least=8),
            Figure("by the clock, warning engine beside it: into its own store", readings / own.wall_s, "/s"),
            Figure("by the clock, warning engine beside it: into InfluxDB", readings / lines.wall_s, "/s"),
            Figure("apart: the warning engine without rules", own.engine_readings / own.engine_s, "/s"),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
