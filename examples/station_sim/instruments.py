"""Pure. The simulated instruments: what each register holds now, and a journal of what was served.

Maps after /device_profiles: waterworks/panel, eastron/sdm630, invt/gd200a, generic/level-probe. Each instrument is read as a
whole at one instant, as a real one latches its values.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from examples.station_sim.water import Water

ILLEGAL_ADDRESS = 2


def f32(value: float) -> list[int]:
    """Two registers, high word first."""
    return list(struct.unpack(">HH", struct.pack(">f", value)))


def u32(value: int) -> list[int]:
    """Two registers, high word first."""
    return [value >> 16 & 0xFFFF, value & 0xFFFF]


@dataclass
class Served:
    """One answered read, for the account at the end."""

    at_ms: int
    function: int
    address: int
    words: list[int]


@dataclass
class Instrument:
    """One device of a line. registers: makes the present image of (function, address) -> word."""

    name: str
    unit: int
    registers: Callable[[], Mapping[tuple[int, int], int]]
    turnaround_s: float = 0.012
    silent: bool = False
    """Does not answer at all (cable off, no power)."""
    polls_at: int | None = None
    """Register that holds the number of answered requests which included it."""
    polls: int = 0
    answered: int = 0
    journal: list[Served] = field(default_factory=list)

    def read(self, function: int, address: int, count: int, now_ms: int) -> list[int] | int:
        """The words asked for, or exception 2 if one of them is not there."""
        counts = self.polls_at is not None and address <= self.polls_at < address + count
        self.polls += counts
        image = self.registers()
        words = []
        for register in range(address, address + count):
            word = image.get((function, register))
            if word is None:
                self.polls -= counts
                return ILLEGAL_ADDRESS
            words.append(word)
        self.answered += 1
        self.journal.append(Served(now_ms, function, address, words))
        return words


def _block(function: int, start: int, words: list[int]) -> dict[tuple[int, int], int]:
    return {(function, start + i): word for i, word in enumerate(words)}


def panel(water: Water, row: Callable[[], Mapping[str, float]], unit: int = 1) -> Instrument:
    """The instrument panel on Modbus TCP: water quality and flows from the record, pressure and pump flow from the model."""
    instrument: Instrument

    def registers() -> dict[tuple[int, int], int]:
        now = row()
        values = [
            now["flow_1"], now["flow_2"], now["temperature"], now["chlorine_dioxide_1"], now["ph"], now["redox"],
            now["conductivity"], now["turbidity"], now["chlorine_dioxide_2"], round(water.outlet_pressure_mpa, 4),
        ]  # fmt: skip
        words: list[int] = []
        for value in values:
            words += f32(value)
        words += u32(instrument.polls)
        words += f32(max(0.0, round(water.flow_m3_h + (water.noise("flow") if water.flow_m3_h > 1 else 0.0), 2)))
        return _block(3, 0, words)

    instrument = Instrument("panel", unit, registers, turnaround_s=0.004, polls_at=20)
    return instrument


def energy_meter(water: Water, unit: int) -> Instrument:
    """A three-phase meter (Eastron SDM630): input registers, float32, holes as in the real map."""

    def registers() -> dict[tuple[int, int], int]:
        volts = [round(231.4 + water.noise("volt") + d, 2) for d in (0.0, -0.8, 0.6)]
        amps = [round(water.current_a + 1.9 + d, 3) for d in (0.0, 0.11, -0.07)]
        kilowatts = water.power_kw + 0.9
        watts = [round(kilowatts * 1000 / 3, 1)] * 3
        image: dict[tuple[int, int], int] = {}

        def put(address: int, *values: float) -> None:
            words: list[int] = []
            for value in values:
                words += f32(value)
            image.update(_block(4, address, words))

        put(
            0x00,
            *volts,
            *amps,
            *watts,
            *[round(w / 0.87, 1) for w in watts],
            *[round(w * 0.55, 1) for w in watts],
            0.87,
            0.87,
            0.87,
        )
        put(0x24, 29.5, 29.5, 29.5)
        put(0x2A, round(sum(volts) / 3, 2))
        put(0x2E, round(sum(amps) / 3, 3), round(sum(amps), 3))
        put(0x34, round(kilowatts * 1000, 1))
        put(0x38, round(kilowatts * 1150, 1))
        put(0x3C, round(kilowatts * 550, 1))
        put(0x3E, 0.87)
        put(0x42, 29.5)
        put(0x46, 50.01, round(water.energy_kwh, 2), 0.0, round(water.energy_kwh * 0.5, 2), 0.0)
        put(0xC8, *[round(v * 1.732, 2) for v in volts])
        put(0xE0, 0.31)
        put(0xEA, 2.1, 2.2, 2.0)
        put(0xF0, 11.5, 11.9, 11.2)
        put(0x156, round(water.energy_kwh, 2), round(water.energy_kwh * 0.5, 2))
        put(0x15A, *[round(water.energy_kwh / 3, 2)] * 18)
        return image

    return Instrument("meter", unit, registers, turnaround_s=0.018)


def pump_drive(water: Water, unit: int) -> Instrument:
    """A variable-speed drive (INVT Goodrive GD200A): holding registers, integers."""

    def registers() -> dict[tuple[int, int], int]:
        turning = water.frequency_hz > 0.5
        image = _block(3, 0x2100, [1 if turning else 3, 0x0020 if turning else 0, 0, 0x010C])
        hertz, load = water.frequency_hz, water.current_a / 15.2
        amps = max(0.0, water.current_a + (water.noise("current") if turning else 0.0))
        volts = round(380 * hertz / 50)
        image.update(_block(3, 0x3000, [
            round(hertz * 100), round(water.frequency_set_hz * 100), 541, volts, round(amps * 10), round(hertz * 58),
            round(load * 900), round(load * 850), 500, 498, 0x0001, 0x0002 if turning else 0, 500, 0, 0,
        ]))  # fmt: skip
        image.update(_block(3, 0x3010, [0]))
        image.update(_block(3, 0x5000, [0]))
        return image

    return Instrument("drive", unit, registers, turnaround_s=0.010)


def level_probe(water: Water, unit: int) -> Instrument:
    """A submersible level probe (generic "0/1/2/3/4" map): millimetres as metres with three decimals, range 0-5 m."""

    def registers() -> dict[tuple[int, int], int]:
        millimetres = round((water.level_m + water.noise("level")) * 1000)
        return _block(3, 0, [unit, 3, 16, 3, millimetres & 0xFFFF, 0, 5000])

    return Instrument("level", unit, registers, turnaround_s=0.025)
