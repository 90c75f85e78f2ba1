"""Pure. A simulated broker and the network around it. It keeps nothing that the line may rely on.

Messages of a connection arrive in order, late, twice, not at all or (by plan) out of order; a connection that ends loses what is
under way; a half-open one swallows everything until somebody notices; a broker that dies forgets its queues and keeps retained
messages, old ones, or none.
"""

from __future__ import annotations

from typing import Protocol

from edge_agent.contract.topics import RETAINED, Kind
from tests.sim.plan import Plan
from tests.sim.world import World

RECONNECT_MS = (200, 8000)
LONGEST_MS = 30_000
NOTICE_MS = (5_000, 90_000)
"""How long a half-open connection goes unnoticed (keepalive)."""


class Client(Protocol):
    """A program with a connection."""

    def link_is_up(self) -> None: ...
    def link_is_down(self) -> None: ...
    def message_came(self, gateway: str, kind: Kind, payload: bytes, retained: bool) -> None: ...


class Connection:
    """One program's connection to the broker. gateway: its branch; empty for the collector, which hears all."""

    def __init__(self, broker: Broker, client: Client, gateway: str) -> None:
        self._broker, self._world, self._plan = broker, broker.world, broker.plan
        self._client = client
        self.gateway = gateway
        self.session = self._tries = 0
        self.is_up = False
        self._is_deaf = False
        self._in_order_ms = {"up": 0, "down": 0}

    def open(self) -> None:
        """Connects after a while, and again after every loss."""
        self.session += 1
        delay_ms = min(self._world.between(*RECONNECT_MS) << min(self._tries, 10), LONGEST_MS)
        self._world.after(delay_ms, lambda session=self.session: self._opened(session))

    def _opened(self, session: int) -> None:
        if session != self.session or self.is_up:
            return
        if not self._broker.is_up:
            self._tries += 1
            self.open()
            return
        self._tries = 0
        self.is_up, self._is_deaf = True, False
        self._in_order_ms = {"up": 0, "down": 0}
        self._broker.subscribed(self)
        self._client.link_is_up()

    def drop(self, told: bool = True) -> None:
        """The connection ends; what is under way is lost. told: the client hears of it (a dead program does not)."""
        was_up, self.is_up = self.is_up, False
        self.session += 1
        if was_up and told:
            self._client.link_is_down()
        if told:
            self.open()

    def deafen(self) -> None:
        """Half-open: neither side notices for a while."""
        if self.is_up:
            self._is_deaf = True
            session = self.session
            self._world.after(self._world.between(*NOTICE_MS), lambda: self.drop() if session == self.session else None)

    def publish(self, gateway: str, kind: Kind, payload: bytes) -> None:
        """To the broker; nothing happens without a connection."""
        if not self.is_up or self._world.likely(self._plan.loss):
            return
        session = self.session
        for delay_ms in self._delays("up"):
            self._world.after(delay_ms, lambda: self._arrives(session, gateway, kind, payload))
        if self._world.likely(self._plan.late_double):
            late_ms = self._world.between(1000, 600_000)
            self._world.after(late_ms, lambda: self._broker.route(gateway, kind, payload))

    def _arrives(self, session: int, gateway: str, kind: Kind, payload: bytes) -> None:
        if session == self.session and not self._is_deaf:
            self._broker.route(gateway, kind, payload)

    def deliver(self, gateway: str, kind: Kind, payload: bytes, retained: bool = False) -> None:
        """From the broker to the client."""
        if self._world.likely(self._plan.loss):
            return
        session = self.session
        for delay_ms in self._delays("down"):
            self._world.after(delay_ms, lambda: self._reaches(session, gateway, kind, payload, retained))

    def _reaches(self, session: int, gateway: str, kind: Kind, payload: bytes, retained: bool) -> None:
        if session == self.session and not self._is_deaf:
            self._client.message_came(gateway, kind, payload, retained)

    def _delays(self, way: str) -> list[int]:
        """When it comes, and when once more."""
        now_ms = self._world.now_ms
        delay_ms = self._world.between(*self._plan.delay_ms)
        if not self._world.likely(self._plan.reorder):
            self._in_order_ms[way] = max(self._in_order_ms[way], now_ms + delay_ms)
            delay_ms = self._in_order_ms[way] - now_ms
        return [delay_ms, delay_ms + self._world.between(0, 5000)] if self._world.likely(self._plan.double) else [delay_ms]


class Broker:
    """Routes between the collector and the gateways."""

    def __init__(self, world: World, plan: Plan) -> None:
        self.world, self.plan = world, plan
        self.is_up = True
        self.connections: list[Connection] = []
        self._retained: dict[tuple[str, Kind], bytes] = {}
        self._saved: dict[tuple[str, Kind], bytes] = {}

    def connection(self, client: Client, gateway: str = "") -> Connection:
        """A new program's connection, not opened yet."""
        made = Connection(self, client, gateway)
        self.connections.append(made)
        return made

    def route(self, gateway: str, kind: Kind, payload: bytes) -> None:
        """Passes a message on to whoever is subscribed at this moment."""
        if not self.is_up:
            return
        if kind in RETAINED:
            self._retained[gateway, kind] = payload
            if self.world.likely(0.2):
                self._saved = dict(self._retained)
        to_agent = kind in (Kind.RECEIPT, Kind.CMD)
        for connection in self.connections:
            if connection.is_up and connection.gateway == (gateway if to_agent else ""):
                connection.deliver(gateway, kind, payload)

    def subscribed(self, connection: Connection) -> None:
        """Retained messages go to a new subscriber."""
        for (gateway, kind), payload in self._retained.items():
            if connection.gateway == (gateway if kind is Kind.RECEIPT else ""):
                connection.deliver(gateway, kind, payload, retained=True)

    def die(self, away_ms: int | None = None) -> None:
        """Forgets everything under way; retained messages are lost, or old ones come back. away_ms: else as planned."""
        self.is_up = False
        self._retained = dict(self._saved) if self.world.likely(self.plan.stale_retained) else {}
        for connection in self.connections:
            if connection.is_up:
                connection.drop()
        self.world.after(self.world.between(500, self.plan.broker_away_ms) if away_ms is None else away_ms, self._back)

    def _back(self) -> None:
        self.is_up = True
