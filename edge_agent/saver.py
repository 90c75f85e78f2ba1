"""Does I/O: saves data where the site file asks for it: dead-bands, and a budget for the month that batches and dead-bands keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.common.clock import Clock
from edge_agent.delivery.budget import BudgetKeeper, Outlook
from edge_agent.delivery.machine import Event, Repaced
from edge_agent.io.budget_file import BudgetFile
from edge_agent.model.deadband import DeadBands
from edge_agent.model.points import Bus, Delivery
from edge_agent.model.reading import Happening, Reading

BEAT_MS = 10_000
SAVE_MS = 3_600_000
EVENT = "budget.short"


@dataclass(frozen=True, slots=True)
class SaverFigures:
    """What `edge-agent status` shows."""

    held_back: int
    """Readings not sent because nothing had changed, since start."""
    budget_bytes: int | None = None
    """None: there is no budget; then the fields below say nothing."""
    used_bytes: int = 0
    expected_bytes: int | None = None
    """At the end of the month, as it goes now."""
    month_end_ms: int = 0
    batch_ms: int = 0
    dead_band_factor: float = 1.0
    is_short: bool = False


class Saver:
    """`filter` is called by the buses' threads, everything else by the supervisor's."""

    def __init__(self, buses: Iterable[Bus], settings: Delivery, folder: Path, clock: Clock) -> None:
        self._bands = DeadBands(buses)
        self._settings = settings
        self._file = BudgetFile(folder / "budget.json")
        self._clock = clock
        self._keeper: BudgetKeeper | None = None
        self._beat_at_ms = 0
        self._save_at_ms = clock.monotonic_ms() + SAVE_MS
        self._told_short = False

    def start(self) -> None:
        """Takes up the count of an earlier run; the state folder is ours by now."""
        if self._settings.budget is not None:
            self._keeper = BudgetKeeper(self._settings.budget, self._settings.batch_ms, self._file.read())

    def filter(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        """The readings to send."""
        return self._bands.filter(readings)

    def take_over(self, buses: Iterable[Bus], settings: Delivery) -> None:
        """Another site file is in force."""
        self._bands = DeadBands(buses)
        before, self._settings = self._settings, settings
        if settings.budget is None:
            self._keeper = None
        elif self._keeper is None:
            self.start()
        elif settings.budget != before.budget:
            self._keeper.change(settings.budget, settings.batch_ms)
        self._beat_at_ms = 0
        self._bands.widen(self._keeper.pace.dead_band_factor if self._keeper is not None else 1.0)

    def beat(self, utc_ms: int | None, air_bytes: int, tell: Callable[[Event], None]) -> list[Happening]:
        """To be called often; says what the budget asks for. Gives the events to tell."""
        now_ms = self._clock.monotonic_ms()
        if self._keeper is None or now_ms < self._beat_at_ms:
            return []
        self._beat_at_ms = now_ms + BEAT_MS
        before = self._keeper.pace
        pace = self._keeper.step(now_ms, utc_ms, air_bytes)
        if pace != before:
            tell(Repaced(pace.batch_ms))
            self._bands.widen(pace.dead_band_factor)
        if now_ms >= self._save_at_ms:
            self.save()
        return self._shortage(self._keeper.outlook, now_ms)

    def save(self) -> None:
        """Keeps the count for the next run."""
        self._save_at_ms = self._clock.monotonic_ms() + SAVE_MS
        if self._keeper is not None:
            self._file.write(self._keeper.month)

    def figures(self) -> SaverFigures:
        """The state now."""
        keeper, budget = self._keeper, self._settings.budget
        if keeper is None or budget is None:
            return SaverFigures(self._bands.held_back)
        outlook, pace = keeper.outlook, keeper.pace
        return SaverFigures(
            self._bands.held_back,
            budget.month_bytes,
            keeper.month.used_bytes,
            outlook.expected_bytes if outlook is not None else None,
            outlook.end_ms if outlook is not None else 0,
            pace.batch_ms,
            round(pace.dead_band_factor, 2),
            outlook is not None and outlook.is_short,
        )

    def _shortage(self, outlook: Outlook | None, now_ms: int) -> list[Happening]:
        if outlook is None or outlook.is_short == self._told_short or self._settings.budget is None:
            return []
        self._told_short = outlook.is_short
        about = (("budget_bytes", self._settings.budget.month_bytes), ("expected_bytes", outlook.expected_bytes))
        reason = "batches and dead-bands are at their limits, and the month's data will not suffice" if outlook.is_short else ""
        return [Happening(EVENT, now_ms, on=outlook.is_short, reason=reason, about=about)]
