"""Does I/O: the thread of one bus. Asks what the polling says, hands on readings and events, keeps the link open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge_agent.bus_framing import OtherFraming
from edge_agent.common.clock import Clock
from edge_agent.io.adapter import adapter_lag_us
from edge_agent.io.link import Driver, Link, Stopped, Watch, open_link
from edge_agent.model.bus_figures import BusFigures, Busy
from edge_agent.model.bus_plan import Forecasts
from edge_agent.model.health import NOTHING, Told
from edge_agent.model.instants import Instants
from edge_agent.model.lessons import NOTHING_LEARNED, LessonsOf
from edge_agent.model.line_cost import cost_of
from edge_agent.model.points import Bus, Serial, Tcp
from edge_agent.model.polling import Came, Polled, Polling, Seen, Turn
from edge_agent.model.reading import Happening, Reading
from edge_agent.model.schedule import Wait
from edge_agent.protocols.modbus import CONFIGURATION_CODES, Ask, Master, Span
from edge_agent.protocols.modbus_steps import rest, step
from edge_agent.protocols.session import Garbled, LinkDown, Refused, Silence, after

OnReadings = Callable[[Sequence[Reading]], None]
OnHappenings = Callable[[Sequence[Happening]], None]

_IDLE_MS = 200
"""The longest wait between two looks at the clock."""
_BACKOFF_FIRST_MS, _BACKOFF_MOST_MS = 1000, 30_000
_BACKOFF_SERIAL_MS = 5000
"""To look whether an adapter is plugged in costs next to nothing."""
_RESTED_MS = 30_000
_SNAPSHOT_MS = 500
_SILENCES_TO_REOPEN = 3
_REVISION, _FIRMWARE_CHARACTERS = 2, 120
"""The last text of function 43/14 that tells one firmware from another."""


class BusRunner:
    """Runs one bus: `run` in its own thread, `figures` from any."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        on_readings: OnReadings,
        on_happenings: OnHappenings,
        seed: int,
        link: Link | None = None,
    ) -> None:
        """seed: of the jitter of probes. link: to be used instead of the bus's own.

        Raises ProblemError BUS110 where points cannot be read as the site file wants.
        """
        now_ms = clock.monotonic_ms()
        self._bus = bus
        self._clock = clock
        self._on_readings = on_readings
        self._on_happenings = on_happenings
        self._seed = seed
        self._polling = self._polling_with(NOTHING_LEARNED)
        self._untold = self._polling.first
        self._instants = Instants()
        self._link: Link = open_link(bus) if link is None else link
        self._master = Master(bus.framing)
        self._down = ""
        self._down_since_ms = now_ms
        self._retry_ms = now_ms
        self._backoff_ms = _BACKOFF_FIRST_MS
        self._backoff_most_ms = _BACKOFF_SERIAL_MS if isinstance(bus.link, Serial) else _BACKOFF_MOST_MS
        self._place_before = ""
        self._silences = 0
        self._framing = OtherFraming(bus, self._link, clock)
        self._hint = ""
        self._was_answering = False
        """An answer came since the link was last lost."""
        self._busy = Busy(now_ms)
        self._forecasts = Forecasts()
        self._progress_ms = now_ms
        self._shown_ms = now_ms
        self._figures = self._snapshot(now_ms)

    def remember(self, lessons: LessonsOf) -> None:
        """Before it runs: what earlier runs learned of its devices."""
        self._polling = self._polling_with(lessons)
        self._untold = self._polling.first

    def lessons(self) -> LessonsOf:
        """What is known of its devices, for later runs."""
        return self._polling.lessons

    def _polling_with(self, lessons: LessonsOf) -> Polling:
        now_ms, lag_us = self._clock.monotonic_ms(), adapter_lag_us(self._bus)
        return Polling(self._bus, self._seed, now_ms, cost_of(self._bus, lag_us), lessons)

    def run(self, stop: threading.Event) -> None:
        """Reads until `stop`; an exchange under way is given up. A defect propagates."""
        driver = Driver(self._link, self._clock, stop, self._master.connected)
        try:
            while not stop.is_set():
                stop.wait(self._turn(driver) / 1000)
        except Stopped:
            return
        finally:
            self._link.close()

    def figures(self) -> BusFigures:
        """The state half a second ago at most, while the bus runs."""
        return self._forecasts.beside(replace(self._figures, last_progress_ms=self._progress_ms), self._polling.planned)

    def _turn(self, driver: Driver) -> int:
        """One request, or none where nothing is due; how long to wait before the next turn, ms."""
        now_ms = self._clock.monotonic_ms()
        self._progress_ms = now_ms
        if now_ms - self._shown_ms >= _SNAPSHOT_MS:
            self._shown_ms = now_ms
            self._figures = self._snapshot(now_ms)
        self._polling.look(now_ms)
        untold, self._untold = self._untold, NOTHING
        self._tell(untold)
        if readings := self._polling.link_readings(now_ms):
            self._on_readings(readings)
        if not self._is_up(now_ms):
            return _IDLE_MS
        turn = self._polling.next(now_ms)
        if isinstance(turn, Wait):
            return max(1, min(turn.until_ms - now_ms, _IDLE_MS))
        self._take(driver, turn, now_ms)
        return 0

    # --- the link

    def _is_up(self, now_ms: int) -> bool:
        if not self._down:
            return True
        if now_ms < self._retry_ms:
            return False
        try:
            self._link.open()
        except LinkDown as down:
            self._fell(str(down), now_ms)
            return False
        self._down, self._down_since_ms = "", now_ms
        before, place = self._place_before, self._link.place
        moved = f"it is {place} now; before it was {before}" if before and before != place else ""
        self._on_happenings([Happening("bus.down", now_ms, False, self._bus.id, moved)])
        self._polling.link_opened(now_ms)
        return True

    def _fell(self, reason: str, now_ms: int) -> None:
        """The link is down, or still is."""
        was, self._down = self._down, reason
        self._retry_ms = now_ms + self._backoff_ms
        self._backoff_ms = min(2 * self._backoff_ms, self._backoff_most_ms)
        if not was:
            self._down_since_ms, self._place_before = now_ms, self._link.place
            self._on_happenings([Happening("bus.down", now_ms, True, self._bus.id, reason)])
        self._tell(self._polling.link_failed(LinkDown.word, now_ms))

    # --- one turn

    def _take(self, driver: Driver, turn: Turn, begun_ms: int) -> None:
        device, before = turn.request.device, replace(self._master.tally)
        if device.spoken_ms is None or begun_ms - device.spoken_ms > _RESTED_MS:
            self._master.rested(device.settings.unit)
        self._tell(self._asked(driver, turn))
        if not device.is_known and device.health.state == "ok":
            self._identify(driver, device)
        now_ms, tally = self._clock.monotonic_ms(), self._master.tally
        self._busy.add(now_ms - begun_ms, now_ms)
        seen = Seen(tally.timeouts - before.timeouts, tally.crc_errors - before.crc_errors, tally.exceptions - before.exceptions)
        self._polling.spent(turn, now_ms - begun_ms, now_ms, seen)

    def _asked(self, driver: Driver, turn: Turn) -> Told:
        """The exchanges of one turn, and what is told of them."""
        watch = Watch()
        try:
            if unready := self._step(driver, turn):
                return self._polling.failed(turn, unready, self._clock.monotonic_ms())
            words = driver.run(self._master.read(self._ask_of(turn)), watch)
        except Refused as failure:
            self._heard()
            now_ms = self._clock.monotonic_ms()
            if failure.code in CONFIGURATION_CODES:
                return self._polling.refused(turn, failure.code, now_ms)
            return self._polling.faulted(turn, failure.code, now_ms)
        except (Silence, Garbled) as failure:
            self._unheard()
            self._try_framing(driver, turn)
            return self._polling.failed(turn, failure.word, self._clock.monotonic_ms())
        except LinkDown as failure:
            self._lost(driver, turn, failure)
            return Told()
        self._heard()
        came = Came(watch.arrived_ms, watch.turnaround_ms, watch.arrived_ms - watch.sent_ms)
        return self._polling.worked(turn, words, came, self._clock.monotonic_ms())

    def _step(self, driver: Driver, turn: Turn) -> str:
        """Takes the steps of a turn; gives why one failed, or nothing. Raises LinkDown."""
        settings = turn.request.device.settings
        for ahead in turn.steps:
            try:
                driver.run(step(self._master, settings.unit, ahead.step, settings.timeout_ms, settings.pause_ms), Watch())
            except Refused as refused:
                self._heard()
                if ahead.must_work:
                    return ahead.failure(str(refused))
                driver.run(rest(ahead.step), Watch())
            except (Silence, Garbled) as failure:
                if ahead.must_work:
                    self._unheard()
                    return ahead.failure(failure.word)
                driver.run(rest(ahead.step), Watch())
        if turn.steps:
            self._polling.prepared(turn, self._clock.monotonic_ms())
        return ""

    def _identify(self, driver: Driver, device: Polled) -> None:
        """Asks a device that answers who it is, once."""
        settings = device.settings
        try:
            texts = driver.run(after(settings.pause_ms, self._master.identify(settings.unit, settings.timeout_ms)), Watch())
        except LinkDown as failure:
            self._fell(str(failure), self._clock.monotonic_ms())
            return
        except (Refused, Silence, Garbled):
            texts = {}
        firmware = " ".join(texts[number].strip() for number in sorted(texts) if number <= _REVISION)
        self._polling.identified(device, firmware[:_FIRMWARE_CHARACTERS], self._clock.monotonic_ms())

    def _ask_of(self, turn: Turn) -> Ask:
        settings = turn.request.device.settings
        others = tuple(Span.of(block) for block in self._polling.others(turn))
        span, is_apart = Span.of(turn.block), turn.block.is_latched
        spoken_ms = turn.request.device.spoken_ms
        rested_ms = 0 if turn.steps or spoken_ms is None else self._clock.monotonic_ms() - spoken_ms
        return Ask(settings.unit, span, settings.timeout_ms, settings.pause_ms, turn.retries, others, is_apart, rested_ms)

    def _heard(self) -> None:
        self._silences = 0
        self._backoff_ms = _BACKOFF_FIRST_MS
        self._was_answering = True
        self._framing.heard()
        self._hinted()

    def _unheard(self) -> None:
        """A connection on which nobody answers is made anew."""
        self._silences += 1
        if isinstance(self._bus.link, Tcp) and self._silences >= _SILENCES_TO_REOPEN:
            self._silences = 0
            self._link.close()

    def _try_framing(self, driver: Driver, turn: Turn) -> None:
        if turn.block.is_latched:
            return  # what it holds would be lost
        settings = turn.request.device.settings
        self._framing.unheard(driver.stop, settings.unit, Span.of(turn.block), settings.timeout_ms)
        self._hinted()

    def _hinted(self) -> None:
        """Tells whether the bus answers in another framing, where that is news."""
        was, self._hint = self._hint, self._framing.hint
        if was != self._hint:
            self._on_happenings([Happening("bus.framing", self._clock.monotonic_ms(), bool(self._hint), self._bus.id, self._hint)])

    def _lost(self, driver: Driver, turn: Turn, failure: LinkDown) -> None:
        """The link ended in the middle. Gateways that close after each request may do so as the next one is sent: once more."""
        now_ms = self._clock.monotonic_ms()
        if self._was_answering and isinstance(self._bus.link, Tcp):
            self._was_answering = False
            self._polling.again(turn, now_ms)
            return
        self._try_framing(driver, turn)
        self._fell(str(failure), now_ms)

    def _tell(self, told: Told) -> None:
        if told.happenings:
            self._on_happenings(told.happenings)
        if told.readings:
            self._on_readings(self._instants.apart(told.readings))

    def _snapshot(self, now_ms: int) -> BusFigures:
        tally, busy_share = self._master.tally, self._busy.share(now_ms)
        return BusFigures(
            id=self._bus.id,
            state="framing" if self._hint else "down" if self._down else "ok",
            reason=self._hint or self._down,
            since_ms=self._down_since_ms,
            port=self._link.place,
            note=self._link.note,
            requests=tally.requests,
            timeouts=tally.timeouts,
            crc_errors=tally.crc_errors,
            exceptions=tally.exceptions,
            retries=tally.retries,
            readings=self._polling.readings,
            missed=self._polling.missed,
            busy_share=busy_share,
            measured=self._polling.measured(busy_share),
            devices=self._polling.figures(now_ms),
            last_progress_ms=self._progress_ms,
        )
