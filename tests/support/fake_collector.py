"""Does I/O: a collector that keeps everything in memory: decodes, counts, sends receipts, answers `time`.

with FakeCollector(broker.port) as collector:
    wait_until(lambda: collector.readings("station-1", "gw-1"))
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from types import TracebackType

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.contract.encoding import (
    decode_birth_body,
    decode_reply,
    decode_sequenced,
    decode_status,
    decode_time,
    encode,
    qualities,
    times_ms,
)
from edge_agent.contract.message import (
    VERSION,
    Birth,
    BirthBody,
    Command,
    Data,
    Event,
    LaneReceipt,
    Receipt,
    Reply,
    TimeAsk,
    TimeTell,
)
from edge_agent.contract.topics import Kind, collector_filters, parse_topic, topic

Row = tuple[str, str, int, object, int]
"""(device, point, time ms UTC, value, quality)"""


class FakeCollector:
    """Subscribes as the real one does. `receipts = False` holds all receipts back; `tell_time = False` answers no question."""

    def __init__(self, port: int, root: str = "waterworks", host: str = "127.0.0.1") -> None:
        self.root = root
        self.receipts = True
        self.tell_time = True
        self.statuses: list[str] = []
        self.replies: list[Reply] = []
        self.births: dict[str, BirthBody] = {}
        self.messages: dict[tuple[str, str, int], Data | Birth] = {}
        self.copies: Counter[tuple[str, str, int]] = Counter()
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="collector", clean_session=True)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._message
        self._address = (host, port)

    def __enter__(self) -> FakeCollector:
        self._client.connect(*self._address)
        self._client.loop_start()
        assert self._ready.wait(10), "the collector's subscription"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def command(self, site: str, gateway: str, command: Command) -> None:
        """Sends a command."""
        self._client.publish(topic(self.root, site, gateway, Kind.CMD), encode(command), qos=1)

    def raw(self, site: str, gateway: str, kind: Kind, payload: bytes) -> None:
        """Sends any bytes."""
        self._client.publish(topic(self.root, site, gateway, kind), payload, qos=1)

    def rows(self) -> list[Row]:
        """Every reading of every distinct batch."""
        with self._lock:
            batches = [m for m in self.messages.values() if isinstance(m, Data)]
            births = dict(self.births)
        found: list[Row] = []
        for batch in batches:
            if batch.b not in births:
                continue
            series = {s.i: s for s in births[batch.b].series}
            for block in batch.d.blocks:
                times = times_ms(batch.t0, block)
                for column in block.c:
                    for at, value, quality in zip(times, column.v, qualities(column), strict=False):
                        found.append((series[column.i].device, series[column.i].point, at, value, quality))
        return found

    def events(self) -> list[Event]:
        """Every event of every distinct batch."""
        with self._lock:
            return [event for m in self.messages.values() if isinstance(m, Data) for event in m.d.events]

    def _connected(self, client: Client, *_: object) -> None:
        client.subscribe([(text, 1) for text in collector_filters(self.root)])

    def _message(self, client: Client, _userdata: object, message: MQTTMessage) -> None:
        place = parse_topic(message.topic, self.root)
        assert place is not None, message.topic
        if place.kind is Kind.DATA:
            self._sequenced(place.site, place.gateway, message.payload)
        elif place.kind is Kind.STATUS:
            self.statuses.append(decode_status(message.payload).state)
        elif place.kind is Kind.REPLY:
            self.replies.append(decode_reply(message.payload))
        elif place.kind is Kind.TIME and self.tell_time:
            asked = decode_time(message.payload)
            if isinstance(asked, TimeAsk):
                answer = TimeTell(VERSION, asked.id, time.time_ns() // 1_000_000)
                client.publish(message.topic, encode(answer), qos=1)

    def _sequenced(self, site: str, gateway: str, payload: bytes) -> None:
        decoded = decode_sequenced(payload)
        with self._lock:
            key = (decoded.e, decoded.l, decoded.s)
            self.copies[key] += 1
            self.messages[key] = decoded
            if isinstance(decoded, Birth):
                self.births[decoded.h] = decode_birth_body(bytes(decoded.body))
        if self.receipts:
            self.send_receipt(site, gateway)

    def send_receipt(self, site: str, gateway: str) -> None:
        """The receipt for everything that is here."""
        with self._lock:
            lanes: dict[tuple[str, str], set[int]] = {}
            for epoch, lane, seq in self.messages:
                lanes.setdefault((epoch, lane), set()).add(seq)
        rows = [LaneReceipt(epoch, lane, *_accounted(seqs)) for (epoch, lane), seqs in sorted(lanes.items())[-8:]]  # type: ignore[arg-type]
        receipt = Receipt(VERSION, "fake-log", rows)
        self._client.publish(topic(self.root, site, gateway, Kind.RECEIPT), encode(receipt), qos=1, retain=True)


def _accounted(seqs: set[int]) -> tuple[int, list[tuple[int, int]]]:
    upto = 0
    while upto + 1 in seqs:
        upto += 1
    ranges: list[tuple[int, int]] = []
    for seq in sorted(s for s in seqs if s > upto):
        if ranges and ranges[-1][1] == seq - 1:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    return upto, ranges[:32]
