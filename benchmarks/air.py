"""Does I/O: what a reading costs on the air: MQTT 5 over TLS with client certificates, receipts included.

    python -m benchmarks air

The real Courier, session, Mosquitto, collector's subscriber and intake. Only the time between batches is not waited for: Courier
and intake are told it. After each batch the run waits until the connection is at rest, so that every acknowledgement goes its own
way as it does between batches that are a minute or more apart. Counted is what the kernel says of the agent's connection, with
the headers of every segment (edge_agent/io/air.py); opening and keep-alive stand apart. Readings are those of the GECCO 2018
water station, nine quantities a minute (examples/demo/record). Compared with a plain script that publishes an object per reading.
"""

from __future__ import annotations

import csv
import gzip
import json
import queue
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from benchmarks.table import Figure, show
from collector.domain.identity import GatewayId
from collector.intake import machine as intake_ev
from collector.intake.core import Intake
from collector.io.mqtt_subscriber import BrokerAddress, PahoSubscriber
from collector.seams import Message
from edge_agent.common.clock import SystemClock
from edge_agent.config.resolve import PRESETS, series_of
from edge_agent.contract.message import BirthBody, Receipt, Series
from edge_agent.contract.topics import DEFAULT_ROOT, Kind
from edge_agent.delivery import machine as ev
from edge_agent.delivery.courier import Courier
from edge_agent.io.air import IPV4_BYTES, PING_BYTES, STAMPS_BYTES, TCP_BYTES, TLS_RECORD_BYTES, AirMeter
from edge_agent.io.mqtt import LinkEvent, LinkUp, Publisher
from edge_agent.io.mqtt_session import Identity
from edge_agent.model.deadband import DeadBands
from edge_agent.model.link_health import LinkHealth, link_points
from edge_agent.model.points import Broker, Bus, Delivery, Device, Serial, Tls
from edge_agent.model.reading import Reading
from tests.support.certificates import Authority, tls_listener
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port

RECORD = Path(__file__).parents[1] / "examples" / "demo" / "record" / "three-days.csv.gz"
MINUTE_MS = 60_000
REST_S = 0.06
"""A connection on which nothing moved for so long is at rest: a delayed acknowledgement takes 40 ms."""
PLAIN_MINUTES = 30
EPOCH = "1-0123456789abcdef"
SITE, GATEWAY = "shiquan", "gw-1"


def minutes() -> Iterator[tuple[int, dict[str, float | int]]]:
    """Time in ms UTC and the nine values of each minute, as an instrument gives them: without decimals an integer."""
    with gzip.open(RECORD, "rt", encoding="ascii") as file:
        for row in csv.DictReader(file):
            at_ms = int(datetime.fromisoformat(row.pop("time")).timestamp() * 1000)
            row.pop("event")
            yield at_ms, {name: int(float(text)) if text.endswith(".0") else float(text) for name, text in row.items() if text}


class Line:
    """Agent and collector on one Mosquitto; the time is told."""

    def __init__(self, settings: Delivery, broker: Broker, plain_port: int) -> None:
        self._courier, self._intake = Courier(settings), Intake()
        self._heard: queue.SimpleQueue[LinkEvent] = queue.SimpleQueue()
        self._came: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._up: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._collector = PahoSubscriber(lambda: BrokerAddress("127.0.0.1", plain_port, DEFAULT_ROOT), SystemClock())
        self._collector.start(self._came.put, self._up.put)
        self._up.get(timeout=10)
        identity = Identity(SITE, GATEWAY, EPOCH, "boot", "benchmark")
        self.link = Publisher(identity, [broker], settings.in_flight, self._heard.put, random.Random(1), data_qos=settings.qos)
        self.readings = self.batches = self.receipts = 0
        names = list(next(minutes())[1])
        series = [Series(i, "panel", name.replace("_", "-"), period_ms=MINUTE_MS) for i, name in enumerate(names)]
        panel = Device("panel", 1, (), link_series=len(series))
        series += [series_of(point) for point in link_points(panel)]
        self._link_health, self._chance, self.link_readings = LinkHealth(panel), random.Random(3), 0
        self._bands = DeadBands([Bus("line", Serial("/dev/none"), "rtu", (panel,))])
        self._series = {name: i for i, name in enumerate(names)}
        self._birth = BirthBody(
            "benchmark", series, receipt_hold_ms=settings.receipt_hold_ms, receipt_every=settings.batches_per_receipt
        )
        self._now_ms, self._utc_ms = 0, next(minutes())[0]

    def run(self, count: int) -> None:
        """So many minutes of the record, after the line has come to rest."""
        self._collect(intake_ev.Start("log-benchmark"))
        self._collect(intake_ev.Connected())
        self.link.start()
        while not isinstance(self._heard.get(timeout=10), LinkUp):
            pass
        self._agent(ev.Start(EPOCH, "boot", self._birth))
        self._agent(ev.ClockSet(0, self._utc_ms, "ntp", 5))
        self._agent(ev.Connected())
        self._rest()
        self._now_ms = 5000
        self._collect(intake_ev.Tick())
        self._rest()
        self.begun = self.link.figures
        self.receipts = self.batches = 0
        start_ms = self._utc_ms
        for at_ms, values in islice(minutes(), count):
            while self._now_ms < at_ms - start_ms:
                self._now_ms += MINUTE_MS // 2
                self._agent(ev.Tick())
                self._collect(intake_ev.Tick())
            readings = [Reading(self._series[name], self._now_ms, value) for name, value in values.items()]
            self._agent(ev.Taken([*readings, *self._link_series()]))
            self.readings += len(values)

    def _link_series(self) -> list[Reading]:
        """What the agent tells of a healthy line: an answer a minute, in 12 to 30 ms."""
        self._link_health.answered(self._chance.randint(12, 30))
        told = list(self._bands.filter(self._link_health.readings(self._now_ms)))
        self.link_readings += len(told)
        return told

    def cost(self) -> tuple[int, int]:
        """Bytes of messages since the start of the run, and readings that had their receipt; link series count as bytes alone."""
        now = self.link.figures
        apart = now.air_open_bytes + now.air_keepalive_bytes - self.begun.air_open_bytes - self.begun.air_keepalive_bytes
        return now.air_bytes - self.begun.air_bytes - apart, self._courier.figures(self._now_ms).delivered - self.link_readings

    def close(self) -> None:
        self.link.stop()
        self._collector.stop()

    def _agent(self, event: ev.Event) -> None:
        sent = 0
        for action in self._courier.step(self._now_ms, event):
            if isinstance(action, ev.Write):
                self._agent(ev.Written(action.token))
            elif isinstance(action, ev.Publish):
                self.link.publish(Kind.DATA, action.payload, action.key)
                if action.retained_birth:
                    self.link.publish(Kind.BIRTH, action.payload, action.key)
                sent += 1 + action.retained_birth
        if sent:
            self.batches += sent
            for _ in range(sent):
                self._receive(self._came.get(timeout=10))
            self._rest()

    def _receive(self, message: Message) -> None:
        if message.kind in (Kind.DATA, Kind.BIRTH):
            self._collect(intake_ev.Arrived(message.topic, message.gateway, message.kind, message.payload, message.retained))
        else:  # the status
            self._receive(self._came.get(timeout=10))

    def _collect(self, event: intake_ev.Event) -> None:
        for action in self._intake.step(self._utc_ms + self._now_ms, event):
            if isinstance(action, intake_ev.Append):
                self._collect(intake_ev.Committed(action.token))
            elif isinstance(action, intake_ev.Publish) and action.kind is Kind.RECEIPT:
                self._collector.publish(GatewayId(SITE, GATEWAY), action.kind, action.payload)
                while not isinstance(found := self._heard.get(timeout=10), Receipt):
                    pass
                self.receipts += 1
                self._agent(ev.ReceiptCame(found))
                self._rest()

    def _rest(self) -> None:
        before, since = self.link.figures.air_bytes, time.monotonic()
        while time.monotonic() - since < REST_S:
            time.sleep(0.005)
            now = self.link.figures.air_bytes
            if now != before:
                before, since = now, time.monotonic()


def plain(broker: Broker) -> float:
    """Bytes a reading of the script that most people write first: an object per reading, QoS 1, as they come each minute."""
    tls = broker.tls
    assert tls is not None
    done: queue.SimpleQueue[int] = queue.SimpleQueue()
    client = Client(CallbackAPIVersion.VERSION2, client_id="plain", protocol=MQTTProtocolVersion.MQTTv5)
    client.tls_set(tls.ca, tls.cert, tls.key)
    client.on_publish = lambda _client, _userdata, mid, _reason, _properties: done.put(mid)
    meters: list[AirMeter] = []
    client.on_socket_open = lambda _c, _u, connection: meters.append(AirMeter(_counted(connection), tls=True))
    client.connect(broker.host, broker.port)
    client.loop_start()
    time.sleep(0.3)
    before, readings = meters[0].read().total_bytes, 0
    for at_ms, values in islice(minutes(), PLAIN_MINUTES):
        for name, value in values.items():
            said = {"device": "panel", "point": name, "time": at_ms, "value": value, "quality": "good"}
            client.publish(f"{DEFAULT_ROOT}/{SITE}/{GATEWAY}/data", json.dumps(said), qos=1)
        for _ in values:
            done.get(timeout=10)
        readings += len(values)
        time.sleep(2 * REST_S)
    bytes_sent = meters[0].read().total_bytes - before
    client.disconnect()
    client.loop_stop()
    return bytes_sent / readings


def _counted(connection: Any) -> Any:
    return connection


def measure(settings: Delivery, count: int, place: Place) -> tuple[Line, float]:
    """A line that has run on a broker of its own, and its bytes for each reading that has its receipt."""
    with place.broker() as (broker, mosquitto):
        line = Line(settings, broker, mosquitto.port)
        try:
            line.run(count)
            size, delivered = line.cost()
            return line, size / delivered
        finally:
            line.close()


class Place:
    """Where brokers are started: a folder with an authority, a broker's certificate and a gateway's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = Authority(folder / "ca")
        self._server, self._client = self._ca.issue("broker", ["IP:127.0.0.1"]), self._ca.issue(f"{SITE}.{GATEWAY}")

    @contextmanager
    def broker(self) -> Iterator[tuple[Broker, Mosquitto]]:
        """A Mosquitto that asks for certificates, as the agent knows it; without TLS on its own port for the collector."""
        port = free_port()
        tls = Tls(str(self._ca.cert), str(self._client.cert), str(self._client.key))
        with Mosquitto(self._folder, tls_listener(self._ca, self._server, port)) as mosquitto:
            yield Broker("127.0.0.1", port, "5", tls=tls), mosquitto


def main() -> int:
    """Prints the figures; 1 where a demand does not hold."""
    saver = PRESETS["data-saver"]
    half_hours = Delivery(
        batch_ms=saver["batch"],
        window_ms=saver["window"],
        receipt_every=saver["receipt_every"],
        receipt_hold_ms=saver["receipt_hold"],
        resend_ms=saver["resend"],
    )
    each_minute = Delivery(batch_ms=30_000, window_ms=300_000, receipt_every=5, receipt_hold_ms=600_000, resend_ms=60_000)
    with tempfile.TemporaryDirectory() as name:
        place = Place(Path(name))
        half_hourly, saver_bytes = measure(half_hours, 3 * 1440, place)
        minutely, minute_bytes = measure(each_minute, 300, place)
        with place.broker() as (broker, _):
            script_bytes = plain(broker)
    ping = 2 * (PING_BYTES + TLS_RECORD_BYTES) + 3 * (IPV4_BYTES + TCP_BYTES + STAMPS_BYTES)
    opening = half_hourly.begun.air_open_bytes
    keepalive_s = Broker("").keepalive_s
    saved = f"half-hour batches, receipt each fourth ({half_hourly.batches} and {half_hourly.receipts}): a reading"
    quick = f"a batch a minute, receipt each fifth ({minutely.batches} and {minutely.receipts}): a reading"
    return show(
        "Air: MQTT 5 over TLS with client certificates, GECCO 2018, nine readings a minute",
        [
            Figure(saved, saver_bytes, "B", 2.5),
            Figure(quick, minute_bytes, "B", 45),
            Figure("plain script, an object a reading, QoS 1, same TLS: a reading", script_bytes, "B"),
            Figure("apart: a connection from SYN to SUBACK, both certificates", opening, "B"),
            Figure(
                f"apart: keep-alive each {keepalive_s} s where nothing else moves: a day", ping * 86_400 / keepalive_s / 1024, "KiB"
            ),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
