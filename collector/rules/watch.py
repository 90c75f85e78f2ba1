"""Pure. One rule attached to one subject: judges, dwells, and remembers the warning that stands.

idle --condition held for `for`--> on --clearing condition held for `clear`--> idle
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from collector.domain.warning import Level, Warning
from collector.rules.dwell import Dwell
from collector.rules.expression import Bound
from collector.rules.function import Memory
from collector.rules.rule import Rule
from collector.rules.signal import Known, View

NEVER_MS = 1 << 60
"""A hole that never comes: event and link rules know their truth at any time."""


class Standing(msgspec.Struct, array_like=True):
    """A warning whose condition lasts."""

    began_ms: int
    reached_ms: int
    """When its dwell was over, in the rule's time."""
    evidence: list[tuple[str, str]]
    announced: bool = False
    """Whether it has been given to people; not yet while a backlog may still show that it is over."""


class WatchState(msgspec.Struct):
    """All that a restart must know of a watch."""

    rule: str
    subject: str
    gateway: str
    fingerprint: str
    dwell: Dwell
    standing: Standing | None = None
    running_since_ms: int | None = None
    memories: list[Any] = []


@dataclass(frozen=True, slots=True)
class Settings:
    """The rule as the county wants it here."""

    level: Level
    for_ms: int
    clear_ms: int
    params: Mapping[str, float]


Step = Literal["began", "ended"] | None


class Watch:
    """See the module."""

    def __init__(
        self, rule: Rule, settings: Settings, site: str, gateway: str, subject: str, views: Sequence[tuple[str, View]]
    ) -> None:
        self.rule = rule
        self.settings = settings
        self.site = site
        self.gateway = gateway
        self.subject = subject
        self.views = views
        self.numbers: dict[str, Known] = {}
        """What link rules speak of; set before each judgement."""
        self.when: Bound | None = None
        self.clear: Bound | None = None
        self.running: Bound | None = None
        self.dwell = Dwell()
        self.standing: Standing | None = None
        self.ended_ms: int | None = None
        """When the condition ended, from the step that found it over until the engine has told it."""
        self._running_since_ms: int | None = None
        self._hole_ms = max((view.slot.hole_ms for _, view in views), default=NEVER_MS)

    def judge(self, at_ms: int) -> Step:
        """Judges at an instant at which one of its signals was read."""
        for memory in self._memories():
            memory.learn(at_ms)
        ready = self._ready(at_ms)
        if self.standing is None:
            return self.see(self._value(self.when, at_ms) if ready else None, at_ms, self._hole_ms)
        if self.clear is not None:
            return self.see(self._value(self.clear, at_ms), at_ms, self._hole_ms)
        truth = self._value(self.when, at_ms) if ready else None
        return self.see(None if truth is None else not truth, at_ms, self._hole_ms)

    def see(self, truth: Known, at_ms: int, hole_ms: int = NEVER_MS) -> Step:
        """Takes the truth of the awaited condition (raising while idle, clearing while on)."""
        self.dwell.see(truth, at_ms, hole_ms)
        if self.standing is None:
            if not self.dwell.reached(self.settings.for_ms):
                return None
            self.standing = Standing(self.dwell.since_ms or at_ms, at_ms, self._evidence(at_ms))
            self.dwell.reset()
            return "began"
        if not self.dwell.reached(self.settings.clear_ms):
            return None
        self.ended_ms = self.dwell.since_ms or at_ms
        self.dwell.reset()
        return "ended"

    def warning(self, known_ms: int, over_ms: int | None = None) -> Warning:
        """The standing warning as people get it; with `over_ms` it is past."""
        standing = self.standing
        if standing is None:
            raise ValueError("no warning stands")
        rule = self.rule
        return Warning(
            id=warning_id(rule.id, self.site, self.subject, standing.began_ms), rule=rule.id, site=self.site, subject=self.subject,
            level=self.settings.level, state="raised" if over_ms is None else "past", began_ms=standing.began_ms, known_ms=known_ms,
            over_ms=over_ms, title=rule.title, meaning=rule.meaning, action=rule.action, evidence=tuple(standing.evidence),
        )  # fmt: skip

    def dump(self) -> WatchState:
        """For the rule state."""
        return WatchState(
            self.rule.id, self.subject, self.gateway, self.rule.fingerprint, self.dwell, self.standing, self._running_since_ms,
            [memory.dump() for memory in self._memories()],
        )  # fmt: skip

    def load(self, state: WatchState) -> None:
        """Takes over a state of the same rule and subject. A rule whose condition was edited begins to learn anew."""
        self.standing = state.standing
        if state.fingerprint != self.rule.fingerprint:
            return
        self.dwell, self._running_since_ms = state.dwell, state.running_since_ms
        for memory, plain in zip(self._memories(), state.memories, strict=True):
            memory.load(plain)

    def _memories(self) -> list[Memory]:
        return [memory for bound in (self.when, self.clear, self.running) if bound is not None for memory in bound.memories]

    def _ready(self, at_ms: int) -> bool:
        """False while the equipment is off, not known to run, or has just started."""
        if self.running is None:
            return True
        if not self._value(self.running, at_ms):
            self._running_since_ms = None
            return False
        if self._running_since_ms is None:
            self._running_since_ms = at_ms
        return at_ms - self._running_since_ms >= self.rule.blank_ms

    @staticmethod
    def _value(bound: Bound | None, at_ms: int) -> Known:
        return None if bound is None else bound.value(at_ms)

    def _evidence(self, at_ms: int) -> list[tuple[str, str]]:
        wanted = self.rule.evidence
        shown = [view for name, view in self.views if not wanted or name in wanted]
        entries = [(f"{v.slot.key.gateway}/{v.slot.key.device}.{v.slot.key.point}", v.text(v.value(at_ms))) for v in shown]
        return entries + [(name, f"{value:.5g}") for name, value in self.numbers.items() if name in wanted and value is not None]


def warning_id(rule: str, site: str, subject: str, began_ms: int) -> str:
    """Identity as text that is safe in a URL: rule, site and subject apart by `~`, and when it began."""
    return f"{rule}~{site}~{subject.replace('/', '~')}~{began_ms}"
