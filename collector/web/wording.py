"""Pure. Numbers, units, qualities and names as people read them."""

from __future__ import annotations

import math

from collector.domain.identity import SeriesKey
from collector.domain.series import SeriesInfo
from collector.web.language import Language, pick, say
from edge_agent.contract.message import Text, Value
from edge_agent.contract.quality import quality_from_code
from edge_agent.contract.roles import ROLES

_UNIT_SIGN = {
    "degC": "°C", "m3/h": "m³/h", "m3/s": "m³/s", "m3/min": "m³/min", "m3": "m³", "uS/cm": "µS/cm", "ug/l": "µg/l",
    "ug/m3": "µg/m³", "mg/m3": "mg/m³", "uA": "µA", "um": "µm", "Ohm": "Ω", "kOhm": "kΩ", "MOhm": "MΩ", "mH2O": "mH₂O",
    "kWh/m3": "kWh/m³", "Wh/m3": "Wh/m³", "W/m2": "W/m²", "deg": "°", "Nm": "N·m", "pH": "",
}  # fmt: skip
NO_VALUE = "\u2013"
MINUS = "\u2212"


def unit_text(unit: str) -> str:
    """The unit's printed sign: `m3/h` is m³/h."""
    return _UNIT_SIGN.get(unit, unit)


def number_text(value: float, decimals: int | None) -> str:
    """The number with its decimals; without a rule for them up to six significant digits. A real minus sign."""
    if not math.isfinite(value):
        return NO_VALUE
    if decimals is None:
        text = f"{value:.6g}" if abs(value) < 1e6 else f"{value:.0f}"
    else:
        text = f"{value:.{max(0, min(decimals, 9))}f}"
    return text.replace("-", MINUS) if "e" not in text else text


def value_text(info: SeriesInfo, value: Value, language: Language) -> str:
    """A reading's value without its unit; codes in words where the series has them."""
    if value is None:
        return NO_VALUE
    if isinstance(value, bool):
        return say(language, "value.on" if value else "value.off")
    if isinstance(value, str):
        return value[:120]
    if info.kind == "bool" and value in (0, 1):
        return say(language, "value.on" if value else "value.off")
    if info.kind == "code":
        known = info.texts.get(f"{int(value)}") if math.isfinite(value) else None
        return f"{int(value)} {pick(known, language)}" if known else number_text(value, 0)
    if info.kind == "bits":
        return _bits_text(info, int(value), language)
    return number_text(value, info.decimals)


def _bits_text(info: SeriesInfo, value: int, language: Language) -> str:
    named = [pick(info.texts[f"b{bit}"], language) for bit in range(64) if value >> bit & 1 and f"b{bit}" in info.texts]
    return say(language, "list.comma").join(named) if named else str(value)


def quality_text(code: int, language: Language) -> str:
    """The quality in words: what is wrong, not its code."""
    quality = quality_from_code(code)
    return say(language, f"quality.{quality.level}" if quality.is_good else f"quality.{quality.level}.{quality.reason}")


def series_name(info: SeriesInfo, language: Language) -> str:
    """The point's given name, else what its role means, else its id."""
    if info.name is not None and (info.name.zh or info.name.en):
        return pick(info.name, language)
    role = ROLES.get(info.role)
    return pick(Text(zh=role.zh, en=role.en[:1].upper() + role.en[1:]), language) if role else info.key.point


def series_path(key: SeriesKey) -> str:
    """The page of a series; ids need no escaping."""
    return f"/sites/{key.site}/{key.gateway}/{key.device}/{key.point}"
