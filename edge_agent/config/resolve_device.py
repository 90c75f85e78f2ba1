"""Pure. From a checked device of the site file, its profile and its parameters to the device that a running agent reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from edge_agent.config.device_parts import StepFile, write_function
from edge_agent.config.parameters import NO_PARAMETERS, ParameterFile, ParameterValues
from edge_agent.config.point_parts import FactorFile, LimitsFile
from edge_agent.config.profile_file import HoleFile, PointFile, RequestsFile
from edge_agent.config.profiles import Profile
from edge_agent.config.quantities import text_of
from edge_agent.config.site_file import BusFile, DeviceFile
from edge_agent.config.writing_check import resolved_write
from edge_agent.contract.message import Limits
from edge_agent.model import points as resolved
from edge_agent.model.condition import parse
from edge_agent.model.writing import change_of

_MAX_DECIMALS = 9
_HEARTBEAT_MS = 60_000
NO_SERIES = -1
"""Of what is only written."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DeviceParts:
    """A device of the file with its profile and its points, all checked."""

    file: DeviceFile
    profile: Profile | None
    points: Sequence[PointFile]
    said_periods: frozenset[str]
    """Points whose period the site file itself gives."""
    values: ParameterValues = NO_PARAMETERS


def resolve_device(parts: DeviceParts, first_series: int, bus: BusFile) -> resolved.Device:
    """The device. first_series: of its first point."""
    file, profile = parts.file, parts.profile
    asked = [file.requests, *([profile.file.requests] if profile is not None else [])]
    enabled = [point for point in parts.points if point.enabled and point.read]
    commands = tuple(_point(point, parts, NO_SERIES) for point in parts.points if point.enabled and not point.read)
    points = tuple(_point(point, parts, first_series + number) for number, point in enumerate(enabled))
    plain = resolved.Device("", 0, ())
    wake = profile.file.wake if profile is not None else None
    no_holes: list[HoleFile] = []
    holes = _said(asked, "holes", no_holes)
    return resolved.Device(
        id=file.id,
        unit=file.unit if file.unit is not None else _default_unit(bus),
        points=points,
        commands=commands,
        profile=profile.name if profile is not None else "",
        profile_version=profile.version if profile is not None else "",
        timeout_ms=_said(asked, "timeout", plain.timeout_ms),
        pause_ms=_said(asked, "pause", plain.pause_ms),
        max_registers=_said(asked, "max_registers", plain.max_registers),
        max_bits=_said(asked, "max_bits", plain.max_bits),
        retries=_said(asked, "retries", plain.retries),
        turnaround_ms=_said(asked, "turnaround", plain.turnaround_ms),
        holes=tuple((hole.table, hole.first, hole.last) for hole in holes),
        gaps=_said(asked, "gaps", plain.gaps),
        setup=_setup(parts),
        wake=_steps(wake.steps, parts.values) if wake is not None else (),
        wake_after_ms=wake.after if wake is not None else 0,
        trigger=_steps(profile.file.trigger, parts.values) if profile is not None else (),
        identifies=profile is not None and profile.file.identify is not None and profile.file.identify.texts is not None,
        keepalive_ms=_said(asked, "keepalive", plain.keepalive_ms),
        name=text_of(file.name) or (text_of(profile.file.title) if profile is not None else None),
        nameplate={**(profile.file.nameplate if profile is not None else {}), **file.nameplate},
        part_of=file.part_of or "",
        fed_by=tuple(file.fed_by),
    )


def _default_unit(bus: BusFile) -> int:
    return 1 if bus.tcp is not None else 0


def _said(asked: Sequence[RequestsFile], key: str, default: T) -> T:
    """The first value that is given."""
    return next((value for requests in asked if (value := getattr(requests, key)) is not None), default)


def _point(file: PointFile, parts: DeviceParts, series: int) -> resolved.Point:
    scale = _scale(file, parts.values)
    factors = tuple(_factor(factor) for factor in file.scale_by if factor.of not in parts.values.known)
    return resolved.Point(
        series=series,
        device=parts.file.id,
        id=file.id,
        table=file.table,
        address=file.address,
        type=file.raw_type,
        order=file.order,
        scale=scale,
        offset=file.offset,
        decimals=_decimals(file, scale, changes=bool(file.plus or factors)),
        mask=file.bits_of_value,
        length=file.length or 0,
        letters=file.letters,
        on=file.on,
        off=file.off,
        negative_from=file.negative_from,
        sentinels=tuple(file.sentinels),
        scale_by=factors,
        plus=tuple(resolved.Term(term.of, term.times) for term in file.plus),
        valid_when=parse(file.valid_when) if file.valid_when is not None else None,
        unit=file.unit,
        role=file.role,
        kind=file.value_kind,
        period_ms=_period(file, parts),
        dead_band=file.dead_band,
        heartbeat_ms=_heartbeat(file, parts),
        lane=file.lane,
        limits=_limits(file.limits),
        group=file.group or "",
        latched=file.latched,
        write=resolved_write(file),
        name=text_of(file.name),
        texts={code: pair.resolved() for code, pair in file.texts.items()},
        signs=dict(file.signs),
    )


def _factor(file: FactorFile) -> resolved.Factor:
    return resolved.Factor(file.of, file.taken, tuple((int(code), by) for code, by in file.factors.items()))


def _scale(file: PointFile, values: ParameterValues) -> float:
    """The scale with what parameters multiply."""
    scale = Decimal(repr(file.scale))
    for factor in file.scale_by:
        value = values.known.get(factor.of)
        if value is None:
            continue
        if factor.factors:
            scale *= Decimal(repr(factor.factors[f"{value:g}"]))
        elif factor.taken == "factor":
            scale *= Decimal(repr(value))
        else:
            scale = scale.scaleb(-int(value) if factor.taken == "decimals" else int(value))
    return float(scale)


def _setup(parts: DeviceParts) -> tuple[resolved.Step, ...]:
    """The steps of the profile, then the given parameters that stand in a register, and what makes them hold."""
    if parts.profile is None:
        return ()
    steps = _steps(parts.profile.file.setup, parts.values)
    given = [p for p in parts.profile.file.parameters if p.id in parts.values.given and p.written_to is not None]
    after = _steps(parts.profile.file.after_parameters, parts.values) if given else ()
    return (*steps, *(_written(p, parts.values.known[p.id]) for p in given), *after)


def _written(parameter: ParameterFile, value: float | None) -> resolved.Step:
    place = parameter.written_to
    if place is None or value is None:
        raise AssertionError("a parameter without value or place is not written")
    kind: resolved.NumberType = place.type or ("bool" if place.table == "coil" else "u16")
    write = resolved.Write(place.table, place.address, kind, place.order)
    point = resolved.Point(
        0, "", parameter.id, place.table, place.address, kind, place.order, place.scale, place.offset, write=write
    )
    words = change_of(point, value).words
    return resolved.Step(place.table, place.address, words, place.wait, place.function or write_function(place.table, len(words)))


def _steps(files: Sequence[StepFile], values: ParameterValues) -> tuple[resolved.Step, ...]:
    return tuple(
        resolved.Step(s.table, s.address, tuple(s.words or ()), s.wait, s.code, s.read or 0) for s in files if values.holds(s.when)
    )


def _period(file: PointFile, parts: DeviceParts) -> int:
    """The site's word for the point, else for the device, else the profile's for the point, its group, all."""
    own = file.period if file.id in parts.said_periods else None
    groups = parts.profile.file.groups if parts.profile is not None else []
    of_group = next((group.period for group in groups if group.id == file.group), None)
    general = parts.profile.file.period if parts.profile is not None else None
    return own or parts.file.period or file.period or of_group or general or 1000


def _heartbeat(file: PointFile, parts: DeviceParts) -> int:
    """0 without a dead-band; else what is given, a minute, or the period where that is longer."""
    if file.dead_band is None:
        return 0
    return max(file.heartbeat or _HEARTBEAT_MS, _period(file, parts))


def _decimals(file: PointFile, scale: float, *, changes: bool) -> int | None:
    """Those given, else what scale and offset give an integer raw value; None for floats, and where they are many or change."""
    if file.decimals is not None or changes:
        return file.decimals
    if file.raw_type in ("f16", "f32", "f64", "bool", "text") or file.value_kind in ("bool", "code", "bits"):
        return None
    exponents = [Decimal(repr(number)).normalize().as_tuple().exponent for number in (scale, file.offset)]
    decimals = max(0, *(-exponent for exponent in exponents if isinstance(exponent, int)))
    return decimals if decimals <= _MAX_DECIMALS else None


def _limits(file: LimitsFile) -> Limits:
    made = Limits(file.low_low, file.low, file.high, file.high_high, file.range_low, file.range_high)
    return made if made != resolved.NO_LIMITS else resolved.NO_LIMITS
