"""Pure. Decides from where UTC is known, and says so to the delivery machine.

    machine = ClockMachine(settings, memory)
    for action in machine.step(now_ms, Looked(...)): ...

In order of trust: the machine's clock kept by NTP; the machine's clock on the owner's word (`run --trust-clock`); the collector's
answer on topic `time`, bounded by the round trip; the cellular network, which is told twice alike before it is believed; the clock
as an RTC set it at the boot. Until one is there, readings wait in the outbox with their monotonic time. A source that was not
heard again for STALE_MS gives way to any that now knows better. Steps of the machine's clock are events; stamps never change.
A collector's answer that contradicts what is known moves nothing until the answer to another question says the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_agent.common.release import BUILD_MS, LATEST_MS
from edge_agent.contract.message import VERSION, TimeAsk
from edge_agent.delivery.machine import ClockSet
from edge_agent.delivery.rtc import RtcSeen, is_lost, trouble
from edge_agent.delivery.stamping import drift_ms
from edge_agent.model.reading import Happening

STEP_MS = 1000
ASK_MS = 3000
"""Between questions to the collector until the first answer ..."""
ASK_AGAIN_MS = 600_000
"""... and afterwards."""
ANSWER_MS = 10_000
"""An older answer says too little."""
RTC_AFTER_MS = 20_000
"""So long a better source is waited for."""
RTC_BOUND_MS = 60_000
"""A month without power at 20 ppm."""
MODEM_ASK_MS = 10_000
MODEM_BOUND_MS = 120_000
"""Network time is right "in the order of minutes" (3GPP TS 22.042)."""
MODEM_ALIKE_MS = 3000
TRUSTED_BOUND_MS = 1000
SESSION_MS = 90 * 86_400_000
"""A session that began while a certificate held may last so much longer."""
CONFIRM_MS = 600_000
"""A source that still holds is told again so often, because bounds grow with time."""
STALE_MS = 3_600_000
REMEMBER_MS = 86_400_000
"""The last known time is written down so often: it costs one page of flash."""
RTC_BATTERY = "clock.rtc-battery"
TRUST = {"": 0, "rtc": 1, "modem": 2, "collector": 3, "manual": 4, "ntp": 5}


@dataclass(frozen=True, slots=True)
class Memory:
    """What outlives a restart."""

    last_ms: int = 0
    """UTC when it was last known from better than RTC or modem."""
    boot: str = ""
    offset_ms: int | None = None
    """What the machine's clock showed in this boot beyond the monotonic one when it was first seen."""
    rtc_lost: bool = False
    """In this boot the RTC was found to have lost the time; nobody can tell later, because NTP sets it again."""
    rtc_trouble: bool | None = None
    """Whether trouble with its battery was told last; None: never told anything."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What does not change while the agent runs."""

    boot: str = ""
    trust_clock: bool = False
    has_modem: bool = False


# --- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Looked:
    """A look at the machine, about once a second. nonce: fresh random text, for a question if one is to be asked."""

    utc_ms: int
    synchronised_within_ms: int | None
    set_by_rtc: bool
    link_up: bool
    nonce: str
    rtc: RtcSeen | None = None
    """None where the machine has none, or it was not looked at this time."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The collector's answer to question `id`; now_ms of the step is when it came.

    certificate_ends_ms: of our own, as its file is now; far beyond it no collector can have answered us. 0: none.
    """

    id: str
    utc_ms: int
    certificate_ends_ms: int = 0


@dataclass(frozen=True, slots=True)
class ModemTold:
    """Network time that was asked for at asked_ms; now_ms of the step is when it came. utc_ms None: the modem does not know."""

    asked_ms: int
    utc_ms: int | None


Event = Looked | Answered | ModemTold


# --- actions ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AskModem:
    """Ask the modem for the network's time; one question at a time."""


@dataclass(frozen=True, slots=True)
class Remember:
    """Write this down."""

    memory: Memory


Action = ClockSet | Happening | TimeAsk | AskModem | Remember


@dataclass(frozen=True, slots=True)
class ClockFigures:
    """What `edge-agent status` shows of the clock."""

    source: str = ""
    bound_ms: int = 0
    steps: int = 0
    refused: int = 0
    """Answers and clocks that were late, unasked or absurd."""
    rtc: str = ""
    """`good`, what is wrong with its battery, or empty without an RTC."""


class ClockMachine:
    """See the module. now_ms is monotonic time of this boot."""

    def __init__(self, settings: Settings = Settings(), memory: Memory = Memory()) -> None:
        self._settings = settings
        self._memory = (
            memory if memory.boot == settings.boot else replace(memory, boot=settings.boot, rtc_lost=False, offset_ms=None)
        )
        self._is_new_boot = memory.boot != settings.boot
        self._began_ms: int | None = None
        self._offset_ms = 0
        self._told: ClockSet | None = None
        self._heard_ms = 0
        self._asked: dict[str, int] = {}
        self._ask_at_ms = self._ask_modem_at_ms = 0
        self._modem_before: ClockSet | None = None
        self._doubtful: tuple[str, ClockSet] | None = None
        """The question and the answer that contradicted what is known."""
        self._remembered_ms: int | None = None
        self._rtc: RtcSeen | None = None
        self._rtc_words = ""
        self._rtc_told: bool | None = None
        self._rtc_ms = 0
        self._is_absurd = self._is_rtc_refused = False
        self._steps = self._refused = 0
        self._actions: list[Action] = []

    def step(self, now_ms: int, event: Event) -> list[Action]:
        """Takes one event and returns what is to be done, in order."""
        self._actions = []
        match event:
            case Looked():
                self._look(now_ms, event)
            case Answered():
                self._answered(now_ms, event)
            case ModemTold():
                self._modem(now_ms, event)
        return self._actions

    def utc_ms(self, now_ms: int) -> int | None:
        """UTC at now_ms, as it was told last; None while it is unknown."""
        told = self._told
        return None if told is None else told.utc_ms + now_ms - told.mono_ms

    def figures(self, now_ms: int) -> ClockFigures:
        """The state of the clock."""
        rtc = "" if self._rtc is None else self._rtc_words or "good"
        told = self._told
        source, bound_ms = (told.source, told.bound_ms + drift_ms(now_ms - told.mono_ms)) if told else ("", 0)
        return ClockFigures(source, bound_ms, self._steps, self._refused, rtc)

    # --- events ---

    def _look(self, now_ms: int, seen: Looked) -> None:
        if self._began_ms is None:
            self._began_ms, self._offset_ms = now_ms, seen.utc_ms - now_ms
            self._ask_at_ms = self._ask_modem_at_ms = now_ms
            if self._memory.offset_ms is None:
                self._memory = replace(self._memory, offset_ms=self._offset_ms)
                self._actions.append(Remember(self._memory))
        self._notice_step(now_ms, seen.utc_ms - now_ms)
        if seen.rtc is not None:
            self._watch_rtc(now_ms, seen.rtc)
        self._offer(now_ms, self._machine(now_ms, seen))
        if now_ms >= self._ask_at_ms and seen.link_up and self._wants(now_ms, "collector"):
            self._ask(now_ms, seen.nonce)
        if self._settings.has_modem and now_ms >= self._ask_modem_at_ms and self._wants(now_ms, "modem"):
            self._ask_modem_at_ms = now_ms + MODEM_ASK_MS
            self._actions.append(AskModem())
        self._remember(now_ms)

    def _answered(self, now_ms: int, answer: Answered) -> None:
        """A question stays open until an answer to it is believed: a wrong one that comes first does not use it up."""
        asked_ms = self._asked.get(answer.id)
        latest_ms = min(answer.certificate_ends_ms + SESSION_MS, LATEST_MS) if answer.certificate_ends_ms else LATEST_MS
        if asked_ms is None or now_ms - asked_ms > ANSWER_MS or not BUILD_MS <= answer.utc_ms <= latest_ms:
            self._refused += 1
            return
        half_ms = (now_ms - asked_ms + 1) // 2
        found = ClockSet(now_ms, answer.utc_ms + half_ms, "collector", half_ms + 1)
        before, self._doubtful = self._doubtful, None
        if self._contradicts(now_ms, found) and not (before and before[0] != answer.id and _are_alike(before[1], found)):
            self._doubtful = (answer.id, found) if before is None or before[0] != answer.id else before
            self._refused += 1
            return
        del self._asked[answer.id]
        self._ask_at_ms = now_ms + ASK_AGAIN_MS
        self._offer(now_ms, found)

    def _modem(self, now_ms: int, told: ModemTold) -> None:
        if told.utc_ms is None:
            return
        waited_ms = now_ms - told.asked_ms
        before, self._modem_before = self._modem_before, None
        if waited_ms > ANSWER_MS or not self._floor_ms() <= told.utc_ms <= LATEST_MS:
            self._refused += 1
            return
        self._modem_before = found = ClockSet(now_ms, told.utc_ms, "modem", MODEM_BOUND_MS + waited_ms)
        if before is None:
            return
        if abs(_offset(found) - _offset(before)) > MODEM_ALIKE_MS:
            self._refused += 1
            return
        self._ask_modem_at_ms = now_ms + STALE_MS // 2
        self._offer(now_ms, found)

    # --- what is believed ---

    def certain_ms(self, now_ms: int) -> int:
        """UTC that has passed for certain: as now known from better than an RTC, else as it was known in an earlier run."""
        told = self._told
        known_ms = 0 if told is None or told.source == "rtc" else told.utc_ms - told.bound_ms + now_ms - told.mono_ms
        return known_ms or max(BUILD_MS, self._memory.last_ms)

    def _contradicts(self, now_ms: int, found: ClockSet) -> bool:
        """True for an answer that cannot be right if what was told from a source as good is, or what an earlier run knew."""
        told = self._told
        if told is None or TRUST[told.source] < TRUST["collector"]:
            return found.utc_ms < self._floor_ms()
        return abs(_offset(found) - _offset(told)) > found.bound_ms + self.figures(now_ms).bound_ms + STEP_MS

    def _machine(self, now_ms: int, seen: Looked) -> ClockSet | None:
        kept = seen.synchronised_within_ms is not None or self._settings.trust_clock
        absurd = kept and not BUILD_MS <= seen.utc_ms <= LATEST_MS
        self._refused += absurd and not self._is_absurd
        self._is_absurd = absurd
        if absurd:
            return None
        if seen.synchronised_within_ms is not None:
            return ClockSet(now_ms, seen.utc_ms, "ntp", seen.synchronised_within_ms)
        if self._settings.trust_clock:
            return ClockSet(now_ms, seen.utc_ms, "manual", TRUSTED_BOUND_MS)
        return self._rtc_time(now_ms, seen)

    def _rtc_time(self, now_ms: int, seen: Looked) -> ClockSet | None:
        """The RTC as it was read itself, else the machine's clock if the RTC set it at the boot and nobody has stepped it since.

        Not where it lost the time or is behind what was known already, and not before a better source had its chance.
        """
        if self._told is not None or self._memory.rtc_lost or now_ms - (self._began_ms or 0) < RTC_AFTER_MS:
            return None
        found = None
        if self._rtc is not None and self._rtc.time_ms is not None:
            found = ClockSet(self._rtc_ms, self._rtc.time_ms, "rtc", RTC_BOUND_MS)
        elif seen.set_by_rtc and self._is_as_at_the_boot(seen.utc_ms - now_ms):
            found = ClockSet(now_ms, seen.utc_ms, "rtc", RTC_BOUND_MS)
        if found is None or not self._floor_ms() <= found.utc_ms <= LATEST_MS:
            self._refused += found is not None and not self._is_rtc_refused
            self._is_rtc_refused = found is not None
            return None
        return found

    def _is_as_at_the_boot(self, offset_ms: int) -> bool:
        """False once somebody has set the machine's clock, also while the agent was away."""
        first_ms = self._memory.offset_ms
        return first_ms is not None and abs(offset_ms - first_ms) <= STEP_MS

    def _floor_ms(self) -> int:
        return max(BUILD_MS, self._memory.last_ms - RTC_BOUND_MS)

    def _trust(self, now_ms: int) -> int:
        """Of what was told last; nothing once it was not heard again for long."""
        return TRUST[self._told.source] if self._told and now_ms - self._heard_ms < STALE_MS else 0

    def _wants(self, now_ms: int, source: str) -> bool:
        return self._trust(now_ms) <= TRUST[source]

    def _offer(self, now_ms: int, found: ClockSet | None) -> None:
        """Believes `found` where it is the best there is, and tells it where that says something new."""
        told = self._told
        if found is None or TRUST[found.source] < self._trust(now_ms):
            return
        if told is None or found.source != told.source:
            if told is not None and _says_no_more(found, told):
                self._heard_ms = now_ms
            elif told is None or TRUST[found.source] > TRUST[told.source] or found.bound_ms < self.figures(now_ms).bound_ms:
                self._believe(now_ms, found)
            return
        self._heard_ms = now_ms
        moved_ms = abs(_offset(found) - _offset(told))
        if moved_ms > (100 if found.source in ("ntp", "manual") else found.bound_ms) or now_ms - told.mono_ms >= CONFIRM_MS:
            self._believe(now_ms, found)

    def _believe(self, now_ms: int, found: ClockSet) -> None:
        told, self._told, self._heard_ms = self._told, found, now_ms
        self._actions.append(found)
        moved_ms = _offset(found) - _offset(told) if told is not None else 0
        if told is None or told.source != found.source or abs(moved_ms) > STEP_MS:
            about = (("bound_ms", found.bound_ms), ("moved_ms", moved_ms))
            self._actions.append(Happening("clock.set", now_ms, reason=found.source, about=about))

    # --- the rest ---

    def _notice_step(self, now_ms: int, offset_ms: int) -> None:
        step_ms, self._offset_ms = offset_ms - self._offset_ms, offset_ms
        if abs(step_ms) > STEP_MS:
            self._steps += 1
            self._actions.append(Happening("clock.step", now_ms, about=(("step_ms", step_ms),)))

    def _ask(self, now_ms: int, nonce: str) -> None:
        for id in [id for id, asked_ms in self._asked.items() if now_ms - asked_ms > ANSWER_MS]:
            del self._asked[id]
        self._asked[nonce] = now_ms
        self._ask_at_ms = now_ms + ASK_MS
        self._actions.append(TimeAsk(VERSION, nonce))

    def _watch_rtc(self, now_ms: int, seen: RtcSeen) -> None:
        if self._rtc is None and self._is_new_boot:
            self._memory = replace(self._memory, rtc_lost=is_lost(seen, self._memory.last_ms))
            self._remembered_ms = None
        self._rtc_ms = now_ms
        self._rtc, self._rtc_words = seen, trouble(seen, lost=self._memory.rtc_lost)
        is_bad = bool(self._rtc_words)
        if is_bad == self._rtc_told:
            return
        if is_bad or self._rtc_told or self._memory.rtc_trouble is not False:
            self._actions.append(Happening(RTC_BATTERY, now_ms, on=is_bad, reason=self._rtc_words))
        self._rtc_told = is_bad
        self._memory = replace(self._memory, rtc_trouble=is_bad)
        self._remembered_ms = None

    def _remember(self, now_ms: int) -> None:
        utc_ms = self.utc_ms(now_ms)
        if utc_ms is not None and self._told is not None and TRUST[self._told.source] > TRUST["modem"]:
            is_due = self._remembered_ms is None or now_ms - self._remembered_ms >= REMEMBER_MS or not self._memory.last_ms
            if is_due or utc_ms < self._memory.last_ms:
                self._memory = replace(self._memory, last_ms=utc_ms)
                self._remembered_ms = now_ms
                self._actions.append(Remember(self._memory))
        elif self._remembered_ms is None and self._rtc is not None:
            self._remembered_ms = now_ms - REMEMBER_MS
            self._actions.append(Remember(self._memory))


def _says_no_more(found: ClockSet, told: ClockSet) -> bool:
    """True for network time, right within minutes, that bears the RTC out."""
    return (found.source, told.source) == ("modem", "rtc") and abs(_offset(found) - _offset(told)) <= found.bound_ms


def _are_alike(one: ClockSet, other: ClockSet) -> bool:
    return abs(_offset(one) - _offset(other)) <= one.bound_ms + other.bound_ms + STEP_MS


def _offset(clock: ClockSet) -> int:
    return clock.utc_ms - clock.mono_ms
