"""Pure. A small physical model of one pump, its well, its tank and its village.

Pump and system curve in metres of head over m3/h, affinity laws over frequency, first-order lags; enough for current, flow,
level and pressure to move together as they do on site. All randomness comes from the generator handed in.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

RATED_CURRENT_A = 15.2
RATED_FLOW_M3_H = 48.0
SHUT_OFF_HEAD_M = 62.0
STATIC_HEAD_M = 26.0
PUMP_K = (SHUT_OFF_HEAD_M - 44.0) / RATED_FLOW_M3_H**2
SYSTEM_K = (44.0 - STATIC_HEAD_M) / RATED_FLOW_M3_H**2
TANK_AREA_M2 = 60.0
START_LEVEL_M = 2.0
STOP_LEVEL_M = 3.4
MPA_PER_M = 0.00980665
LAG_S = 1.5


@dataclass
class Water:
    """State of the hydraulics; `step` advances it."""

    chance: random.Random
    running: bool = True
    dry: bool = False
    """The suction has lost its water: the pump turns in air."""
    frequency_set_hz: float = 47.5
    frequency_hz: float = 47.5
    flow_m3_h: float = 44.0
    head_m: float = 45.0
    current_a: float = 14.2
    level_m: float = 2.71
    energy_kwh: float = 18_234.61
    starts: int = 1207
    hours: float = 5321.0
    _noise: dict[str, float] = field(default_factory=dict)

    def step(self, seconds: float, demand_m3_h: float = 31.0) -> None:
        """Moves everything forward by `seconds` (at most a few)."""
        if self.running and self.level_m >= STOP_LEVEL_M:
            self.running = False
        elif not self.running and self.level_m <= START_LEVEL_M:
            self.running = True
            self.starts += 1
        target_hz = self.frequency_set_hz if self.running else 0.0
        ramp = 6.0 * seconds
        self.frequency_hz += max(-ramp, min(ramp, target_hz - self.frequency_hz))
        ratio = self.frequency_hz / 50.0
        lift = SHUT_OFF_HEAD_M * ratio**2 - STATIC_HEAD_M
        flow = 0.0 if self.dry or lift <= 0 else math.sqrt(lift / (PUMP_K + SYSTEM_K))
        head = 0.0 if self.dry else SHUT_OFF_HEAD_M * ratio**2 - PUMP_K * flow**2
        current = RATED_CURRENT_A * ratio * (0.42 + 0.58 * flow / RATED_FLOW_M3_H) if self.frequency_hz > 1 else 0.0
        follow = 1.0 - math.exp(-seconds / LAG_S)
        self.flow_m3_h += (flow - self.flow_m3_h) * follow
        self.head_m += (head - self.head_m) * follow
        self.current_a += (current - self.current_a) * follow
        self.level_m = max(0.0, self.level_m + (self.flow_m3_h - demand_m3_h) * seconds / 3600.0 / TANK_AREA_M2)
        self.energy_kwh += self.power_kw * seconds / 3600.0
        if self.frequency_hz > 1:
            self.hours += seconds / 3600.0
        for name, scale in (
            ("flow", 0.25),
            ("current", 0.06),
            ("pressure", 0.0012),
            ("level", 0.002),
            ("volt", 0.5),
            ("clo2", 0.001),
        ):
            self._noise[name] = 0.7 * self._noise.get(name, 0.0) + self.chance.gauss(0.0, scale) * 0.7

    def noise(self, name: str) -> float:
        """The noise of an instrument at present, in its unit."""
        return self._noise.get(name, 0.0)

    @property
    def power_kw(self) -> float:
        """Electric power of the pump."""
        return 1.732 * 0.4 * self.current_a * 0.86

    @property
    def outlet_pressure_mpa(self) -> float:
        """Pressure behind the pump; the standing column when it is off, nothing when it runs dry."""
        column = STATIC_HEAD_M if not self.dry else 1.5
        return max(self.head_m, column) * MPA_PER_M + self.noise("pressure")
