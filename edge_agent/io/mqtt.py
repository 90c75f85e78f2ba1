"""Does I/O: keeps a session with one of the site's brokers, for as long as the agent runs.

Brokers are tried in the order of the site file, from the first one after every loss; between rounds the wait doubles from 1 s to
30 s, with chance in it, and starts anew after a session that held. While a later broker serves, those before it are knocked at
(preferred.py), and the first that opens is gone back to. Only complete, checked messages reach `on_event`.
"""

from __future__ import annotations

import ipaddress
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edge_agent.common.problem import Problem
from edge_agent.contract.encoding import Malformed, decode_command, decode_receipt, decode_time
from edge_agent.contract.message import Command, Receipt, TimeTell
from edge_agent.contract.topics import Kind
from edge_agent.delivery.machine import Key
from edge_agent.io.air import Air
from edge_agent.io.mqtt_session import Identity, LinkFailed, Session
from edge_agent.io.mqtt_tls import OF_DATES, by_a_clock_of_its_own
from edge_agent.io.preferred import Knocking
from edge_agent.model.points import Broker

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
LONGEST_RETURN_S = 6 * 3600.0
HELD_S = 30.0
"""A session that held as long starts the waits anew."""


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Connected and subscribed."""

    broker: str


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The session is gone. next_try_s: how long until the next one is tried."""

    next_try_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LinkTrouble:
    """No session came about, for a reason that was not told since the last session. next_try_s: until another is tried."""

    problem: Problem
    next_try_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LinkTook:
    """The broker acknowledged this message (QoS 1)."""

    key: Key


LinkEvent = LinkUp | LinkDown | LinkTrouble | LinkTook | Receipt | TimeTell | Command


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """What `edge-agent status` shows of the link."""

    up: bool = False
    broker: str = ""
    """host:port of the session, or the last one tried."""
    sessions: int = 0
    malformed: int = 0
    refused: int = 0
    """Messages that the broker acknowledged with a failure code (MQTT 5, QoS 1)."""
    unheard: int = 0
    """Messages of which the broker said that nobody listens to them (MQTT 5, QoS 1)."""
    dates_checked: bool = True
    """False: the dates of the broker's certificate are not checked, because nobody keeps the machine's clock in step."""
    problem: Problem | None = None
    """Why there is no session at present."""
    next_try_s: float | None = None
    """How long until a session is tried again; None while one is up or being tried."""
    air_bytes: int = 0
    """On the air since the start, both directions, IP and TCP headers and TLS included (io/air.py); never shrinks."""
    air_open_bytes: int = 0
    """Of these: opening connections and closing them, also in vain."""
    air_keepalive_bytes: int = 0
    """Of these: keep-alive."""


def plain_text_problems(brokers: Sequence[Broker]) -> list[Problem]:
    """NET301 for each broker beyond loopback that is spoken to without TLS."""
    return [
        Problem(
            "NET301",
            f"{broker.host}:{broker.port}",
            "Readings, commands and the password travel in the clear: this broker is not on this machine and TLS is not set.",
            "give the broker a `tls:` section with ca (and cert, key) in the site file",
        )
        for broker in brokers
        if broker.tls is None and not _is_loopback(broker.host)
    ]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Backoff:
    """Waits between rounds: doubling, each drawn between half of it and the whole."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._round = 0

    def next_s(self) -> float:
        """The wait before the next round."""
        longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * float(1 << min(self._round, 10)))
        self._round += 1
        return longest * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """The next wait is the first one again."""
        self._round = 0


class Publisher:
    """The agent's link to its broker. `on_event` is called on the link's own thread."""

    def __init__(
        self,
        identity: Identity,
        brokers: Sequence[Broker],
        in_flight: int,
        on_event: Callable[[LinkEvent], None],
        rng: random.Random,
        *,
        data_qos: int = 1,
        return_s: float = 600.0,
        clock_kept: Callable[[], bool] = lambda: True,
        certain_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        """data_qos: of `data`; with 1 each batch that the broker acknowledges is a LinkTook. return_s: see preferred.py.

        clock_kept: whether somebody keeps the machine's clock in step, so that dates of certificates can be judged (mqtt_tls.py).
        certain_ms: UTC that has passed for certain, for connections without the dates.
        """
        self._clock_kept, self._certain_ms = clock_kept, certain_ms
        self._dateless: set[str] = set()
        """Brokers whose certificate does not hold by a clock that nobody keeps."""
        self._identity = identity
        self._brokers = tuple(brokers)
        self._in_flight = in_flight
        self._on_event = on_event
        self._data_qos = data_qos
        self._return_s = return_s
        self._backoff = Backoff(rng)
        self._stopping = threading.Event()
        self._session: Session | None = None
        self._figures = LinkFigures()
        self._refused_before = self._unheard_before = 0
        self._air_before = Air()
        self._count = threading.Lock()
        """Between a session's end and its sum."""
        self._told = ""
        self._return_after_s = return_s
        """Grows while a preferred broker opens its door and then refuses the session."""
        self._returning = False
        self._next_try_at_s: float | None = None
        """Monotonic; None while a session is up or being tried."""
        self._plain: dict[str, bool] = {}
        """Brokers that did not take MQTT 5 last time, by address."""
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(self) -> None:
        """Begins to connect."""
        self._thread.start()

    def stop(self, timeout_s: float = 3.0) -> None:
        """Says `offline` and disconnects; gives up after timeout_s, then the last will says the same."""
        self._stopping.set()
        session = self._session
        if session is not None:
            if session.is_up:
                session.end()
            else:
                session.abort()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        session = self._session
        if self._thread.is_alive() and session is not None:
            session.abort()
            self._thread.join(1.0)

    def publish(self, kind: Kind, payload: bytes, key: Key | None = None) -> bool:
        """Hands one message to the session; False when there is none. Retained where the contract says so."""
        session = self._session
        qos = self._data_qos if kind is Kind.DATA else 1
        return session is not None and session.publish(kind, payload, qos=qos, key=key)

    @property
    def figures(self) -> LinkFigures:
        """The state of the link now."""
        with self._count:
            session, at_s = self._session, self._next_try_at_s
            refused = self._refused_before + (session.refused if session else 0)
            unheard = self._unheard_before + (session.unheard if session else 0)
            air = self._air_before + session.air if session else self._air_before
        return replace(
            self._figures,
            up=session is not None and session.is_up,
            refused=refused,
            unheard=unheard,
            next_try_s=None if at_s is None else round(max(0.0, at_s - time.monotonic()), 1),
            air_bytes=air.total_bytes,
            air_open_bytes=air.open_bytes,
            air_keepalive_bytes=air.keepalive_bytes,
        )

    # --- the link's thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        at = 0
        while not self._stopping.is_set():
            wait_s = self._one_session(at)
            if self._stopping.wait(wait_s):
                return
            at = at + 1 if not wait_s and not self._returning and at + 1 < len(self._brokers) else 0

    def _one_session(self, at: int) -> float:
        """Runs one session to its end; how long to wait in s before the next round, 0 where the next broker is tried at once."""
        broker = self._brokers[at]
        address = f"{broker.host}:{broker.port}"
        spoken = replace(broker, version=self._version_for(broker))
        dates = address not in self._dateless or self._clock_kept()
        session = Session(
            self._identity,
            spoken,
            self._in_flight,
            on_up=lambda: self._came_up(address),
            on_message=self._message,
            on_taken=lambda key: self._on_event(LinkTook(key)),
            without_dates_from_ms=None if dates else self._certain_ms(),
        )
        before, began_s, failed = self._figures.sessions, time.monotonic(), None
        is_return = self._returning
        self._figures = replace(self._figures, broker=address, dates_checked=dates)
        self._session, self._next_try_at_s, self._returning = session, None, False
        knocking = self._knock_from(at, session)
        try:
            session.run()
        except LinkFailed as failure:
            refused = failure.problem.code == "NET303"
            if refused or failure.problem.code == "NET302":  # some brokers say nothing at all to an MQTT 5 CONNECT
                self._plain[address] = spoken.version == "5"
            if not (refused and broker.version == "auto" and spoken.version == "5"):
                failed = failure.problem
            if failure.problem.code in OF_DATES and not self._clock_kept():
                self._dateless.add(address)
                failed = by_a_clock_of_its_own(failure.problem) if dates else failed
        knocking.stop()
        with self._count:
            self._session = None
            self._refused_before += session.refused
            self._unheard_before += session.unheard
            self._air_before += session.air + knocking.air
        was_up = self._figures.sessions > before
        if at == 0 and was_up:
            self._return_after_s = self._return_s
        elif at == 0 and is_return:  # its door opened to a knock; while every broker is away nobody knocks, and nothing is learnt
            self._return_after_s = min(2 * self._return_after_s, LONGEST_RETURN_S)
        if was_up and time.monotonic() - began_s >= HELD_S:
            self._backoff.reset()
        is_last = at + 1 == len(self._brokers)
        wait_s = self._backoff.next_s() if (was_up or is_last) and not self._returning else 0.0
        self._next_try_at_s = time.monotonic() + wait_s
        if failed is not None:
            self._trouble(failed, wait_s)
        if was_up:
            self._on_event(LinkDown(wait_s))
        return wait_s

    def _knock_from(self, at: int, session: Session) -> Knocking:
        """Knocks at the brokers that are preferred to the one at `at`, while the session lasts."""

        def go_back() -> None:
            self._returning = True
            session.end()

        knocking = Knocking(self._brokers[:at], self._return_after_s, lambda: session.is_up, go_back)
        knocking.start()
        return knocking

    def _version_for(self, broker: Broker) -> Literal["5", "3.1.1"]:
        """The protocol version to speak now: with `auto` the other one after each failure, beginning with 5."""
        if broker.version != "auto":
            return broker.version
        return "3.1.1" if self._plain.get(f"{broker.host}:{broker.port}") else "5"

    def _came_up(self, address: str) -> None:
        self._figures = replace(self._figures, sessions=self._figures.sessions + 1, problem=None)
        self._told = ""
        self._on_event(LinkUp(address))

    def _trouble(self, problem: Problem, next_try_s: float) -> None:
        self._figures = replace(self._figures, problem=problem)
        if problem.code + problem.where not in self._told.split():
            self._told += f" {problem.code}{problem.where}"
            self._on_event(LinkTrouble(problem, next_try_s))

    def _message(self, kind: Kind, payload: bytes) -> None:
        try:
            if kind is Kind.RECEIPT:
                event: LinkEvent = decode_receipt(payload)
            elif kind is Kind.CMD:
                event = decode_command(payload)
            else:
                answer = decode_time(payload)
                if not isinstance(answer, TimeTell):
                    return  # the agent's own question, back from the broker
                event = answer
        except Malformed:
            self._figures = replace(self._figures, malformed=self._figures.malformed + 1)
            return
        self._on_event(event)
