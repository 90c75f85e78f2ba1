"""Pure. Whether a point of a profile can be written as its `write` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from edge_agent.common.located_model import Refused
from edge_agent.model.points import REGISTERS_OF, NumberType, Write

if TYPE_CHECKING:
    from edge_agent.config.profile_file import PointFile

_FITTING = {"coil": (5, 15), "holding": (6, 16, 22)}


def check_writing(point: PointFile) -> None:
    """Raises Refused CFG033 where `write` leaves open what is written, or would destroy what it must not."""
    write = point.write
    if write is None:
        return
    if write.address is None and point.table in ("discrete", "input"):
        what = f"The table `{point.table}` cannot be written."
        raise Refused("CFG033", what, "add the register or coil that is written: `write: {address: ...}`.", "write")
    _function_fits(point)
    if point.value_kind in ("number", "counter"):
        for key, value in (("low", low_of(point)), ("high", high_of(point))):
            if value is None:
                what = f"A writable number needs bounds; `{key}` is missing."
                raise Refused("CFG033", what, f"add `{key}: ...` to `write`.", "write", key)
    elif point.value_kind in ("code", "bits") and not codes_of(point):
        what = "What may be written is not said."
        raise Refused("CFG033", what, "add `codes: [...]` to `write`, or words for the codes under `texts`.", "write", "codes")


def _function_fits(point: PointFile) -> None:
    write = point.write
    if write is None:
        return
    function, table = function_of(point), point.write_table
    if function not in _FITTING[table] or (function in (5, 6) and REGISTERS_OF[type_of(point)] > 1):
        what = f"Function {function} does not write a `{type_of(point)}` of table `{table}`."
        raise Refused("CFG033", what, f"write {' or '.join(map(str, _FITTING[table]))}, or leave it out.", "write", "function")
    partly = point.bits_of_value is not None and table == "holding" and write.type is None
    if partly and point.writes_its_own_place and function != 22:
        what = f"Function {function} would overwrite the other bits of the register."
        raise Refused("CFG033", what, "write `function: 22`, or leave `function` out.", "write", "function")
    if function == 22 and (point.bits_of_value is None or REGISTERS_OF[type_of(point)] > 1):
        what = "Function 22 writes some bits of one register; the point is no such part."
        raise Refused("CFG033", what, "give the point a `mask` or `bit`, or choose function 6 or 16.", "write", "function")


def type_of(point: PointFile) -> NumberType:
    """The raw type that is written."""
    write = point.write
    return (write.type if write is not None else None) or ("bool" if point.write_table == "coil" else _register_type(point))


def _register_type(point: PointFile) -> NumberType:
    kind = point.raw_type
    if kind == "text":
        raise Refused("CFG033", "A text is not written.", "leave `write` out.", "write")
    return "u16" if kind == "bool" else kind


def function_of(point: PointFile) -> Literal[5, 6, 15, 16, 22]:
    """The function, with its default: 5 for a coil; for registers 22 where other bits stand beside, 6 for one, 16 for more."""
    write = point.write
    if write is not None and write.function is not None:
        return write.function
    if point.write_table == "coil":
        return 5
    if point.bits_of_value is not None and point.writes_its_own_place:
        return 22
    return 6 if REGISTERS_OF[type_of(point)] == 1 else 16


def low_of(point: PointFile) -> float | None:
    """The lowest value that may be written: its own bound, else the instrument's range."""
    write = point.write
    return point.limits.range_low if write is None or write.low is None else write.low


def high_of(point: PointFile) -> float | None:
    """The highest value that may be written."""
    write = point.write
    return point.limits.range_high if write is None or write.high is None else write.high


def codes_of(point: PointFile) -> tuple[int, ...]:
    """The codes that may be written: those given, else those that have words."""
    write = point.write
    if write is not None and write.codes:
        return tuple(write.codes)
    if point.value_kind != "code":
        return ()
    return tuple(int(code) for code in point.texts if code.removeprefix("-").isdecimal())


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def resolved_write(point: PointFile) -> Write | None:
    """As a running agent works with it."""
    write = point.write
    if write is None:
        return None
    states = point.value_kind in ("code", "bits")
    return Write(
        table=point.write_table,
        address=point.address if write.address is None else write.address,
        type=type_of(point),
        order=write.order or point.order,
        function=function_of(point),
        low=None if states or point.value_kind == "bool" else low_of(point),
        high=None if states or point.value_kind == "bool" else high_of(point),
        codes=codes_of(point),
        on=_first(write.on, point.on, 1 if point.off in (None, 0) else 0),
        off=_first(write.off, point.off, 0 if point.on in (None, 1) else 1 if point.on == 0 else 0),
    )
