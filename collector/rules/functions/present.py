"""Pure. Functions of this moment: `age`, `plate`, `limit`, `first`, `abs`."""

from __future__ import annotations

from collector.rules.function import Function, Memory, Stateless, Thunk
from collector.rules.signal import Known, View
from edge_agent.contract.message import Limits

LIMIT_NAMES: tuple[str, ...] = Limits.__struct_fields__


def _age(view: View | None) -> Memory:
    def seconds(at_ms: int) -> Known:
        known_at_ms = view.slot.known_at_ms if view is not None else 0
        return (at_ms - known_at_ms) / 1000 if known_at_ms else None

    return Stateless(seconds)


def _plate(view: View | None, key: str) -> Memory:
    def rated(_: int) -> Known:
        value = view.slot.nameplate.get(key) if view is not None else None
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    return Stateless(rated)


def _limit(view: View | None, name: str) -> Memory:
    if name not in LIMIT_NAMES:
        raise ValueError(f'"{name}" is no limit of a point; there are {", ".join(LIMIT_NAMES)}')
    return Stateless(lambda _: view.limit(name) if view is not None else None)


def _first(*values: Thunk) -> Memory:
    def first(at_ms: int) -> Known:
        return next((known for known in (value(at_ms) for value in values) if known is not None), None)

    return Stateless(first)


def _abs(value: Thunk) -> Memory:
    def absolute(at_ms: int) -> Known:
        known = value(at_ms)
        return None if known is None else abs(float(known))

    return Stateless(absolute)


FUNCTIONS = (
    Function("age", ("signal",), "number", _age, "seconds since the newest usable reading"),
    Function(
        "plate", ("signal", "text"), "number", _plate, "a rated value of the device's nameplate; unknown where it is not stated"
    ),
    Function(
        "limit", ("signal", "text"), "number", _limit, "a limit of the point (low_low, low, high, high_high, range_low, range_high)"
    ),
    Function("first", ("number",), "number", _first, "the first of its arguments that is known", variadic=True),
    Function("abs", ("number",), "number", _abs, "magnitude"),
)
