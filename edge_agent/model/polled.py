"""Pure. What a polling keeps of each device and request, and the turns that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.model.blocks import Block
from edge_agent.model.bus_figures import DeviceFigures
from edge_agent.model.health import DeviceHealth
from edge_agent.model.lessons import Cut, Lessons
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
    is_known: bool = False
    """It was asked who it is since it began to answer, or it cannot tell."""
    retry_ms: int = 0
    """When a hole is tried again."""

    @staticmethod
    def of(device: Device, now_ms: int) -> Polled:
        """One that nothing was said to."""
        return Polled(
            device,
            DeviceHealth(device, now_ms),
            LinkHealth(device),
            Preparation(device),
            Answers(now_ms),
            is_known=not device.identifies,
        )


@dataclass(slots=True, eq=False)
class Request:
    """One request of the plan, as it stands."""

    number: int
    device: Polled
    turns: Turns
    refusals: int = 0
    set_aside: bool = False
    slowed: bool = False
    cut: Cut | None = None
    """It is a part of a refused one, and has not shown yet whether it works."""
    spent_ms: int | None = None
    """What its last turn took, with steps and repeats."""

    def void(self) -> None:
        """The fault is within it: of the cut that it is a part of nothing is learned."""
        self.cut = None

    @property
    def block(self) -> Block:
        """What it asks now, or asked last."""
        return self.turns.block

    @property
    def is_whole(self) -> bool:
        """True if all that it may ever read was asked last."""
        return len(self.block.points) == len(self.poll.whole.points)

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


def figures_of(device: Polled, requests: Sequence[Request], lessons: Lessons, probe_interval_ms: int, now_ms: int) -> DeviceFigures:
    """How a device is. requests: all of its own."""
    health, link = device.health, device.link
    return DeviceFigures(
        id=device.settings.id,
        state=health.state,
        since_ms=health.since_ms,
        reason=health.reason,
        turnaround_p50_ms=link.turnaround_ms(0.5),
        turnaround_p95_ms=link.turnaround_ms(0.95),
        refused=tuple(point.id for request in requests if request.set_aside for point in request.block.points),
        holes=tuple(hole.words for hole in lessons.holes),
        firmware=lessons.firmware,
        probe_interval_ms=probe_interval_ms,
        timeouts=link.timeouts,
        errors=link.errors,
        exceptions=link.exceptions,
        busy_share=device.answers.busy.share(now_ms),
        points=health.points,
    )
