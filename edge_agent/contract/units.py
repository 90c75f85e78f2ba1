"""Pure. The closed list of units, each with its dimension and its factor to the dimension's first unit.

A unit is an attribute of a series; conversion happens where a person or a rule asks for it, never on stored values.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """base = value * factor + offset, in the base unit of the dimension."""

    name: str
    dimension: str
    factor: float = 1.0
    offset: float = 0.0


def _dimension(name: str, **factors: float) -> list[Unit]:
    return [Unit(_SPELLING.get(u, u), name, f) for u, f in factors.items()]


_SPELLING = {
    "percent": "%", "permille": "‰", "m3_h": "m3/h", "l_s": "l/s", "l_min": "l/min", "m3_s": "m3/s", "l_h": "l/h", "m_s": "m/s",
    "mm_s": "mm/s", "mm_d": "mm/d", "mg_l": "mg/l", "ug_l": "ug/l", "g_l": "g/l", "ug_m3": "ug/m3", "mg_m3": "mg/m3",
    "uS_cm": "uS/cm", "mS_cm": "mS/cm", "S_m": "S/m", "dB_A": "dB(A)", "kWh_m3": "kWh/m3", "Wh_m3": "Wh/m3", "W_m2": "W/m2",
    "mm_h": "mm/h", "one": "", "m3_min": "m3/min", "MPa_s": "MPa/s", "per_h": "1/h",
}  # fmt: skip

_ALL: list[Unit] = [
    *_dimension("none", one=1.0),
    *_dimension("ratio", percent=1.0, permille=0.1),
    *_dimension("voltage", V=1.0, mV=1e-3, kV=1e3),
    *_dimension("current", A=1.0, mA=1e-3, uA=1e-6),
    *_dimension("power", kW=1.0, W=1e-3, MW=1e3),
    *_dimension("reactive power", kvar=1.0, var=1e-3),
    *_dimension("apparent power", kVA=1.0, VA=1e-3),
    *_dimension("energy", kWh=1.0, Wh=1e-3, MWh=1e3),
    *_dimension("reactive energy", kvarh=1.0),
    *_dimension("frequency", Hz=1.0, kHz=1e3),
    *_dimension("speed of rotation", rpm=1.0),
    *_dimension("torque", Nm=1.0),
    *_dimension("resistance", Ohm=1.0, kOhm=1e3, MOhm=1e6),
    Unit("degC", "temperature"),
    Unit("K", "temperature", 1.0, -273.15),
    *_dimension("length", m=1.0, mm=1e-3, cm=1e-2, km=1e3, um=1e-6),
    *_dimension("pressure", MPa=1.0, kPa=1e-3, bar=0.1, mbar=1e-4, Pa=1e-6, hPa=1e-4, mH2O=0.00980665),
    *_dimension("volume flow", m3_h=1.0, l_s=3.6, l_min=0.06, m3_s=3600.0, l_h=0.001, m3_min=60.0),
    *_dimension("volume", m3=1.0, l=1e-3, ml=1e-6),
    *_dimension("mass", kg=1.0, t=1e3, g=1e-3),
    *_dimension("force", kN=1.0, N=1e-3),
    *_dimension("velocity", m_s=1.0, mm_s=1e-3, mm_d=1e-3 / 86400.0),
    *_dimension("concentration", mg_l=1.0, ug_l=1e-3, g_l=1e3),
    *_dimension("concentration in air", ug_m3=1.0, mg_m3=1e3),
    *_dimension("conductivity", uS_cm=1.0, mS_cm=1e3, S_m=1e4),
    *_dimension("turbidity", NTU=1.0, FNU=1.0),
    *_dimension("acidity", pH=1.0),
    *_dimension("angle", deg=1.0),
    *_dimension("sound level", dB_A=1.0),
    *_dimension("signal level", dBm=1.0),
    *_dimension("time", s=1.0, ms=1e-3, min=60.0, h=3600.0, d=86400.0),
    *_dimension("specific energy", kWh_m3=1.0, Wh_m3=1e-3),
    *_dimension("irradiance", W_m2=1.0),
    *_dimension("rain", mm_h=1.0),
    *_dimension("pressure rate", MPa_s=1.0),
    *_dimension("rate", per_h=1.0),
    *_dimension("data", B=1.0, kB=1e3, MB=1e6),
]

UNITS: dict[str, Unit] = {unit.name: unit for unit in _ALL}
"""By name. The empty name is a pure number."""


def convert(value: float, source: str, target: str) -> float:
    """`value` of unit `source` in unit `target`. Raises ValueError for unknown units or different dimensions."""
    try:
        a, b = UNITS[source], UNITS[target]
    except KeyError as missing:
        raise ValueError(f"unknown unit {missing}") from None
    if a.dimension != b.dimension:
        raise ValueError(f"{source} is a {a.dimension}, {target} a {b.dimension}")
    return (value * a.factor + a.offset - b.offset) / b.factor
