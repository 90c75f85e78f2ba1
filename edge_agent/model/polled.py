"""Pure. What a polling keeps of each device and request, and the turns that it gives."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.model.blocks import Block
from edge_agent.model.health import DeviceHealth
from edge_agent.model.link_health import LinkHealth
from edge_agent.model.pace import Answers
from edge_agent.model.points import Device
from edge_agent.model.poll import Poll, Turns
from edge_agent.model.preparation import Ahead, Preparation


@dataclass(slots=True, eq=False)
class Polled:
    """One device, as it stands."""

    settings: Device
    health: DeviceHealth
    link: LinkHealth
    preparation: Preparation
    answers: Answers
    failures: int = 0
    """Requests without answer since the last answer."""
    spoken_ms: int | None = None
    """When something was last said to it."""

    @staticmethod
    def of(device: Device, now_ms: int) -> Polled:
        """One that nothing was said to."""
        return Polled(device, DeviceHealth(device, now_ms), LinkHealth(device), Preparation(device), Answers(now_ms))


@dataclass(slots=True, eq=False)
class Request:
    """One request of the plan, as it stands."""

    number: int
    device: Polled
    turns: Turns
    refusals: int = 0
    set_aside: bool = False
    slowed: bool = False
    spent_ms: int | None = None
    """What its last turn took, with steps and repeats."""

    @property
    def block(self) -> Block:
        """What it asks now, or asked last."""
        return self.turns.block

    @property
    def poll(self) -> Poll:
        """All that it asks over time."""
        return self.turns.poll


@dataclass(frozen=True, slots=True)
class Turn:
    """One request whose turn it is. retries: how often it is sent again where nothing or nonsense comes."""

    request: Request
    block: Block
    retries: int
    is_probe: bool = False
    is_keepalive: bool = False
    """Asked so that the device does not miss its master: nobody waits for the values."""
    steps: tuple[Ahead, ...] = ()
    """To be taken first."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What an exchange met with on the line, retries included."""

    timeouts: int = 0
    errors: int = 0
    exceptions: int = 0


@dataclass(frozen=True, slots=True)
class Came:
    """When an answer came. taken_ms: its last byte, monotonic."""

    taken_ms: int
    turnaround_ms: int | None = None
    """From the last byte of the request to the first of the reply."""
    reply_ms: int | None = None
    """From the last byte of the request to the last of the reply."""
