"""Pure. A simulated broker with its links: delay, loss, doubling, reordering, half-open connections, death with queues lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edge_agent.contract.topics import RETAINED, Kind
from tests.sim.world import World


class Client(Protocol):
    """A program at the broker."""

    def link_up(self) -> None:
        """Connected and subscribed."""
        ...

    def link_down(self) -> None:
        """The session is gone."""
        ...

    def message(self, kind: Kind, payload: bytes, retained: bool) -> None:
        """Something came."""
        ...


@dataclass(slots=True)
class Rates:
    """How bad the network is. Shares of messages; delays in ms."""

    loss: float = 0.0
    doubling: float = 0.0
    delay_ms: int = 50
    jitter_ms: int = 0


class Link:
    """One client's connection. It comes back by itself after a loss."""

    def __init__(self, world: World, client: Client, broker: Broker) -> None:
        self._world, self._client, self._broker = world, client, broker
        self.session = 0
        self.is_up = self.is_half_open = False
        self.is_wanted = True

    def connect(self) -> None:
        """A session, if the broker lives and the program runs."""
        if self.is_up or not self.is_wanted:
            return
        if not self._broker.is_alive:
            self._world.after(self._world.chance.randint(500, 5000), self.connect)
            return
        self.session += 1
        self.is_up, self.is_half_open = True, False
        self._client.link_up()
        self._broker.subscribed(self)

    def cut(self, back_ms: int) -> None:
        """The session ends; the next one is tried after back_ms."""
        if self.is_up:
            self.is_up = False
            self.session += 1
            if self.is_wanted:
                self._client.link_down()
        self._world.after(back_ms, self.connect)

    def halve(self, notice_ms: int, back_ms: int) -> None:
        """Nothing passes any more, and the client learns of it only later."""
        session = self.session
        self.is_half_open = True
        self._world.after(notice_ms, lambda: self.cut(back_ms) if self.session == session else None)

    def carry(self, call: Callable[[], None]) -> None:
        """One message over this link, in either direction."""
        rates = self._broker.rates
        copies = 0 if self._world.happens(rates.loss) else 2 if self._world.happens(rates.doubling) else 1
        session = self.session
        for _ in range(copies if self.is_up and not self.is_half_open else 0):
            delay_ms = rates.delay_ms + self._world.chance.randint(0, rates.jitter_ms)
            self._world.after(delay_ms, lambda: call() if self.session == session and self.is_up else None)

    def deliver(self, kind: Kind, payload: bytes, retained: bool) -> None:
        """From the broker to the client."""
        self.carry(lambda: self._client.message(kind, payload, retained))


class Broker:
    """Knows one gateway's branch. Who publishes is told by the link."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.rates = Rates()
        self.is_alive = True
        self.links: list[Link] = []
        self._retained: dict[Kind, bytes] = {}
        self._stale: dict[Kind, bytes] = {}

    def add(self, client: Client) -> Link:
        """A link for the client, not connected yet."""
        link = Link(self._world, client, self)
        self.links.append(link)
        return link

    def publish(self, sender: Link, kind: Kind, payload: bytes) -> None:
        """From a client to everybody else."""
        sender.carry(lambda: self._pass_on(sender, kind, payload))

    def subscribed(self, link: Link) -> None:
        """Sends what is retained."""
        for kind, payload in self._retained.items():
            link.deliver(kind, payload, True)

    def die(self, back_ms: int) -> None:
        """kill -9: sessions and queues are gone, what was retained is there, stale, or gone."""
        self.is_alive = False
        self._retained = self._world.chance.choice([self._retained, self._stale, {}])
        for link in self.links:
            link.cut(back_ms + self._world.chance.randint(0, 3000))
        self._world.after(back_ms, self._live)

    def _live(self) -> None:
        self.is_alive = True

    def _pass_on(self, sender: Link, kind: Kind, payload: bytes) -> None:
        if not self.is_alive:
            return
        if kind in RETAINED:
            if self._world.happens(0.2):
                self._stale = dict(self._retained)
            self._retained[kind] = payload
        for link in self.links:
            if link is not sender:
                link.deliver(kind, payload, False)
