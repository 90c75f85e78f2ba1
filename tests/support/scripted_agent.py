"""Does I/O: a gateway that sends numbered readings and keeps each batch until the collector's receipt covers it.

It is as small as the contract allows, and knows nothing of the agent's code: what it proves is the collector's doing.
"""

from __future__ import annotations

import threading
import time

import msgspec
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge_agent.contract import encoding
from edge_agent.contract import message as m
from edge_agent.contract.topics import Kind, topic

T0 = 1_767_225_600_000
EPOCH = "1-00000000000000aa"
BODY = m.BirthBody(
    "scripted",
    [
        m.Series(0, "meter", "count", kind="counter", role="outlet.total", unit="m3"),
        m.Series(1, "meter", "level", role="tank.level", unit="m"),
    ],
    receipt_hold_ms=50,
)


class ScriptedAgent:
    """Sends batches 1..count of lane n, `rows` readings each; batch s holds the counts (s-1)*rows .. s*rows-1, a second apart."""

    def __init__(self, port: int, count: int, rows: int = 5, site: str = "s", gateway: str = "g", t0: int = T0) -> None:
        self.count, self.rows, self.t0 = count, rows, t0
        self._topic = topic("waterworks", site, gateway, Kind.DATA)
        self._receipts = topic("waterworks", site, gateway, Kind.RECEIPT)
        self._open: dict[int, bytes] = {}
        self._made = 0
        self._birth_done = False
        self._birth, self._hash = self._make_birth()
        self._up = False
        self._progress = time.monotonic()
        self._lock = threading.Lock()
        self.sent = 0
        self.receipts: list[m.Receipt] = []
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"agent-{site}-{gateway}",
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda *_: self._client.subscribe(self._receipts, 1)
        self._client.on_subscribe = lambda *_: self._connected()
        self._client.on_disconnect = lambda *_: self._lost()
        self._client.on_message = lambda _c, _u, message: self._receipt(bytes(message.payload))
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()

    @property
    def done(self) -> bool:
        with self._lock:
            return self._birth_done and self._made == self.count and not self._open

    @property
    def covered(self) -> int:
        """Batches with a receipt."""
        with self._lock:
            return self._made - len(self._open)

    def receipted(self) -> set[int]:
        """Sequences of the batches with a receipt."""
        with self._lock:
            return set(range(1, self._made + 1)) - self._open.keys()

    def turn(self, window: int = 64, resend_s: float = 1.5) -> None:
        """Sends what may go now; after a silence everything open once more."""
        with self._lock:
            if not self._up:
                return
            again = time.monotonic() - self._progress > resend_s
            if again:
                self._progress = time.monotonic()
            payloads = [*([] if self._birth_done else [self._birth]), *self._open.values()] if again else []
            while len(self._open) < window and self._made < self.count:
                self._made += 1
                self._open[self._made] = self._batch(self._made)
                payloads.append(self._open[self._made])
            self.sent += len(payloads)
        for payload in payloads:
            self._client.publish(self._topic, payload, 1)

    def run_until(self, covered: int, timeout_s: float = 240.0) -> None:
        """Turns until so many batches are receipted."""
        deadline = time.monotonic() + timeout_s
        while self.covered < covered:
            self.turn()
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.covered} of {covered} batches receipted in {timeout_s} s")
            time.sleep(0.005)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _make_birth(self) -> tuple[bytes, str]:
        raw, name = encoding.encode_birth_body(BODY)
        birth = m.Birth(m.VERSION, EPOCH, m.URGENT, 1, 1, name, "boot", self.t0, msgspec.Raw(raw))
        return encoding.encode(birth), name

    def _batch(self, seq: int) -> bytes:
        first = (seq - 1) * self.rows
        values: list[float | int | bool | str | None] = [first + n for n in range(self.rows)]
        body = m.Body([m.Block([first * 1000, *[1000] * (self.rows - 1)], [m.Column(0, values), m.Column(1, [2.5] * self.rows)])])
        low = min(self._open, default=seq)
        return encoding.encode(m.Data(m.VERSION, EPOCH, m.NORMAL, seq, low, self._hash, self.t0, body))

    def _connected(self) -> None:
        with self._lock:
            self._up, self._progress = True, 0.0

    def _lost(self) -> None:
        self._up = False

    def _receipt(self, payload: bytes) -> None:
        receipt = encoding.decode_receipt(payload)
        self.receipts.append(receipt)
        with self._lock:
            for lane in receipt.lanes:
                if lane.e != EPOCH:
                    continue
                if lane.l == m.URGENT:
                    self._birth_done = self._birth_done or lane.upto >= 1
                    continue
                covered = [s for s in self._open if s <= lane.upto or any(a <= s <= z for a, z in lane.ranges)]
                for seq in covered:
                    del self._open[seq]
                if covered:
                    self._progress = time.monotonic()
