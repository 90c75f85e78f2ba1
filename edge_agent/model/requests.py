"""Pure. The requests of a bus as they stand, and their places in its schedule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from edge_agent.model.lessons import Cut
from edge_agent.model.pace import Pace
from edge_agent.model.poll import Poll, Turns
from edge_agent.model.polled import Polled, Request
from edge_agent.model.schedule import Schedule


class Requests:
    """Of one bus."""

    def __init__(self, schedule: Schedule[int], pace: Pace, began_ms: int) -> None:
        """began_ms: phases count from here."""
        self._schedule = schedule
        self._pace = pace
        self._began_ms = began_ms
        self._all: dict[int, Request] = {}
        self._numbers = 0

    def __getitem__(self, number: int) -> Request:
        return self._all[number]

    def __iter__(self) -> Iterator[Request]:
        return iter(self._all.values())

    def of(self, device: Polled) -> list[Request]:
        """Those of one device."""
        return [request for request in self._all.values() if request.device is device]

    def add(self, device: Polled, poll: Poll, first_ms: int) -> Request:
        """A request that is made at first_ms, whatever its phase, so that nobody waits for the first values."""
        self._numbers += 1
        made = self._all[self._numbers] = Request(self._numbers, device, Turns(poll))
        self._schedule.add(self._numbers, device.settings.id, poll.period_ms, first_ms, self._began_ms + poll.phase_ms)
        return made

    def replace(self, request: Request, parts: Sequence[Poll], now_ms: int, cut: Cut | None = None) -> None:
        """These requests stand for one, and are made at once. cut: between them."""
        request.void()
        self.remove(request)
        for part in parts:
            self.add(request.device, part, now_ms).cut = cut

    def remove(self, request: Request) -> None:
        """It is not made any more."""
        self._schedule.remove(request.number)
        self._pace.forget(request.number)
        del self._all[request.number]

    def slow(self, request: Request, period_ms: int, first_ms: int) -> None:
        """It is made more rarely: at first_ms, and so far apart."""
        request.void()
        self._pace.forget(request.number)
        self._schedule.add(request.number, request.device.settings.id, period_ms, first_ms)

    def on_grid(self, request: Request, now_ms: int) -> None:
        """It goes back to its period: its next turn is the next instant of its grid."""
        period_ms, origin_ms = request.poll.period_ms, self._began_ms + request.poll.phase_ms
        next_ms = origin_ms + ((now_ms - origin_ms) // period_ms + 1) * period_ms
        self._schedule.add(request.number, request.device.settings.id, period_ms, next_ms, origin_ms)

    def follow(self, device: Polled, polls: Iterable[Poll], now_ms: int) -> None:
        """A device's requests become these; those that stay go on as they were, new ones are made at once."""
        wanted = {poll.key: poll for poll in polls}
        for request in self.of(device):
            if not request.set_aside and wanted.pop(request.poll.key, None) is None:
                self.remove(request)
        for poll in wanted.values():
            self.add(device, poll, now_ms)
