"""Pure. What a running bus learns of its devices, and when its plan follows: never while a request of the device is in doubt.

refused twice --> cut in two --> both parts work      --> a hole is between them
                            \\-> a part is refused too --> cut further, or a point that is not there
no part is in doubt any more --> the device is planned anew, around its holes and without the points it does not have
once a day                   --> the hole that rested longest is left out of the plan; where it is there still it is found again
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edge_agent.model.blocks import Block
from edge_agent.model.bus_plan import BusPlan, Planned
from edge_agent.model.health import NOTHING, Told, both
from edge_agent.model.lessons import NO_LESSONS, Lessons, LessonsOf
from edge_agent.model.pace import Pace
from edge_agent.model.poll import alone
from edge_agent.model.polled import Polled, Request
from edge_agent.model.requests import Requests
from edge_agent.model.schedule import Schedule

REFUSED_PERIOD_MS = 3_600_000
"""How often a refused point is tried again."""
_RETRY_MS = 24 * 3_600_000
"""How often one hole of a device is tried again."""
_LOOK_MS = 60_000
"""How often it is asked whether what was measured makes another plan."""


class Learning:
    """Of one bus."""

    def __init__(self, plan: BusPlan, requests: Requests, schedule: Schedule[int], pace: Pace, now_ms: int) -> None:
        self._plan = plan
        self._requests = requests
        self._schedule = schedule
        self._pace = pace
        self._looked_ms = now_ms
        self._devices: Sequence[Polled] = ()
        self._waiting: dict[str, Lessons] = {}
        """What is known of devices and not in the plan yet."""
        self.lessons: LessonsOf = {}
        """What is known of each device of which anything is."""
        pace.begin(plan.fastest_ms)
        self.planned: Planned = plan.now()
        """The plan in force."""

    def begin(self, devices: Sequence[Polled], seed: int, now_ms: int) -> Told:
        """The first requests. What was refused in earlier runs is refused still, and is asked for within the hour."""
        told, self._devices = NOTHING, devices
        for number, device in enumerate(devices):
            device.retry_ms = now_ms + _RETRY_MS // 24 * (1 + (seed + number) % 23)
            for poll in self._plan.polls_of(device.settings.id):
                self._requests.add(device, poll, now_ms)
            for place, (atom, code) in enumerate(self._plan.refused_of(device.settings.id)):
                request = self._requests.add(device, alone(atom.period_ms, [atom]), now_ms)
                request.set_aside = True
                wait_ms = REFUSED_PERIOD_MS * (1 + (seed + 7 * place) % 60) // 60
                self._requests.slow(request, REFUSED_PERIOD_MS, now_ms + wait_ms)
                told = both(told, *(device.health.point_refused(point, now_ms, code) for point in atom.points))
        self._publish()
        return told

    def look(self, now_ms: int) -> None:
        """Once a minute: what was measured and learned goes into the plan, and now and then a hole is tried again."""
        if now_ms - self._looked_ms < _LOOK_MS:
            return
        self._looked_ms = now_ms
        for device in self._devices:
            id, measured_ms = device.settings.id, device.answers.measured_ms
            if id in self._waiting:
                self.settle(device, now_ms)
                continue
            if not self._may_change(device):
                continue
            lessons = self._plan.lessons_of(id)
            if lessons.holes and now_ms >= device.retry_ms:
                device.retry_ms = now_ms + _RETRY_MS
                self._plan.forget_refused(id)
                self._learn(device, lessons.without_oldest_hole(), now_ms)
            elif measured_ms is not None and self._plan.is_news(id, measured_ms):
                if self._plan.measured(id, measured_ms):
                    self._requests.follow(device, self._plan.polls_of(id), now_ms)
                self._publish()

    def of(self, device: Polled) -> Lessons:
        """With what is not in the plan yet."""
        return self._waiting.get(device.settings.id, self._plan.lessons_of(device.settings.id))

    def cut(self, request: Request, block: Block) -> None:
        """A request for several points was refused; it is cut in two."""
        self._plan.refused(request.device.settings.id, block)

    def refused(self, request: Request, code: int, now_ms: int) -> None:
        """The device does not have the points of a request."""
        self._learn(request.device, self.of(request.device).with_refused(request.poll.whole.points, code), now_ms)

    def accepted(self, request: Request, now_ms: int) -> None:
        """It has them after all."""
        self._plan.forget_refused(request.device.settings.id)
        self._learn(request.device, self.of(request.device).with_accepted(request.poll.whole.points), now_ms)

    def worked(self, request: Request, now_ms: int) -> None:
        """A request gave its values; of one that was cut it may be a part."""
        if request.cut is None or not request.is_whole:
            return
        hole, request.cut = request.cut.worked(), None
        if hole is not None:
            self._learn(request.device, self.of(request.device).with_hole(hole), now_ms)
        else:
            self.settle(request.device, now_ms)

    def identified(self, device: Polled, firmware: str, now_ms: int) -> None:
        """The device said who it is; empty: it cannot. Of another one no hole is known, and refused points are tried at once."""
        device.is_known = True
        lessons = self.of(device)
        if not firmware or firmware == lessons.firmware:
            return
        if lessons.firmware:
            lessons = replace(lessons, holes=())
            self._plan.forget_refused(device.settings.id)
            for request in self._requests.of(device):
                if request.set_aside:
                    self._schedule.hurry(request.number, now_ms)
        self._learn(device, replace(lessons, firmware=firmware), now_ms)

    def settle(self, device: Polled, now_ms: int) -> None:
        """As soon as no request is in doubt the device is planned anew with what is known."""
        id = device.settings.id
        if id not in self._waiting or not self._may_change(device):
            return
        lessons = self._waiting.pop(id)
        if self._plan.learned(id, lessons):
            self._requests.follow(device, self._plan.polls_of(id), now_ms)
        self._publish()

    def _learn(self, device: Polled, lessons: Lessons, now_ms: int) -> None:
        self._waiting[device.settings.id] = lessons
        self.settle(device, now_ms)
        self._publish()

    def _may_change(self, device: Polled) -> bool:
        """True if it answers, and none of its requests shows or is about to show a fault."""
        if device.health.state != "ok":
            return False
        return not any(request.cut is not None or request.slowed for request in self._requests.of(device))

    def _publish(self) -> None:
        if self._plan.is_changed:
            self.planned = self._plan.now()
            self._pace.begin(self._plan.fastest_ms)
        known = {device.settings.id: self.of(device) for device in self._devices}
        self.lessons = {id: lessons for id, lessons in known.items() if lessons != NO_LESSONS}
