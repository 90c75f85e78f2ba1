"""Does I/O: takes what comes over the link: to delivery, to the clock, and commands, which it answers."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from edge_agent.contract.encoding import encode
from edge_agent.contract.message import VERSION, Command, Receipt, Reply, TimeTell
from edge_agent.contract.topics import Kind
from edge_agent.delivery.machine import BrokerTook, Connected, Disconnected, ReceiptCame, SendBirth
from edge_agent.io.delivery_loop import DeliveryLoop
from edge_agent.io.logs import logger, say, say_problem
from edge_agent.io.mqtt import LinkDown, LinkEvent, LinkTook, LinkTrouble, LinkUp, Publisher
from edge_agent.io.time_source import TimeSource

MAX_COMMANDS = 64
"""Commands that wait; more are dropped, their senders ask again."""


class LinkDesk:
    """`receive` is called on the link's thread, `serve` on the supervisor's."""

    def __init__(self, delivery: DeliveryLoop, link: Publisher, time: TimeSource, status: Callable[[], Mapping[str, Any]]) -> None:
        self._delivery = delivery
        self._link = link
        self._time = time
        self._status = status
        self._commands: deque[Command] = deque(maxlen=MAX_COMMANDS)
        self._rest = threading.Event()
        self._log = logger("link")

    def receive(self, event: LinkEvent) -> None:
        """One event of the link; never waits."""
        match event:
            case LinkUp():
                say(self._log, logging.INFO, "link.up", event.broker)
                self._delivery.must(Connected())
            case LinkDown():
                say(self._log, logging.WARNING, "link.down", f"readings are kept until it is back; {_next_try(event.next_try_s)}")
                self._delivery.must(Disconnected())
            case LinkTrouble():
                problem = replace(event.problem, do=f"{event.problem.do} ({_next_try(event.next_try_s)})")
                say_problem(self._log, logging.WARNING, problem)
            case LinkTook():
                self._delivery.may(BrokerTook(event.key))
            case Receipt():
                self._delivery.may(ReceiptCame(event))
            case TimeTell():
                self._time.told(event)
            case Command():
                self._commands.append(event)

    def serve(self) -> None:
        """Carries out the commands that came."""
        while self._commands:
            command = self._commands.popleft()
            self._link.publish(Kind.REPLY, encode(self._answer(command)))

    def pause(self, seconds: float) -> None:
        """Rests for a moment."""
        self._rest.wait(seconds)

    def _answer(self, command: Command) -> Reply:
        utc_ms = self._time.utc_ms()
        if command.until is not None and (utc_ms is None or utc_ms > command.until):
            return Reply(VERSION, command.id, ok=False, problem="too late, or the agent does not know the time")
        if command.name == "ping":
            return Reply(VERSION, command.id, ok=True)
        if command.name == "birth":
            self._delivery.must(SendBirth())
            return Reply(VERSION, command.id, ok=True)
        if command.name == "status":
            return Reply(VERSION, command.id, ok=True, result=_flat(self._status()))
        return Reply(VERSION, command.id, ok=False, problem=f"unknown command {command.name[:40]!r}: birth, ping, status")


def _next_try(seconds: float) -> str:
    return f"next try in {seconds:.0f} s" if seconds else "next try at once"


def _flat(body: Mapping[str, Any]) -> dict[str, float | int | bool | str | None]:
    """`delivery.depth` and the like; lists and the series table stay away."""
    found: dict[str, float | int | bool | str | None] = {}
    for part, value in body.items():
        if isinstance(value, str | int | float | bool | None):
            found[part] = value
        elif part in {"clock", "link", "delivery"} and isinstance(value, Mapping):
            found |= {f"{part}.{name}": x for name, x in value.items() if isinstance(x, str | int | float | bool | None)}
    return found
